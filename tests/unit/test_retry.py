"""The schedule of retries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.results import Result
from inm.core.retry import REOFFER, RESEND, SCHEDULE, next_attempt

NOW = 1_000_000
FAR = NOW + 10**9
deliveries = st.integers(1, 9).map(lambda attempt: f"3-abc.1.{attempt}")


@given(st.integers(1, len(SCHEDULE)), deliveries)
def test_temporary_failures_follow_the_schedule_within_its_variation(attempt: int, delivery: str) -> None:
    due = next_attempt(Result.TEMPORARY, attempt, NOW, FAR, delivery)
    assert due is not None
    assert 0.9 * SCHEDULE[attempt - 1] * 1000 <= due - NOW <= 1.1 * SCHEDULE[attempt - 1] * 1000
    assert due == next_attempt(Result.TEMPORARY, attempt, NOW, FAR, delivery)


def test_deliveries_that_failed_together_do_not_come_back_together() -> None:
    assert len({next_attempt(Result.TEMPORARY, 1, NOW, FAR, f"3-abc{number}.1.1") for number in range(100)}) > 50


@pytest.mark.parametrize("result", REOFFER)
@given(attempt=st.integers(1, 1000), now=st.integers(0, NOW))
def test_what_is_no_attempt_is_offered_again_until_it_expires(result: Result, attempt: int, now: int) -> None:
    due = next_attempt(result, attempt, now, FAR, "3-abc.1.1")
    assert due is not None
    assert REOFFER[result][0] <= due - now <= REOFFER[result][1]
    assert next_attempt(result, attempt, now, now + 999, "3-abc.1.1") is None


def test_exhausted_expired_and_hopeless() -> None:
    assert next_attempt(Result.TEMPORARY, len(SCHEDULE) + 1, NOW, FAR, "d") is None
    assert next_attempt(Result.TEMPORARY, 1, NOW, NOW + 4000, "d") is None
    assert next_attempt(Result.UNKNOWN, 1, NOW, FAR, "d") == NOW + RESEND
    assert next_attempt(Result.UNKNOWN, len(SCHEDULE) + 1, NOW, FAR, "d") is None
    for result in (Result.SENT, Result.PERMANENT, Result.INVALID_ADDRESS, Result.NOT_ALLOWED):
        assert next_attempt(result, 1, NOW, FAR, "d") is None
