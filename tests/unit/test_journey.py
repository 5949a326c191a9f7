"""Laws and rules of the state machine of one notification."""

from collections import deque

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inm.core.decide import Decision, Hold, Refusal, Send, Skip
from inm.core.edr import Edr
from inm.core.grounds import Grounds
from inm.core.ids import delivery_id
from inm.core.journey import Effects, Journey, advance, asks_for, begin, is_early, postpone, resume, waits_for
from inm.core.ledger import come
from inm.core.records import Content, Delivery, Notification, Outcome, Receipt
from inm.core.results import Answer, Result
from inm.core.scenarios import Until

ID = "3-abc"
NOW = 1_000_000
NOTIFICATION = Notification(id=ID, key="acme/u1", tenant="acme", scenario="otp", received=NOW - 5, user="u1", request_id="r-9")


def send(
    step: int = 1, *, steps: int = 2, parts: int = 1, until: Until = "delivered", skipped: list[Skip] | None = None, beside: int = 0
) -> Send:
    delivery = Delivery(
        id=delivery_id(ID, step, 1),
        notification=ID,
        key="acme/u1",
        tenant="acme",
        scenario="otp",
        channel="sms",
        lane="urgent",
        route="smsc-1",
        to="+393331234567",
        sender="Acme",
        content=Content("hello"),
        template="otp-sms",
        version=4,
        language="it",
        step=step,
        attempt=1,
        decided=NOW,
        expires=NOW + 300_000,
        parts=parts,
        encoding="gsm7",
    )
    others = [send(step + more, steps=steps, parts=parts, until=until) for more in range(1, beside + 1)]
    return Send(delivery, NOW + 60_000, until, steps, skipped or [], Grounds(skipped=skipped or []), [], others, step + beside)


def started(**options: object) -> Journey:
    return begin(NOTIFICATION, send(**options), NOW)[0]  # type: ignore[arg-type]


def answer(
    result: Result,
    *ids: str,
    step: int = 1,
    attempt: int = 1,
    retry_at: int | None = None,
    receipts: bool = True,
    reason: str | None = None,
    mark: str = "a",
    redelivered: bool = False,
) -> Outcome:
    delivery = delivery_id(ID, step, attempt)
    return Outcome(
        id=f"{delivery}.{mark}",
        kind="answer",
        notification=ID,
        delivery=delivery,
        key="acme/u1",
        at=NOW + 10,
        step=step,
        attempt=attempt,
        answer=Answer(result, list(ids), reason),
        retry_at=retry_at,
        receipts=receipts,
        started=NOW + 5,
        redelivered=redelivered,
    )


def receipt(state: str, *, step: int = 1, attempt: int = 1, part: int = 1, mark: str = "") -> Outcome:
    delivery = delivery_id(ID, step, attempt)
    return Outcome(
        id=f"{delivery}.r{part}{state}{mark}",
        kind="receipt",
        notification=ID,
        delivery=delivery,
        key="acme/u1",
        at=NOW + 20,
        step=step,
        attempt=attempt,
        receipt=Receipt("smsc-1", "p1", state, NOW + 20),  # type: ignore[arg-type]
        part=part,
    )


def cancel(mark: str = "") -> Outcome:
    return Outcome(id=f"{ID}.cancel{mark}", kind="cancel", notification=ID, delivery="", key="acme/u1", at=NOW + 25, step=0)


def stopped(step: int = 1, attempt: int = 1) -> Outcome:
    return answer(Result.NOT_ALLOWED, step=step, attempt=attempt, reason="stopped", receipts=False, mark="s")


def come_due(journey: Journey, now: int = NOW + 60_000) -> tuple[Journey, Outcome]:
    journey, [outcome] = come(journey, now)
    return journey, outcome


def deadline(step: int = 1) -> Outcome:
    delivery = delivery_id(ID, step, 1)
    return Outcome(
        id=f"{delivery}.deadline", kind="deadline", notification=ID, delivery=delivery, key="acme/u1", at=NOW + 60_000, step=step
    )


def play(journey: Journey, *outcomes: Outcome) -> tuple[Journey, list[Edr], list[Effects]]:
    edrs: list[Edr] = []
    all_effects = []
    for outcome in outcomes:
        journey, effects = advance(journey, outcome, NOW + 30)
        edrs += effects.edrs
        all_effects.append(effects)
    return journey, edrs, all_effects


