"""How fast a route may be written to: parts a second, and how much of that is one worker's."""

from collections import deque
from math import ceil

WINDOW = 1.01
"""Seconds in which a rate is never exceeded: providers count by the second, nobody knows where theirs begins, and what was written a
hundredth of a second before it may arrive in it. At the pace of :data:`MARGIN` that holds by itself."""
MARGIN = 0.99
"""Share of the rate that is used in the long run. What leaves evenly arrives unevenly: without it, a provider's own seconds had more."""
CATCH_UP = 0.15
"""Seconds of its rate that a route may make up for at once: what it could not write while the process was busy. Two parts at least."""


def share(rate: float | None, held: int, partitions: int) -> float | None:
    """Parts a second of a worker that holds so many of the partitions. The shares of all workers add up to the rate; None is no limit."""
    return None if rate is None else rate * held / partitions


def slot(last: int, parts: int, rate: float, now: int) -> int:
    """When (ms) what makes way for others comes back: behind the ``last`` one, at the route's pace, and in a second at the soonest."""
    return max(last, now + 1000) + ceil(1000 * parts / rate)


class Throttle:
    """Parts a second, of which no second ever has more. ``None`` is no limit. Times are seconds of any one clock.

    Two laws hold for any times at which it is asked: no span of :data:`WINDOW`, wherever it begins, has more parts than the
    rate (rounded up to whole parts); and while it is asked all the time, at least 97 % of the rate is used.
    """

    def __init__(self, rate: float | None = None) -> None:
        self.rate = rate
        self.answer_time = 0.0
        """Seconds that the provider took to answer, on average of the last messages."""
        self._tokens = 1.0
        self._refilled: float | None = None
        self._written: deque[float] = deque()

    def answered(self, seconds: float) -> None:
        """The provider took so long to answer one message, from the moment that it was written."""
        self.answer_time += (seconds - self.answer_time) / 16

    def limit(self, rate: float | None) -> None:
        """Set the rate. What was written in the last second counts against it."""
        self.rate = rate

    def wait(self, now: float) -> float:
        """Seconds until the next part may be written; 0 takes its place in the count."""
        if self.rate is None:
            return 0.0
        if self.rate <= 0:
            return WINDOW
        wait = max(self._until_token(now, self.rate), self._until_room(now, self.rate))
        if wait > 0:
            return wait
        self._tokens -= 1.0
        self._written.append(now)
        return 0.0

    def _until_token(self, now: float, rate: float) -> float:
        elapsed = 0.0 if self._refilled is None else now - self._refilled
        self._refilled = now
        self._tokens = min(self._tokens + elapsed * rate * MARGIN, max(2.0, rate * CATCH_UP))
        return (1.0 - self._tokens) / (rate * MARGIN)

    def _until_room(self, now: float, rate: float) -> float:
        written = self._written
        while written and written[0] <= now - WINDOW:
            written.popleft()
        over = len(written) - ceil(rate)
        return 0.0 if over < 0 else written[over] + WINDOW - now
