"""How fast a route may be written to: parts a second, and how much of that is one worker's."""

from bisect import insort
from collections import deque
from math import ceil

WINDOW = 1.01
"""Seconds in which a rate is never exceeded: providers count by the second, nobody knows where theirs begins, and what was written
a hundredth of a second before it may arrive in it. At the pace of :data:`MARGIN` that holds by itself."""
MARGIN = 0.99
"""Share of the rate that is used in the long run. What leaves evenly arrives unevenly: without it, a provider's own seconds had more."""
CATCH_UP = 0.15
"""Seconds of its rate that a route may make up for at once: what it could not write while the process was busy. Two parts at least."""
LATELY = 4
"""Answers of which the shortest tells how far a provider is behind: one that takes its time for a single message is not behind."""
SLOW = 0.005
"""Seconds that a write may take without being late."""
ALONE = 0.04
"""Seconds by which an answer alone may tell that it is."""
SLOWER = 20.0
"""Seconds in which a provider's shortest answer time follows it to a longer one, for two thirds of the way."""
MOMENT = 0.1
"""Seconds of these that one answer counts for at most: one that comes after a standstill says little."""


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

    A provider counts what arrives, not what is written. While it is behind with its answers, or if we stood still between looking at the
    clock and writing, parts count from when they can have arrived at the latest.
    """

    def __init__(self, rate: float | None = None) -> None:
        self.rate = rate
        self.answer_time = 0.0
        """Seconds that the provider took to answer, on average of the last messages."""
        self._tokens = 1.0
        self._refilled: float | None = None
        self._open: deque[float] = deque()
        """When each part was written of those that are not answered, as far as that is less than :data:`WINDOW` ago."""
        self._arrived: deque[float] = deque()
        """When each of the others had arrived."""
        self._least: float | None = None
        """The shortest answer time."""
        self._heard = 0.0
        """When an answer came last."""
        self._lately: deque[float] = deque(maxlen=LATELY)
        """By how much more the last answers took."""

    def wrote(self, looked: float, now: float) -> None:
        """What :meth:`wait` let go at ``looked`` has left by ``now``: the process may have stood still in between."""
        if now - looked < SLOW:
            return
        late = 0
        while self._open and self._open[-1] >= looked:
            self._open.pop()
            late += 1
        self._open.extend([now] * late)

    def answered(self, now: float, written: float, overtaken: bool = False) -> None:
        """The provider has answered a message that was written at that time.

        ``overtaken``: it has answered what came after that before, or may have. Then it took its time, and is not behind.
        """
        seconds = now - written
        self.answer_time += (seconds - self.answer_time) / 16
        if self.rate is None:
            return
        least = seconds if self._least is None else self._least
        self._least = min(seconds, least + (seconds - least) * min(now - self._heard, MOMENT) / SLOWER)
        self._heard = now
        late = 0.0 if overtaken else seconds - self._least
        self._lately.append(late)
        if written in self._open:
            self._open.remove(written)
            insort(self._arrived, written + max(min(late, ALONE), min(self._lately)))

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
        self._open.append(now)
        return 0.0

    def _until_token(self, now: float, rate: float) -> float:
        elapsed = 0.0 if self._refilled is None else now - self._refilled
        self._refilled = now
        self._tokens = min(self._tokens + elapsed * rate * MARGIN, max(2.0, rate * CATCH_UP))
        return (1.0 - self._tokens) / (rate * MARGIN)

    def _until_room(self, now: float, rate: float) -> float:
        for times in (self._arrived, self._open):
            while times and times[0] <= now - WINDOW:
                times.popleft()
        over = len(self._arrived) + len(self._open) - ceil(rate)
        if over < 0:
            return 0.0
        first = self._arrived[over] if over < len(self._arrived) else self._open[over - len(self._arrived)]
        return first + WINDOW - now