def told(edrs: list[Edr]) -> list[tuple[str, bool]]:
    return [(edr.event, edr.final) for edr in edrs]


def test_it_begins_with_accepted_a_delivery_and_a_deadline() -> None:
    journey, effects = begin(NOTIFICATION, send(), NOW)
    (edr,) = effects.edrs
    assert (edr.id, edr.event, edr.final) == (f"{ID}.1.1.accepted", "accepted", False)
    assert (edr.template, edr.version, edr.parts) == ("otp-sms", 4, 1)
    assert (edr.times.received, edr.times.decided) == (NOW - 5, NOW)
    assert effects.delivery == send().delivery
    assert journey.due == NOW + 60_000
    waiting, outcome = come_due(journey)
    assert outcome == deadline()
    assert (waiting.due, waiting.deadlines) == (0, [])
    assert come(journey, NOW + 59_999) == (journey, [])
    assert not journey.final
    assert journey.expires > NOW + 60_000


@pytest.mark.parametrize(("reason", "event"), [("no-address", "failed"), ("expired", "expired"), ("render-failed", "failed")])
def test_a_refusal_is_accepted_and_the_end(reason: str, event: str) -> None:
    journey, effects = begin(NOTIFICATION, Refusal(reason, "because", [Skip(1, "sms", reason, "x")]), NOW)
    assert told(effects.edrs) == [("accepted", False), (event, True)]
    assert (effects.edrs[1].reason, effects.edrs[1].text) == (reason, "because")
    assert journey.final
    assert effects.delivery is None


def silenced(journey: Journey) -> tuple[Journey, Outcome]:
    """It was submitted by a route whose receipts are waited for until NOW + 500."""
    journey, _, _ = play(journey, msgspec.structs.replace(answer(Result.SENT, "p1"), silence_at=NOW + 500))
    assert journey.due == NOW + 500
    journey, silence = come_due(journey, NOW + 500)
    assert (silence.kind, silence.at, silence.step) == ("silence", NOW + 500, 1)
    return journey, silence


def test_a_route_that_keeps_silent_ends_its_step_before_its_time() -> None:
    journey, silence = silenced(started(steps=1))
    journey, edrs, _ = play(journey, silence, silence)
    assert [(edr.event, edr.reason, edr.final) for edr in edrs] == [("unknown", "no-receipt", True)]
    _, edrs, _ = play(journey, receipt("delivered"))
    assert [(edr.event, edr.correction) for edr in edrs] == [("delivered", True)]


def test_silence_after_a_receipt_is_nothing() -> None:
    journey, silence = silenced(started())
    journey, _, _ = play(journey, receipt("delivered"))
    assert advance(journey, silence, NOW + 500)[1].edrs == []


def test_delivered_needs_the_receipts_of_all_parts() -> None:
    journey, edrs, _ = play(started(parts=2), answer(Result.SENT, "p1", "p2"), receipt("delivered", part=2))
    assert told(edrs) == [("submitted", False)]
    assert edrs[0].provider_ids == ["p1", "p2"]
    assert (edrs[0].times.started, edrs[0].times.submitted) == (NOW + 5, NOW + 10)
    journey, edrs, _ = play(journey, receipt("delivered", part=1))
    assert told(edrs) == [("delivered", True)]
    assert edrs[0].times.delivered == NOW + 20
    assert (journey.state, journey.final) == ("delivered", True)


def test_a_receipt_may_come_before_the_answer() -> None:
    _, edrs, _ = play(started(), receipt("delivered"), answer(Result.SENT, "p1"))
    assert told(edrs) == [("delivered", True), ("submitted", False)]
    assert edrs[1].correction
    assert not edrs[1].duplicate


def test_submitted_is_the_end_where_the_plan_says_so_or_no_receipt_can_come() -> None:
    assert told(play(started(until="submitted"), answer(Result.SENT, "p1"))[1]) == [("submitted", True)]
    assert told(play(started(), answer(Result.SENT, "p1", receipts=False))[1]) == [("submitted", True)]


