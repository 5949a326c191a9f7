"""Laws of campaigns: orders in every state, the cursor, what is counted, pace and fair turns."""

from itertools import pairwise, product
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from inm.core import campaigns, headway, pacing
from inm.core.audience import Report, Row
from inm.core.campaigns import (
    ENDED,
    NEXT,
    SILENCE,
    STATES,
    Act,
    Action,
    Campaign,
    Counted,
    Counts,
    Create,
    Piece,
    State,
    act,
    answer_to,
    count,
    take,
    waiting,
)
from inm.core.records import Recipient

NOW = 1_000_000
ACTIONS: tuple[Action, ...] = get_args(Action)
ALL: tuple[State, ...] = get_args(State)


def campaign(state: State = "running", rows: int = 100, name: str = "spring", tenant: str = "acme", **given: object) -> Campaign:
    made = campaigns.create(Create("c-1", tenant, name, "offer", "ada", NOW), NOW)
    return structs.replace(made, **{"state": state, "pieces": 1, "report": Report(rows=rows), "clock": NOW, "heard": NOW, **given})


def order(action: Action, name: str = "o-1", **given: object) -> Act:
    return structs.replace(Act(name, "acme", "spring", action, "bob", NOW), **given)


def piece(number: int, rows: int = 2, *, last: bool = False) -> Piece:
    return Piece("acme", "spring", number, [Row(n + 2, Recipient(user=f"u{number}-{n}")) for n in range(rows)], Report(rows=rows), last)


# orders


def test_every_state_and_action_is_known() -> None:
    assert set(STATES) == set(ALL)
    assert set(NEXT) == set(ACTIONS)
    assert {state for each in NEXT.values() for pair in each.items() for state in pair} <= set(ALL)


@pytest.mark.parametrize(("state", "action"), [*product(ALL, ACTIONS)])
def test_an_action_in_every_state_is_done_or_refused_with_a_reason(state: State, action: Action) -> None:
    before = campaign(state)
    after = act(before, order(action), NOW + 1)
    answered = answer_to(after, "o-1")
    assert answered
    if state in NEXT[action]:
        assert (answered.fault, after.state) == ("", NEXT[action][state])
    else:
        assert state in answered.fault
        assert after == structs.replace(before, changed=NOW + 1, answers=after.answers)


@given(st.lists(st.sampled_from(ACTIONS), max_size=12), st.sampled_from(ALL))
def test_an_order_read_again_changes_nothing_and_an_end_is_one(actions: list[Action], state: State) -> None:
    now = campaign(state)
    for number, action in enumerate(actions):
        asked = order(action, f"o-{number}")
        after = act(now, asked, NOW + number)
        assert act(after, asked, NOW + 999) is after
        if now.state in ENDED:
            assert after.state == now.state
        assert (after.piece, after.row, after.released) == (now.piece, now.row, now.released)
        now = after


def test_pressing_resume_or_start_twice_is_pressing_it_once() -> None:
    running = act(campaign("paused", released=10, row=10), order("resume"), NOW + 5)
    again = act(running, order("resume", "o-2"), NOW + 9)
    assert structs.replace(again, answers=[], changed=0) == structs.replace(running, answers=[], changed=0)
    started = act(act(campaign("ready"), order("start", starts=NOW + 50), NOW), order("start", "o-2"), NOW + 1)
    assert started.starts == NOW + 50


def test_a_start_is_refused_for_too_many_faults_and_for_nobody() -> None:
    faulty = campaign("ready", report=Report(rows=98, faulty=2), max_faulty=0.01)
    assert act(faulty, order("start"), NOW).state == "ready"
    assert "2.00%" in campaigns.refusal(faulty, order("start"))
    assert act(structs.replace(faulty, max_faulty=0.02), order("start"), NOW).state == "running"
    assert "no row" in campaigns.refusal(campaign("ready", rows=0), order("start"))


