"""The schedule of retries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.results import Result
from inm.core.retry import DEFAULT, NOT_AN_ATTEMPT, Retries, next_attempt

NOW = 1_000_000
FAR = NOW + 10**9
WAITS = st.lists(st.floats(0.1, 86_400), min_size=1, max_size=20).map(tuple)
SCHEDULES = st.builds(Retries, WAITS, WAITS, WAITS, WAITS, st.floats(0, 0.5))
deliveries = st.integers(1, 9).map(lambda attempt: f"3-abc.1.{attempt}")


def waits_of(retries: Retries, result: Result) -> tuple[float, ...]:
    return {
        Result.TEMPORARY: retries.temporary,
        Result.UNKNOWN: retries.unknown,
        Result.THROTTLED: retries.throttled,
        Result.ROUTE_FAULT: retries.route_fault,
    }[result]


@given(SCHEDULES, st.sampled_from([Result.TEMPORARY, Result.UNKNOWN]), st.integers(1, 25), deliveries)
def test_attempts_follow_the_schedule_within_its_variation_and_end_with_it(
    retries: Retries, result: Result, attempt: int, delivery: str
) -> None:
    waits = waits_of(retries, result)
    due = next_attempt(retries, result, attempt, 0, NOW, FAR, delivery)
    if attempt > len(waits):
        assert due is None
        return
    assert due is not None
    wait = waits[attempt - 1] * 1000
    assert (1 - retries.jitter) * wait - 1 <= due - NOW <= (1 + retries.jitter) * wait + 1
    assert due == next_attempt(retries, result, attempt, 0, NOW, FAR, delivery)


@given(SCHEDULES, st.sampled_from(sorted(NOT_AN_ATTEMPT)), st.integers(1, 1000), st.integers(0, 1000), st.integers(0, NOW))
def test_what_is_no_attempt_is_offered_again_until_it_expires(retries: Retries, result: Result, attempt: int, offer: int, now: int) -> None:
    rounds = waits_of(retries, result)
    due = next_attempt(retries, result, attempt, offer, now, FAR, "3-abc.1.1")
    assert due is not None
    wait = rounds[min(offer, len(rounds) - 1)] * 1000
    assert 0.5 * wait - 1 <= due - now <= 1.5 * wait + 1
    assert next_attempt(retries, result, attempt, offer, now, now + int(0.5 * wait) - 2, "3-abc.1.1") is None


@pytest.mark.parametrize("result", [Result.TEMPORARY, Result.THROTTLED])
def test_deliveries_that_failed_together_do_not_come_back_together(result: Result) -> None:
    assert len({next_attempt(DEFAULT, result, 1, 0, NOW, FAR, f"3-abc{number}.1.1") for number in range(100)}) > 50


def test_expired_and_hopeless() -> None:
    assert next_attempt(DEFAULT, Result.TEMPORARY, 1, 0, NOW, NOW + 4000, "d") is None
    for result in (Result.SENT, Result.PERMANENT, Result.INVALID_ADDRESS, Result.NOT_ALLOWED):
        assert next_attempt(DEFAULT, result, 1, 0, NOW, FAR, "d") is None


def test_without_waits_there_is_one_attempt() -> None:
    assert next_attempt(Retries(temporary=()), Result.TEMPORARY, 1, 0, NOW, FAR, "d") is None
