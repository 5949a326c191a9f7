"""The pace against SMSCs of known capacity, in simulated time."""

import pytest

from inm.channels.smpp.pace import Pace


def run(pace: Pace, capacity: int, seconds: float, *, at: float = 0.0) -> tuple[int, int]:
    """Write as the pace allows to an SMSC that counts by the second; accepted and throttled of the last ten seconds."""
    accepted = throttled = used = 0
    now, second = at, -1
    while now < at + seconds:
        if int(now) != second:
            second, used = int(now), 0
        wait = pace.wait(now)
        if wait:
            now += max(wait, 0.0001)
            continue
        used += 1
        last = now >= at + seconds - 10
        if used <= capacity:
            pace.accepted(now)
            accepted += last
        else:
            pace.throttled(now)
            throttled += last
        now += 0.0001
    return accepted, throttled


@pytest.mark.parametrize("limit", [None, 5000.0])
def test_it_finds_the_capacity_of_an_smsc(limit: float | None) -> None:
    accepted, throttled = run(Pace(limit), 500, 40)
    assert accepted > 0.9 * 5000
    assert throttled < 0.06 * accepted


def test_it_follows_when_the_capacity_changes() -> None:
    pace = Pace(None)
    run(pace, 500, 20)
    accepted, throttled = run(pace, 50, 20, at=20)
    assert accepted > 0.85 * 500
    assert throttled < 0.3 * accepted
    accepted, _ = run(pace, 500, 120, at=40)
    assert accepted > 0.85 * 5000


def test_an_agreed_rate_is_kept_and_not_grown_over() -> None:
    accepted, throttled = run(Pace(100.0), 10_000, 30)
    assert throttled == 0
    assert 990 <= accepted <= 1010


def test_without_limit_or_throttling_nothing_waits() -> None:
    pace = Pace(None)
    assert not any(pace.wait(0.0) for _ in range(100_000))


def test_a_share_of_the_rate_can_be_set() -> None:
    pace = Pace(100.0)
    pace.limit(50.0)
    assert run(pace, 10_000, 20)[0] == pytest.approx(500, abs=10)
    pace.limit(200.0)
    assert run(pace, 10_000, 20, at=20)[0] == pytest.approx(2000, abs=20)


def test_a_full_smsc_slows_it_down_but_never_stops_it() -> None:
    pace = Pace(None)
    run(pace, 0, 30)
    assert pace.rate is not None
    assert pace.rate >= 1.0