@pytest.mark.parametrize("result", [Result.PERMANENT, Result.INVALID_ADDRESS, Result.NOT_ALLOWED, Result.TEMPORARY, Result.ROUTE_FAULT])
def test_a_refused_attempt_goes_on_to_the_next_step_or_fails(result: Result) -> None:
    journey, edrs, effects = play(started(steps=2), answer(result, reason="provider-rejected"))
    assert told(edrs) == [("failed", False)]
    assert effects[0].again == msgspec.structs.replace(NOTIFICATION, step=2, lane="urgent")
    assert not journey.final
    journey, edrs, effects = play(started(steps=1), answer(result, reason="provider-rejected"))
    assert told(edrs) == [("failed", True)]
    assert edrs[0].reason == ("retries-exhausted" if result is Result.TEMPORARY else "provider-rejected")
    assert effects[0].again is None


def test_a_failed_receipt_of_any_part_goes_on_at_once() -> None:
    _, edrs, effects = play(started(parts=3), answer(Result.SENT, "a", "b", "c"), receipt("delivered"), receipt("failed", part=2))
    assert told(edrs) == [("submitted", False), ("failed", False)]
    assert edrs[-1].reason == "undelivered"
    assert effects[-1].again is not None


def test_the_second_step_is_taken_once() -> None:
    journey, _, _ = play(started(), answer(Result.PERMANENT))
    second = msgspec.structs.replace(NOTIFICATION, step=2, lane="urgent")
    journey, effects = resume(journey, second, send(2), NOW + 40)
    assert told(effects.edrs) == [("step", False)]
    assert effects.delivery is not None
    assert effects.delivery.step == 2
    assert resume(journey, second, send(2), NOW + 41) == (journey, Effects())
    _, edrs, _ = play(journey, answer(Result.SENT, "p2", step=2), receipt("delivered", step=2))
    assert told(edrs) == [("submitted", False), ("delivered", True)]


def test_a_replayed_step_is_not_taken_for_the_next_one() -> None:
    second = msgspec.structs.replace(NOTIFICATION, step=2, lane="urgent")
    journey, _, _ = play(started(steps=3), answer(Result.PERMANENT))
    journey, _ = resume(journey, second, send(2, steps=3), NOW + 40)
    journey, _, effects = play(journey, answer(Result.PERMANENT, step=2))
    assert effects[0].again == msgspec.structs.replace(NOTIFICATION, step=3, lane="urgent")
    assert resume(journey, second, send(2, steps=3), NOW + 41) == (journey, Effects())


def test_what_waits_for_its_time_is_in_the_ledger_already() -> None:
    later = msgspec.structs.replace(NOTIFICATION, at=NOW + 5000)
    journey, effects = postpone(later, NOW)
    assert told(effects.edrs) == [("scheduled", False)]
    assert waits_for(journey, later)
    assert not waits_for(journey, msgspec.structs.replace(later, at=NOW + 9000))
    assert not waits_for(begin(later, send(), NOW + 5000)[0], later)


def test_an_outcome_may_come_before_the_row_that_it_is_of() -> None:
    """Killed between outputs and state: evaluate's replay makes the row, perhaps after the provider has answered."""
    later = msgspec.structs.replace(NOTIFICATION, at=NOW + 5000)
    assert is_early(postpone(later, NOW)[0], answer(Result.SENT))
    first = started(steps=2)
    assert not is_early(first, answer(Result.SENT))
    assert is_early(first, answer(Result.SENT, step=2))


def test_what_expired_in_the_queue_is_expired_and_not_failed() -> None:
    _, edrs, _ = play(started(steps=1), answer(Result.PERMANENT, reason="expired", receipts=False))
    assert [(edr.event, edr.final, edr.reason) for edr in edrs] == [("expired", True, "expired")]


def test_without_a_further_step_the_end_is_what_the_last_one_came_to() -> None:
    journey, _, _ = play(started(), answer(Result.SENT, "p1"), deadline())
    ended, effects = resume(
        journey, msgspec.structs.replace(NOTIFICATION, step=2, lane="urgent"), Refusal("no-address", "no email", []), NOW + 40
    )
    assert told(effects.edrs) == [("unknown", True)]
    assert (effects.edrs[0].reason, effects.edrs[0].text, effects.edrs[0].step) == ("no-receipt", "no email", 1)
    assert ended.final


