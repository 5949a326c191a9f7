"""Laws of the completeness ledger: it counts what the EDRs say, however often they are written and read."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from inm.core import completeness, journey
from inm.core.campaigns import Counts
from inm.core.completeness import BEGUN, GRACE, HOUR, IN_LANE, SUBMITTED, Recount, Tally, count, key, line, share, standing, summed
from inm.core.edr import Edr, Times
from inm.core.ledger import Deadline, Effects, Journey
from inm.core.records import Outcome, Receipt
from inm.core.results import Answer, Result
from tests.unit.test_journey import ID, NOTIFICATION, NOW, answer, send

OF_CAMPAIGN = structs.replace(NOTIFICATION, campaign="spring", row=1)
EVENTS = ("accepted", "submitted", "delivered", "failed", "read")


def edr(notification: int, event: str, *, final: bool = False, correction: bool = False, hour: int = 5) -> Edr:
    times = Times(hour * HOUR + 7)
    mark = "final" if final else "late" if correction else ""
    return Edr(f"{notification}.{event}.{mark}", event, 0, str(notification), "acme", "otp", times, final=final, correction=correction)  # type: ignore[arg-type]


def effects(*edrs: Edr) -> Effects:
    return Effects(edrs=list(edrs))


# tallies


def test_what_begins_ends_and_is_corrected_is_counted() -> None:
    tally = count(Tally(), [Deadline(900, "deadline", 1)], effects(edr(1, "accepted")), begins=True)
    assert tally == Tally(1, {}, 0, 900)
    tally = count(tally, [], effects(edr(1, "failed", final=True)), begins=False)
    assert tally
    assert (tally.finals, tally.open) == ({"failed": 1}, 0)
    tally = count(tally, [], effects(edr(1, "delivered", correction=True)), begins=False)
    assert tally == Tally(1, {"failed": 1}, 1, 900)
    assert count(tally, [], effects(edr(1, "submitted")), begins=False) is None


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(EVENTS), st.booleans(), st.booleans(), st.integers(0, 2)), max_size=40),
    st.randoms(),
)
def test_a_recount_is_the_same_however_often_each_record_is_there(told: list[tuple[int, str, bool, bool, int]], random: object) -> None:
    edrs = [edr(number, event, final=final, correction=late and not final, hour=number % 2) for number, event, final, late, _ in told]
    once, often = Recount(), Recount()
    for each, (*_, further) in zip(edrs, told, strict=True):
        once.take(each)
        for _ in range(1 + further):
            often.take(each)
    assert list(often.differences(once.lines)) == []


def test_a_recount_is_what_was_counted_and_says_what_is_not() -> None:
    recount = Recount()
    edrs = [edr(1, "accepted"), edr(2, "scheduled"), edr(1, "delivered", final=True), edr(2, "read", correction=True)]
    for each in edrs:
        recount.take(each)
    recount.take(structs.replace(edr(9, "accepted"), test=True))
    place = key("acme", "otp", 5 * HOUR)
    assert recount.lines == {place: Tally(2, {"delivered": 1}, 1)}
    assert list(recount.differences({place: Tally(2, {"delivered": 1}, 1, 77)})) == []
    assert list(recount.differences({place: Tally(3, {"delivered": 1}, 1)})) == [f"{place}: accepted: the ledger has 3, the EDRs have 2"]
    assert len(list(recount.differences({}))) == 3


@given(st.lists(st.tuples(st.sampled_from(["a/x/1", "a/y/1"]), st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_the_sum_of_partitions_is_their_sum(parts: list[tuple[str, int, int]]) -> None:
    found = summed((place, Tally(accepted, {"delivered": delivered}, due=delivered)) for place, accepted, delivered in parts)
    assert sum(tally.accepted for tally in found.values()) == sum(accepted for _, accepted, _ in parts)
    assert sum(tally.finals["delivered"] for tally in found.values()) == sum(delivered for *_, delivered in parts)


def test_what_is_open_past_its_end_is_overdue() -> None:
    place = key("acme", "otp", 5 * HOUR + 1)
    told = line(place, Tally(3, {"delivered": 1}, due=900), 900 + GRACE)
    assert (told.tenant, told.scenario, told.hour, told.open, told.overdue) == ("acme", "otp", 5 * HOUR, 2, 0)
    assert line(place, Tally(3, {"delivered": 1}, due=900), 901 + GRACE).overdue == 2
    assert line(place, Tally(1, {"delivered": 1}, due=900), 901 + GRACE).overdue == 0


# campaigns


def followed(*outcomes: Outcome, of: Journey | None = None) -> tuple[Journey, Counts]:
    """A journey and what was counted of it, record by record as :mod:`inm.tables.tallies` does."""
    now, caused = journey.begin(OF_CAMPAIGN, send(), NOW) if of is None else (of, Effects())
    counts = Counts()
    for outcome in (None, *outcomes):
        if outcome is not None:
            now, caused = journey.advance(now, outcome, NOW)
        counts = share(counts, now, caused.edrs) or counts
        now.standing = standing(now)
    return now, counts


def receipt(state: str = "delivered") -> Outcome:
    said = Receipt("smsc-1", "p1", state, NOW)  # type: ignore[arg-type]
    return Outcome(f"{ID}.1.1/receipt/p1/{state}", "receipt", ID, f"{ID}.1.1", "acme/u1", NOW, 1, receipt=said)


def test_a_recipient_is_in_the_lane_until_his_provider_has_answered() -> None:
    begun, counts = followed()
    assert (begun.standing, counts) == (BEGUN | IN_LANE, Counts(taken=1, lane=1, begun=1))
    sent, counts = followed(answer(Result.SENT, "p1"))
    assert (sent.standing, counts) == (BEGUN | SUBMITTED, Counts(1, 0, 0, 1, {}, 1, 1))
    _, counts = followed(answer(Result.SENT, "p1"), receipt(), receipt())
    assert counts == Counts(1, 0, 0, 1, {"delivered": 1}, 1, 1)


def test_a_recipient_whose_attempt_is_repeated_waits_elsewhere() -> None:
    _, counts = followed(answer(Result.TEMPORARY, reason="temporary", retry_at=NOW + 5000))
    assert (counts.lane, counts.submitted, counts.begun) == (0, 0, 1)


@given(st.permutations([answer(Result.SENT, "p1"), answer(Result.SENT, "p2", mark="b"), receipt(), receipt("failed"), receipt("read")]))
def test_in_any_order_of_outcomes_the_counts_are_those_of_the_journey(outcomes: list[Outcome]) -> None:
    now, counts = followed(*outcomes, *outcomes)
    assert (counts.taken, counts.begun, counts.submitted) == (1, 1, 1)
    assert sum(counts.finals.values()) == now.final
    assert counts.lane == 0


def test_of_a_journey_that_is_one_of_several_the_row_counts_once() -> None:
    child, caused = journey.begin(structs.replace(OF_CAMPAIGN, parent="0-p"), send(), NOW)
    assert share(Counts(), child, caused.edrs) == Counts(lane=1, begun=1)


def test_an_answer_of_no_kind_changes_nothing() -> None:
    now, counts = followed(answer(Result.SENT, "p1"))
    assert share(counts, now, []) is None
    assert completeness.repeated(counts).repeated == 1
    assert isinstance(Answer(Result.SENT), Answer)
