"""The throttle's laws, in simulated time: no second has more than the rate, and the rate is used."""

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inm.core.throttle import LATELY, Throttle, share, slot

RATES = st.one_of(st.integers(1, 60).map(float), st.floats(0.2, 60.0))
GAPS = st.lists(st.one_of(st.just(0.0), st.floats(0.0, 0.05), st.floats(0.0, 2.0)), min_size=1, max_size=200)


def writes(throttle: Throttle, at: float) -> list[float]:
    """Write as many parts as may be written now; their times."""
    times = []
    while throttle.wait(at) == 0.0:
        times.append(at)
    return times


def busiest(times: list[float]) -> int:
    """The most parts that any second has, wherever it begins."""
    return max((bisect_left(times, begin + 1.0) - number for number, begin in enumerate(times)), default=0)


def saturated(throttle: Throttle, seconds: float, lag: Random, *, at: float = 0.0) -> list[float]:
    """The times of parts of which there are always more to write; whoever waits is woken up to 10 ms late."""
    times: list[float] = []
    end = at + seconds
    while at < end:
        wait = throttle.wait(at)
        if wait:
            at += wait + lag.random() * 0.01
        else:
            times.append(at)
    return times


@given(RATES, GAPS)
def test_no_second_has_more_than_the_rate(rate: float, gaps: list[float]) -> None:
    throttle = Throttle(rate)
    assert busiest([at for moment in accumulate(gaps) for at in writes(throttle, moment)]) <= math.ceil(rate)


@given(st.lists(st.tuples(RATES, GAPS), min_size=2, max_size=4))
def test_nor_when_the_share_changes(spells: list[tuple[float, list[float]]]) -> None:
    throttle, now = Throttle(spells[0][0]), 0.0
    times: list[float] = []
    for rate, gaps in spells:
        throttle.limit(rate)
        for gap in gaps:
            now += gap
            fresh = writes(throttle, now)
            times += fresh
            assert not fresh or len(times) - bisect_right(times, now - 1.0) <= math.ceil(rate)


@pytest.mark.parametrize("rate", [1.0, 7.0, 83.3, 500.0, 5000.0])
def test_nearly_all_of_the_rate_is_used(rate: float) -> None:
    times = saturated(Throttle(rate), 30.0, Random(1))
    assert 0.97 * rate * 30 <= len(times) <= 1.0 * rate * 30 + 1


def test_what_a_busy_process_could_not_write_is_made_up_for() -> None:
    """Every second the process does something else for 120 ms."""
    throttle, now, times = Throttle(500.0), 0.0, list[float]()
    while now < 30.0:
        times += writes(throttle, now)
        now += 0.12 if now % 1.0 < 0.002 else 0.002
    assert len(times) >= 0.97 * 500 * 30
    assert busiest(times[-2000:]) <= 500


def test_an_idle_route_saves_nothing_up_for_later() -> None:
    throttle = Throttle(100.0)
    assert len(writes(throttle, 1.0)) == 1
    assert len(writes(throttle, 3600.0)) == 15


def test_the_wait_is_as_long_as_it_says() -> None:
    throttle = Throttle(4.0)
    assert throttle.wait(0.0) == 0.0
    wait = throttle.wait(0.0)
    assert 0.2 < wait < 0.3
    assert throttle.wait(wait * 0.9) > 0
    assert throttle.wait(wait) == 0.0


def test_without_a_rate_nothing_waits_and_with_none_left_everything() -> None:
    assert writes_at_once(Throttle(None)) == 1000
    assert writes_at_once(Throttle(0.0)) == 0


def writes_at_once(throttle: Throttle) -> int:
    return sum(throttle.wait(0.0) == 0.0 for _ in range(1000))


@given(st.floats(0.1, 10_000.0), st.lists(st.integers(0, 20), min_size=1, max_size=8).filter(any))
def test_the_shares_of_all_workers_are_the_whole(rate: float, held: list[int]) -> None:
    shares = [share(rate, partitions, sum(held)) for partitions in held]
    assert sum(part for part in shares if part is not None) == pytest.approx(rate)
    assert share(None, 1, 6) is None