def test_a_late_delivery_of_an_earlier_step_ends_the_notification() -> None:
    journey, _, _ = play(started(), answer(Result.SENT, "p1"), deadline())
    waiting, edrs, effects = play(journey, receipt("delivered"))
    assert told(edrs) == [("delivered", True)]
    assert edrs[0].correction
    assert effects[0].again is None
    second = msgspec.structs.replace(NOTIFICATION, step=2, lane="urgent")
    assert resume(waiting, second, send(2), NOW + 40) == (waiting, Effects()), "the second step is not needed any more"
    journey, _ = resume(journey, second, send(2), NOW + 40)
    _, edrs, _ = play(journey, receipt("delivered"), answer(Result.SENT, "p2", step=2), receipt("delivered", step=2))
    assert told(edrs) == [("delivered", True), ("submitted", False), ("delivered", False)]
    assert [edr.step for edr in edrs] == [1, 2, 2]


@pytest.mark.parametrize(
    ("before", "event", "reason"),
    [
        ([], "expired", "expired"),
        ([answer(Result.TEMPORARY, retry_at=NOW + 1)], "expired", "expired"),
        ([answer(Result.SENT, "p1")], "unknown", "no-receipt"),
        ([answer(Result.UNKNOWN, reason="no-answer")], "unknown", "no-answer"),
    ],
)
def test_the_deadline_ends_what_has_not_arrived(before: list[Outcome], event: str, reason: str) -> None:
    _, edrs, _ = play(started(steps=1), *before, deadline())
    assert told(edrs)[-1] == (event, True)
    assert edrs[-1].reason == reason
    _, edrs, effects = play(started(steps=2), *before, deadline())
    assert told(edrs)[-1] == (event, False)
    assert effects[-1].again is not None


def test_what_ended_by_its_deadline_is_not_told_again_when_its_turn_comes() -> None:
    journey, edrs, _ = play(started(), deadline())
    assert told(edrs) == [("expired", False)]
    journey, edrs, _ = play(journey, answer(Result.PERMANENT, reason="expired", receipts=False))
    assert edrs == []
    assert told(play(started(), deadline(), answer(Result.SENT, "p"))[1]) == [("expired", False), ("submitted", False)]


def test_a_retry_is_recorded_and_its_attempt_counts() -> None:
    journey, edrs, _ = play(started(steps=1), answer(Result.TEMPORARY, retry_at=NOW + 5000), answer(Result.SENT, "p2", attempt=2))
    assert [(edr.event, edr.attempt, edr.duplicate) for edr in edrs] == [("retried", 1, False), ("submitted", 2, False)]
    _, edrs, _ = play(journey, receipt("delivered", attempt=2))
    assert told(edrs) == [("delivered", True)]


def test_unknown_with_resend_is_not_the_end_and_the_failure_of_the_first_copy_neither() -> None:
    journey, edrs, _ = play(started(steps=1), answer(Result.UNKNOWN, retry_at=NOW + 1000, reason="no-answer"))
    assert told(edrs) == [("unknown", False)]
    journey, edrs, _ = play(journey, receipt("failed"))
    assert told(edrs) == [("failed", False)]
    _, edrs, _ = play(journey, answer(Result.SENT, "p2", attempt=2), receipt("delivered", attempt=2))
    assert told(edrs) == [("submitted", False), ("delivered", True)]
    assert not edrs[0].duplicate


def test_parts_of_two_attempts_do_not_make_one_whole() -> None:
    first = [answer(Result.UNKNOWN, retry_at=NOW + 1), receipt("delivered", part=1)]
    second = [answer(Result.SENT, "a", "b", attempt=2), receipt("delivered", part=2, attempt=2)]
    journey, edrs, _ = play(started(steps=1, parts=2), *first, *second)
    assert ("delivered", True) not in told(edrs)
    assert not journey.final


def test_unknown_ends_the_step_where_no_receipt_can_come() -> None:
    assert told(play(started(steps=1), answer(Result.UNKNOWN, receipts=False))[1]) == [("unknown", True)]
    assert told(play(started(steps=1), answer(Result.UNKNOWN, receipts=True))[1]) == [("unknown", False)]


def test_a_second_submit_of_the_same_delivery_is_a_duplicate() -> None:
    again = answer(Result.SENT, "p2", mark="b", redelivered=True)
    journey, edrs, _ = play(started(), answer(Result.SENT, "p1"), again)
    assert [(edr.event, edr.duplicate, edr.redelivered, edr.provider_ids) for edr in edrs] == [
        ("submitted", False, False, ["p1"]),
        ("submitted", True, True, ["p2"]),
    ]
    assert len({edr.id for edr in edrs}) == 2
    _, edrs, effects = play(journey, answer(Result.PERMANENT, mark="c", redelivered=True))
    assert not edrs, "the first one is on its way, whatever the second got"
    assert effects[0].again is None


