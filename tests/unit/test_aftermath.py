"""What follows an answer: the outcome, the next try by the same or another route, and what receipts are matched with."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.aftermath import ALL_OUT, CLOSED, CROWDED, MOVING, accepted_late, again, outcome, submissions
from inm.core.records import Content, Delivery
from inm.core.results import Answer, Result
from inm.core.retry import DEFAULT

NOW = 1_000_000
DELIVERY = Delivery(
    id="3-abc.1.1", notification="3-abc", key="acme/7", tenant="acme", scenario="otp", channel="sms", lane="normal", route="a",
    to="+39333", sender="INM", content=Content(text="hi"), template="t", version=1, language="en", step=1, attempt=1, decided=NOW,
    expires=NOW + 10**9, routes=["a", "b"],
)  # fmt: skip
ANSWERS = st.builds(Answer, st.sampled_from(Result), st.lists(st.sampled_from(["", "x", "y"]), max_size=3))


def delivery(**more: object) -> Delivery:
    return msgspec.structs.replace(DELIVERY, **more)


@given(ANSWERS, st.booleans(), st.integers(1, 9), st.integers(0, 9))
def test_the_next_try_is_another_attempt_or_another_offer_and_never_the_same_again(
    answer: Answer, other_route: bool, attempt: int, offer: int
) -> None:
    before = delivery(id=f"3-abc.1.{attempt}", attempt=attempt, offer=offer, on_unknown="resend")
    became = outcome(before, answer, True, NOW, NOW, DEFAULT, other_route)
    after = again(before, became)
    assert (after is None) == (became.retry_at is None)
    if after is not None:
        assert became.retry_at is not None
        assert became.retry_at >= NOW
        counted = answer.result in (Result.TEMPORARY, Result.UNKNOWN)
        assert (after.attempt, after.offer) == ((attempt + 1, 0) if counted else (attempt, offer + 1))
        assert after.id == f"3-abc.1.{after.attempt}"


@pytest.mark.parametrize("answer", [Answer(Result.TEMPORARY), Answer(Result.ROUTE_FAULT), Answer(Result.THROTTLED), CROWDED])
def test_another_route_is_tried_at_once_and_when_there_is_none_left_all_may_be_tried_again(answer: Answer) -> None:
    became = outcome(DELIVERY, answer, False, NOW, NOW, DEFAULT, other_route=True)
    after = again(DELIVERY, became)
    assert after
    assert (became.retry_at, after.avoid) == (NOW, ["a"])
    last = delivery(route="b", avoid=["a"])
    became = outcome(last, answer, False, NOW, NOW, DEFAULT, other_route=False)
    after = again(last, became)
    assert after
    assert became.retry_at
    assert became.retry_at > NOW
    assert after.avoid == []


@pytest.mark.parametrize("answer", [MOVING, ALL_OUT, CLOSED, Answer(Result.PERMANENT), Answer(Result.SENT, ["1"]), Answer(Result.UNKNOWN)])
def test_no_other_route_is_tried_where_it_would_not_help(answer: Answer) -> None:
    before = delivery(on_unknown="resend", reopens=NOW + 5)
    became = outcome(before, answer, False, NOW, NOW, DEFAULT, other_route=True)
    after = again(before, became)
    assert became.retry_at != NOW
    assert after is None or after.avoid == []


def test_what_a_window_holds_goes_on_when_it_opens_and_only_if_it_has_time() -> None:
    held = delivery(closes=NOW, reopens=NOW + 500)
    became = outcome(held, CLOSED, False, NOW, NOW, DEFAULT)
    after = again(held, became)
    assert after
    assert (became.retry_at, after.closes, after.offer) == (NOW + 500, None, 1)
    late = delivery(closes=NOW, reopens=NOW + 500, expires=NOW + 400)
    assert outcome(late, CLOSED, False, NOW, NOW, DEFAULT).retry_at is None


def test_attempts_are_exhausted_also_where_another_route_is_left() -> None:
    last = delivery(attempt=len(DEFAULT.temporary) + 1)
    assert outcome(last, Answer(Result.TEMPORARY), False, NOW, NOW, DEFAULT, other_route=True).retry_at is None


def test_receipts_are_matched_with_the_route_that_took_the_parts() -> None:
    became = outcome(DELIVERY, Answer(Result.SENT, ["p1", "", "p3"]), True, NOW, NOW, DEFAULT)
    read_again = delivery(route="b")
    found = [(each.route, each.provider_id, each.part, each.parts) for each in submissions(read_again, became)]
    assert found == [("a", "p1", 1, 3), ("a", "p3", 3, 3)]
    assert submissions(DELIVERY, outcome(DELIVERY, Answer(Result.SENT, ["p1"]), False, NOW, NOW, DEFAULT)) == []


def test_a_late_answer_is_an_outcome_of_its_own() -> None:
    """Also where the first one had ids of some parts, by which an outcome is named."""
    ids = ["x", "y"]
    given_up = outcome(DELIVERY, Answer(Result.UNKNOWN, ["x", ""], "no-answer"), True, NOW, NOW, DEFAULT)
    late = accepted_late(DELIVERY, Answer(Result.SENT, ids), True, NOW)
    assert late.id != given_up.id
    assert (late.late, given_up.late, late.retry_at) == (True, False, None)
    assert [(submission.provider_id, submission.part) for submission in submissions(DELIVERY, late)] == [("x", 1), ("y", 2)]