def test_two_workers_together_keep_to_the_rate() -> None:
    """Also while one is gone and its partitions come back to it."""
    one, two, lag = Throttle(share(500.0, 3, 6)), Throttle(share(500.0, 3, 6)), Random(2)
    times = saturated(one, 5.0, lag) + saturated(two, 5.0, lag)
    one.limit(share(500.0, 6, 6))
    times += saturated(one, 5.0, lag, at=5.2)
    one.limit(share(500.0, 3, 6))
    times += saturated(one, 5.0, lag, at=10.5) + saturated(Throttle(share(500.0, 3, 6)), 5.0, lag, at=10.5)
    assert busiest(sorted(times)) <= 510
    assert len(times) >= 0.97 * 500 * 15


class Peer:
    """Reads and answers in order, at once after ``away`` seconds on the wire, but not while it stands still."""

    def __init__(self, away: float, stands: Sequence[tuple[float, float]]) -> None:
        self.arrived: list[float] = []
        self.away = away
        self._stands = stands
        self._answers: deque[tuple[float, float]] = deque()

    def write(self, now: float, written: float) -> None:
        """``written``: when its writer thinks that it did."""
        self.arrived.append(next((end for begin, end in self._stands if begin <= now < end), now))
        self._answers.append((self.arrived[-1] + self.away, written))

    def answers(self, now: float) -> list[float]:
        """When each part was written that has an answer now."""
        found = []
        while self._answers and self._answers[0][0] <= now:
            found.append(self._answers.popleft()[1])
        return found


STILL = st.lists(st.tuples(st.floats(1.1, 2.0), st.floats(0.0, 0.6)), max_size=3)
"""How long after the last time, and for how long."""


def spans(still: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    found, at = [], 0.0
    for gap, length in still:
        found.append((at + gap, at + gap + length))
        at += gap + length
    return found


@given(STILL, STILL, st.sampled_from([0.0, 0.001, 0.05, 0.3]), st.sampled_from([20.0, 250.0, 500.0]))
@settings(max_examples=60)
def test_what_a_provider_could_not_read_counts_when_it_does(
    its: list[tuple[float, float]], ours: list[tuple[float, float]], away: float, rate: float
) -> None:
    """Also if the writer stands still between its look at the clock and the write."""
    throttle, peer, own = Throttle(rate), Peer(away, spans(its)), spans(ours)
    now = 0.0
    while now < 6.0:
        looked = now
        now = next((end for begin, end in own if begin <= now < end), now + 0.0001)
        for at in writes(throttle, looked):
            peer.write(now, at)
        throttle.wrote(looked, now)
        for at in peer.answers(now):
            throttle.answered(now, at)
        now += 0.002
    lost = sum(end - begin for begin, end in [*spans(its), *own])
    assert busiest(peer.arrived) <= rate * 1.01 + LATELY + 2
    assert len(peer.arrived) >= 0.95 * rate * (6.0 - 1.5 * lost) - 4


@pytest.mark.parametrize(("least", "most"), [(0.001, 0.05), (0.05, 0.5), (0.3, 3.0)])
@pytest.mark.parametrize("rate", [1.0, 10.0, 500.0])
def test_a_provider_that_takes_its_time_is_not_taken_for_one_that_is_behind(rate: float, least: float, most: float) -> None:
    throttle, chance = Throttle(rate), Random(1)
    under_way: list[tuple[float, float]] = []
    now = newest = written = 0.0
    while now < 20.0:
        for at in writes(throttle, now):
            heappush(under_way, (now + chance.uniform(least, most), at))
            written += 1
        while under_way and under_way[0][0] <= now:
            _, at = heappop(under_way)
            throttle.answered(now, at, at < newest)
            newest = max(newest, at)
        now += 0.002
    assert written >= 0.94 * rate * 20


@given(st.floats(0.5, 1000.0), st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 5)), min_size=1, max_size=50))
def test_what_makes_way_comes_back_one_by_one_at_the_routes_pace(rate: float, came: list[tuple[int, int]]) -> None:
    now = last = 0
    for gap, parts in came:
        now += gap
        due = slot(last, parts, rate, now)
        assert due >= now + 1000
        assert due - last >= 1000 * parts / rate
        assert due <= max(last, now + 1000) + 1000 * parts / rate + 1
        last = due