def test_a_failed_retry_ends_nothing_while_a_resubmitted_attempt_is_on_its_way() -> None:
    resubmitted = [answer(Result.TEMPORARY, retry_at=NOW + 5000), answer(Result.SENT, "p1", mark="b", redelivered=True)]
    journey, edrs, effects = play(started(), *resubmitted, answer(Result.PERMANENT, attempt=2))
    assert told(edrs) == [("retried", False), ("submitted", False), ("failed", False)]
    assert effects[-1].again is None
    assert told(play(journey, receipt("delivered"))[1]) == [("delivered", True)]


def test_held_deliveries_are_no_attempts() -> None:
    journey = started()
    outcome = answer(Result.THROTTLED, retry_at=NOW + 1000, reason="throttled")
    assert advance(journey, outcome, NOW) == (journey, Effects())


def test_a_late_receipt_corrects_but_never_contradicts() -> None:
    ended, _, _ = play(started(steps=1), answer(Result.SENT, "p1"), deadline())
    journey, edrs, _ = play(ended, receipt("failed"), receipt("delivered"), receipt("expired"))
    assert [(edr.event, edr.final, edr.correction) for edr in edrs] == [("failed", False, True), ("delivered", False, True)]
    assert journey.state == "delivered"
    assert journey.final


def test_read_includes_delivered() -> None:
    _, edrs, _ = play(started(), answer(Result.SENT, "p1"), receipt("read"))
    assert told(edrs)[1:] == [("delivered", True), ("read", False)]


def test_what_is_not_of_this_journey_changes_nothing() -> None:
    journey = started()
    for stranger in (
        answer(Result.SENT, "p1", step=7),
        msgspec.structs.replace(answer(Result.SENT, "p1"), delivery="4-other.1.1"),
        deadline(2),
    ):
        assert advance(journey, stranger, NOW) == (journey, Effects())
    assert advance(journey, answer(Result.SENT, "p1"), NOW)[0] != journey


def test_the_story_has_every_event_and_the_grounds() -> None:
    first = begin(NOTIFICATION, send(2, skipped=[Skip(1, "email", "no-address", "no email")]), NOW)[0]
    journey, _, _ = play(first, answer(Result.SENT, "p1", step=2), receipt("delivered", step=2))
    assert [event.event for event in journey.events] == ["accepted", "submitted", "part", "delivered"]
    assert journey.grounds == [Grounds(skipped=[Skip(1, "email", "no-address", "no email")])]


# several steps at once


def test_steps_that_begin_together_are_one_end() -> None:
    journey, effects = begin(NOTIFICATION, send(1, steps=3, beside=1), NOW)
    assert told(effects.edrs) == [("accepted", False), ("step", False)]
    assert [delivery.step for delivery in effects.deliveries] == [1, 2]
    assert [one.step for one in journey.deadlines] == [1, 2]
    waiting, edrs, all_effects = play(journey, answer(Result.PERMANENT, reason="provider-rejected"))
    assert told(edrs) == [("failed", False)]
    assert all_effects[-1].again is None, "the other one is on its way"
    _, edrs, all_effects = play(waiting, answer(Result.PERMANENT, step=2, reason="provider-rejected"))
    assert all_effects[-1].again
    assert all_effects[-1].again.step == 3
    _, edrs, all_effects = play(waiting, answer(Result.SENT, "p", step=2), receipt("delivered", step=2))
    assert told(edrs) == [("submitted", False), ("delivered", True)]
    assert all_effects[-1].stopped == [f"{ID}.2"], "of the step itself a further attempt, and nothing of the one beside it"


def test_the_end_of_steps_that_began_together_is_the_best_of_them() -> None:
    journey, _ = begin(NOTIFICATION, send(1, steps=2, beside=1), NOW)
    _, edrs, _ = play(journey, answer(Result.SENT, "p"), deadline(1), answer(Result.PERMANENT, step=2, reason="provider-rejected"))
    assert told(edrs) == [("submitted", False), ("unknown", False), ("failed", False), ("unknown", True)]
    assert (edrs[-1].step, edrs[-1].reason) == (1, "no-receipt")