def test_a_second_campaign_of_a_name_is_refused_and_the_same_order_is_not() -> None:
    made = campaigns.create(Create("c-1", "acme", "spring", "offer", "ada", NOW), NOW)
    assert campaigns.recreate(made, Create("c-1", "acme", "spring", "offer", "ada", NOW), NOW) is made
    other = campaigns.recreate(made, Create("c-2", "acme", "spring", "other", "eve", NOW), NOW)
    assert other.scenario == "offer"
    answered = answer_to(other, "c-2")
    assert answered
    assert answered.fault


# the audience


@given(st.permutations([0, 0, 1, 1, 2, 2]))
def test_pieces_count_once_and_in_order(numbers: list[int]) -> None:
    now = campaigns.create(Create("c-1", "acme", "spring", "offer", "ada", NOW), NOW)
    expected = 0
    for number in numbers:
        now = take(now, piece(number, last=number == 2), NOW)
        expected += number == expected
        assert now.pieces == expected
        assert now.report.rows == 2 * expected
    assert (now.state == "ready") == (expected == 3)


# the pace


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), min_size=1, max_size=40),
    st.integers(1, 2000),
)
def test_no_stretch_of_time_has_more_than_its_pace_and_a_burst(steps: list[tuple[int, int]], pace: int) -> None:
    now, known = NOW, campaign(rows=10**9, pace=pace)
    went = [(now, 0)]
    for wait, wanted in steps:
        now += wait
        number = min(wanted, pacing.allowed(known, now))
        known = pacing.release(known, 0, 0, number, now)
        went.append((now, known.released))
    for began, before in went:
        for ended, after in went:
            if ended >= began:
                assert after - before <= pace * (ended - began) / 1000 + 2 * max(1.0, pace * pacing.BURST / 1000)


def test_the_pace_is_reached() -> None:
    known = campaign(rows=10**6, pace=333)
    for tick in range(1, 121):
        known = pacing.release(known, 0, 0, pacing.allowed(known, NOW + tick * 500), NOW + tick * 500)
    assert known.released == pytest.approx(333 * 60, rel=0.01)


def test_nothing_goes_before_its_time_or_beyond_its_end() -> None:
    assert pacing.allowed(campaign(starts=NOW + 1), NOW) == 0
    assert pacing.allowed(campaign(starts=NOW), NOW) == 100
    assert pacing.allowed(campaign(released=97), NOW) == 3
    assert all(pacing.allowed(campaign(state), NOW) == 0 for state in ALL if state != "running")


def test_the_cursor_at_the_end_is_the_end() -> None:
    assert pacing.release(campaign(), 0, 60, 60, NOW).state == "running"
    assert pacing.release(campaign(released=60), 1, 0, 40, NOW).state == "done"
    assert pacing.release(campaign(pieces=2), 1, 0, 100, NOW).state == "done"


# fair turns


@given(st.integers(0, 500), st.lists(st.integers(0, 200), max_size=8), st.integers(0, 10))
def test_shares_are_fair_and_nothing_is_left_that_somebody_wants(room: int, wanted: list[int], turn: int) -> None:
    given_out = pacing.shares(room, wanted, turn)
    assert sum(given_out) == min(room, sum(wanted))
    assert all(0 <= got <= want for got, want in zip(given_out, wanted, strict=True))
    hungry = [got for got, want in zip(given_out, wanted, strict=True) if got < want]
    assert not hungry or max(given_out) - min(hungry) <= 1


def test_one_recipient_at_a_time_goes_around() -> None:
    assert {tuple(pacing.shares(1, [9, 9, 9], turn)) for turn in range(3)} == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}


@given(
    st.lists(st.tuples(st.sampled_from(["acme", "volta", "rete"]), st.integers(1, 10_000), st.integers(0, 400)), min_size=1, max_size=9),
    st.integers(0, 1000),
    st.integers(1, 1000),
)
def test_a_turn_keeps_to_its_bounds(given_out: list[tuple[str, int, int]], window: int, at_most: int) -> None:
    known = [
        campaign(rows=rows + lane, name=f"c{number}", tenant=tenant, released=lane, counts={0: Counts(taken=lane, lane=lane)})
        for number, (tenant, rows, lane) in enumerate(given_out)
    ]
    queues = [pacing.Queue(window, [each for each in known if each.tenant == tenant]) for tenant in {each.tenant for each in known}]
    found = pacing.turns(queues, at_most, NOW)
    assert sum(found.values()) <= at_most
    for queue in queues:
        held = sum(waiting(each, NOW) for each in queue.campaigns)
        assert sum(found.get(campaigns.key(each.tenant, each.name), 0) for each in queue.campaigns) <= max(0, window - held)