def test_the_other_one_goes_on_after_the_end() -> None:
    journey, _ = begin(NOTIFICATION, send(1, steps=2, beside=1), NOW)
    journey, edrs, _ = play(journey, answer(Result.SENT, "p"), receipt("delivered"), answer(Result.SENT, "q", step=2))
    assert [(edr.event, edr.step, edr.final, edr.correction) for edr in edrs[1:]] == [
        ("delivered", 1, True, False),
        ("submitted", 2, False, True),
    ]
    assert journey.stopped == [1]


# read


def test_a_step_until_read_waits_for_that() -> None:
    first = started(steps=2, until="read")
    journey, edrs, _ = play(first, answer(Result.SENT, "p", receipts=False))
    assert told(edrs) == [("submitted", False)]
    assert told(play(journey, receipt("read"))[1]) == [("delivered", False), ("read", True)]
    _, edrs, effects = play(journey, receipt("delivered"), deadline())
    assert told(edrs) == [("delivered", False)]
    assert effects[-1].again
    second = msgspec.structs.replace(NOTIFICATION, step=2, lane="urgent")
    ended, _, _ = play(journey, receipt("delivered"), deadline())
    _, last = resume(ended, second, Refusal("no-address", "", []), NOW + 40)
    assert [(edr.event, edr.reason, edr.final) for edr in last.edrs] == [("delivered", "not-read", True)]


@pytest.mark.parametrize(("receipts", "event", "reason"), [(True, "unknown", "no-receipt"), (False, "submitted", "not-read")])
def test_what_is_not_read_ends_as_what_is_known_of_it(receipts: bool, event: str, reason: str) -> None:
    _, edrs, _ = play(started(steps=1, until="read"), answer(Result.SENT, "p", receipts=receipts), deadline())
    assert [(edr.event, edr.reason, edr.final) for edr in edrs[1:]] == [(event, reason, True)]


# what was begun and is not needed any more


def test_a_late_receipt_stops_the_step_that_was_begun_instead() -> None:
    journey, _, _ = play(started(), answer(Result.SENT, "p1"), deadline())
    journey, _ = resume(journey, msgspec.structs.replace(NOTIFICATION, step=2, lane="urgent"), send(2), NOW + 40)
    journey, edrs, effects = play(journey, receipt("delivered"))
    assert (told(edrs), edrs[0].correction) == ([("delivered", True)], True)
    assert effects[0].stopped == [f"{ID}.1", f"{ID}.2"]
    assert journey.stopped == [1, 2]
    journey, edrs, _ = play(journey, stopped(2))
    assert [(edr.event, edr.final, edr.correction, edr.reason) for edr in edrs] == [("cancelled", False, True, "stopped")]
    assert journey.state == "delivered"


def test_cancel_before_anything_is_decided_is_the_end() -> None:
    later = msgspec.structs.replace(NOTIFICATION, at=NOW + 5000)
    journey, edrs, _ = play(postpone(later, NOW)[0], cancel())
    assert [(edr.event, edr.final, edr.reason) for edr in edrs] == [("cancelled", True, "cancelled")]
    assert not waits_for(journey, later)
    assert play(journey, cancel("again"))[1] == []


def test_cancel_of_what_is_on_its_way_waits_for_what_becomes_of_it() -> None:
    asked, edrs, effects = play(started(), cancel())
    assert not edrs
    assert not asked.final
    assert effects[0].stopped == [f"{ID}.1"]
    _, edrs, effects = play(asked, stopped())
    assert [(edr.event, edr.final, edr.reason) for edr in edrs] == [("cancelled", False, "stopped"), ("cancelled", True, "cancelled")]
    assert effects[0].again is None
    _, edrs, _ = play(asked, answer(Result.SENT, "p"), receipt("delivered"))
    assert told(edrs) == [("submitted", False), ("delivered", True)], "it was too late"
    _, edrs, effects = play(asked, answer(Result.PERMANENT, reason="provider-rejected"))
    assert told(edrs) == [("failed", False), ("cancelled", True)]
    assert effects[0].again is None


def test_cancel_of_what_waits_for_a_further_attempt_is_the_end_but_for_the_last_seconds() -> None:
    waiting, _, _ = play(started(), answer(Result.TEMPORARY, retry_at=NOW + 60_000, reason="provider-temporary"))
    journey, edrs, _ = play(waiting, cancel())
    assert told(edrs) == [("cancelled", True)]
    assert journey.stopped == [1]
    soon, _, _ = play(started(), answer(Result.TEMPORARY, retry_at=NOW + 1000, reason="provider-temporary"), cancel())
    assert not soon.final


def test_cancel_after_a_submit_is_too_late() -> None:
    journey, edrs, effects = play(started(), answer(Result.SENT, "p"), cancel())
    assert told(edrs) == [("submitted", False)]
    assert not effects[-1].stopped
    assert journey.events[-1].event == "cancel"


# windows


def test_what_is_held_is_decided_when_its_window_opens() -> None:
    hold = Hold(NOW + 9000, "window night is shut", 1, [])
    journey, effects = begin(NOTIFICATION, hold, NOW)
    assert [(edr.event, edr.until, edr.reason, edr.step) for edr in effects.edrs] == [("held", NOW + 9000, "window-closed", 1)]
    assert effects.later == msgspec.structs.replace(NOTIFICATION, held=NOW + 9000)
    assert journey.expires > NOW + 9000
    assert not waits_for(journey, NOTIFICATION), "a replay is none that it waits for"
    assert waits_for(journey, effects.later)
    assert is_early(journey, answer(Result.SENT))
    begun, effects = begin(effects.later, send(), NOW + 9000, known=journey)
    assert told(effects.edrs) == [("accepted", False)]
    assert [event.event for event in begun.events] == ["held", "accepted"]
    assert begun.notification == msgspec.structs.replace(NOTIFICATION, lane="urgent")


def test_a_further_step_is_held_too_and_only_the_waiting_one_goes_on() -> None:
    journey, _, _ = play(started(), answer(Result.PERMANENT))
    second = msgspec.structs.replace(NOTIFICATION, step=2, lane="urgent")
    journey, effects = resume(journey, second, Hold(NOW + 9000, "shut", 2, []), NOW + 40)
    assert resume(journey, second, send(2), NOW + 41) == (journey, Effects())
    assert effects.later
    _, effects = resume(journey, effects.later, Refusal("window-closed", "too late", []), NOW + 9000)
    assert [(edr.event, edr.final, edr.text) for edr in effects.edrs] == [("failed", True, "too late")]


def test_what_its_window_closed_on_is_no_attempt() -> None:
    put_off = answer(Result.NOT_ALLOWED, reason="window-closed", retry_at=NOW + 60_000, receipts=False)
    journey, edrs, effects = play(started(), put_off)
    assert [(edr.event, edr.until, edr.final) for edr in edrs] == [("held", NOW + 60_000, False)]
    assert effects[0].again is None
    assert told(play(journey, answer(Result.SENT, "p", mark="b"))[1]) == [("submitted", False)]
    assert told(play(journey, cancel())[1]) == [("cancelled", True)]


outcomes = st.one_of(
    st.builds(
        answer,
        st.sampled_from(Result),
        st.sampled_from(["p1", "p2"]),
        step=st.integers(1, 3),
        attempt=st.integers(1, 3),
        retry_at=st.none() | st.just(NOW + 1000),
        receipts=st.booleans(),
        mark=st.sampled_from("abc"),
        redelivered=st.booleans(),
    ),
    st.builds(
        receipt,
        st.sampled_from(["delivered", "failed", "expired", "read", "pending", "unknown"]),
        step=st.integers(1, 3),
        attempt=st.integers(1, 3),
        part=st.integers(1, 2),
        mark=st.sampled_from("ab"),
    ),
    st.builds(deadline, st.integers(1, 3)),
    st.builds(cancel, st.sampled_from("ab")),
    st.builds(stopped, st.integers(1, 3), st.integers(1, 2)),
)


def decided(steps: int, until: Until, beside: int, refuse_from: int, hold: bool, step: int) -> Decision:
    """What evaluate may say when the plan is at ``step``."""
    if step >= refuse_from:
        return Refusal("no-address", "", [])
    if hold:
        return Hold(NOW + 1000, "shut", step, [])
    return send(step, steps=steps, parts=2, until=until, beside=min(beside, steps - step))