def test_a_tenant_with_many_campaigns_has_no_more_than_one_with_one() -> None:
    many = [campaign(rows=10_000, name=f"c{number}") for number in range(9)]
    found = pacing.turns([pacing.Queue(5000, many), pacing.Queue(5000, [campaign(rows=10_000, tenant="volta")])], 1000, NOW)
    assert found["volta/spring"] == 500
    assert sum(number for name, number in found.items() if name.startswith("acme/")) == 500
    assert max(found[f"acme/c{number}"] for number in range(9)) <= 56


def test_a_queue_that_is_full_holds_up_no_other() -> None:
    full = campaign(rows=10_000, released=600, counts={0: Counts(taken=600, lane=600)})
    assert pacing.turns([pacing.Queue(500, [full]), pacing.Queue(500, [campaign(name="by-mail")])], 1000, NOW) == {"acme/by-mail": 100}


# counts and progress


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=20))
def test_counts_are_of_the_last_word_of_each_partition(words: list[tuple[int, int]]) -> None:
    known = campaign(rows=1000, released=500)
    latest: dict[int, int] = {}
    for partition, number in words:
        known = count(known, Counted("acme", "spring", partition, Counts(taken=number, lane=number, begun=number)), NOW)
        latest[partition] = number
        assert count(known, Counted("acme", "spring", partition, Counts(taken=number, lane=number, begun=number)), NOW) == known
    total = campaigns.total(known)
    assert (total.taken, total.lane, total.begun) == (sum(latest.values()),) * 3
    assert waiting(known, NOW) == 500


def test_what_never_reaches_the_ledger_holds_up_the_rest_for_a_time_only() -> None:
    known = campaign(released=60, counts={0: Counts(taken=40, repeated=5, lane=7)})
    assert waiting(known, NOW + SILENCE) == 15 + 7
    assert waiting(known, NOW + SILENCE + 1) == 7


def test_progress_tells_rate_and_end() -> None:
    known = campaign(rows=10_000, released=0)
    for second in range(6):
        known.released = second * 500 + 500
        known = count(
            known, Counted("acme", "spring", 0, Counts(taken=known.released, lane=500, begun=known.released)), NOW + second * 1000
        )
    told = headway.progress(known, NOW + 5000, {})
    assert (told.rate, told.waiting, told.open) == (500.0, 500, 3000)
    assert told.ends == NOW + 5000 + (10_000 - 2500) * 2
    assert headway.progress(known, NOW + 60_000, {}).rate is None


def test_a_forecast_is_by_the_slower_of_pace_and_routes() -> None:
    report = Report(rows=100_000, sampled=1000, parts=1500, cost=75.0)
    told = headway.forecast(report, None, {"smsc-1": 500})
    assert (told.parts, told.cost, told.seconds) == (150_000, 7500.0, 300)
    assert headway.forecast(report, 100, {"smsc-1": 500}).seconds == 1000
    assert headway.forecast(report, None, {}).seconds is None


def test_a_campaign_of_a_million_waits_in_a_row_of_some_hundred_bytes() -> None:
    known = campaign(rows=10**6, counts={number: Counts(10**5, 0, 100, 10**5, {"delivered": 10**5}, 10**5, 10**5) for number in range(6)})
    assert len(msgspec.msgpack.encode(known)) < 2000


def test_marks_are_apart() -> None:
    known = campaign(released=10)
    for at in range(NOW, NOW + 20_000, 250):
        known = count(known, Counted("acme", "spring", 0, Counts(taken=1)), at)
    assert len(known.marks) == campaigns.MARKS
    assert all(after[0] - before[0] >= campaigns.MARK_EVERY for before, after in pairwise(known.marks))