def run(
    sequence: list[Outcome], *, steps: int, until: Until, beside: int = 0, refuse_from: int = 9, hold: bool = False
) -> tuple[Journey, list[Effects]]:
    """All outcomes, steps decided as they are asked for, and at last the deadlines that it has; each checked for replay."""
    journey, effects = begin(NOTIFICATION, decided(steps, until, beside, refuse_from, hold, 1), NOW)
    trail = [effects]
    coming: deque[Outcome | None] = deque([*sequence, None])
    while coming or journey.due:
        if not coming:
            journey, found = come(journey, journey.due)
            coming.extend(found)
        outcome = coming.popleft()
        if outcome is None or is_early(journey, outcome):
            journey = opened(journey, trail, steps, until, beside, refuse_from)  # at the latest
            continue
        journey, effects = advance(journey, outcome, NOW + 50)
        trail.append(effects)
        assert advance(journey, outcome, NOW + 51) == (journey, Effects()), "a replay changes nothing"
        if effects.again:
            asked = effects.again
            decision = decided(steps, until, beside, refuse_from, hold, asked.step)
            journey, effects = resume(journey, asked, decision, NOW + 50)
            trail.append(effects)
            assert resume(journey, asked, decision, NOW + 51) == (journey, Effects()), "a replay changes nothing"
            if hold:
                journey = opened(journey, trail, steps, until, beside, refuse_from)
    return journey, trail


def opened(journey: Journey, trail: list[Effects], steps: int, until: Until, beside: int, refuse_from: int) -> Journey:
    """The window that it may have waited for has opened."""
    later = next((effects.later for effects in reversed(trail) if effects.later), None)
    if later is None:
        return journey
    decision = decided(steps, until, beside, refuse_from, False, later.step)
    if waits_for(journey, later):
        journey, effects = begin(later, decision, NOW + 1000, known=journey)
    else:
        journey, effects = resume(journey, later, decision, NOW + 1000)
    trail.append(effects)
    assert not waits_for(journey, later)
    assert not asks_for(journey, later)
    return journey


@settings(max_examples=400)
@given(
    st.lists(outcomes, max_size=12),
    st.integers(1, 3),
    st.sampled_from(["submitted", "delivered", "read"]),
    st.integers(0, 2),
    st.integers(1, 4),
    st.booleans(),
)
def test_laws(sequence: list[Outcome], steps: int, until: Until, beside: int, refuse_from: int, hold: bool) -> None:
    journey, trail = run(sequence, steps=steps, until=until, beside=beside, refuse_from=refuse_from, hold=hold)
    edrs = [edr for effects in trail for edr in effects.edrs]
    assert journey.final
    assert sum(edr.final for edr in edrs) == 1, "exactly one end"
    assert len({edr.id for edr in edrs}) == len(edrs), "every record has an id of its own"
    end = next(index for index, effects in enumerate(trail) if any(edr.final for edr in effects.edrs))
    for effects in trail[end + 1 :]:
        assert effects.again is None
        assert effects.later is None
        assert effects.delivery is None
        assert all(edr.correction or edr.duplicate or edr.event == "read" for edr in effects.edrs)
    cancelled = any(edr.final and edr.event == "cancelled" for edr in edrs)
    before = [edr for effects in trail[:end] for edr in effects.edrs]
    assert not (cancelled and any(edr.event == "submitted" for edr in before)), "what was sent is not cancelled"
    begun = [delivery.step for effects in trail for delivery in effects.deliveries]
    assert begun == sorted(set(begun)), "every step begins at most once, in order"
    assert journey.final == (not journey.open and journey.notification is None)
    asked = [effects.again.step for effects in trail if effects.again]
    assert asked == sorted(set(asked)), "every step begins at most once, in order"


@given(st.integers(1, 3), st.lists(outcomes, max_size=8))
def test_a_row_survives_its_encoding_and_the_input_is_not_touched(steps: int, sequence: list[Outcome]) -> None:
    journey, _ = begin(NOTIFICATION, send(1, steps=steps, parts=2), NOW)
    for outcome in sequence:
        before = msgspec.msgpack.encode(journey)
        after, _ = advance(journey, outcome, NOW + 50)
        assert msgspec.msgpack.encode(journey) == before
        journey = msgspec.msgpack.decode(msgspec.msgpack.encode(after), type=Journey)
        assert journey == after
