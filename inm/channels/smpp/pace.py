"""How fast an SMSC lets itself be written to."""

from inm.core.throttle import Throttle

GROWTH = 0.02
"""Of the best goodput, a second, after a cut."""
CUT = 0.95
"""Of the measured goodput."""
SPAN = 1.0
"""Seconds over which goodput is measured: most SMSCs count by the second."""
HOLD = 0.1
"""Seconds of silence after a throttled answer as long as no goodput is known."""


class Pace(Throttle):
    """A throttle whose rate an SMSC may cut. ``limit`` is the agreed rate; ``None`` is no limit until the SMSC throttles."""

    def __init__(self, limit: float | None = None) -> None:
        super().__init__(limit)
        self._limit = limit
        self._grown = 0.0
        self._held = 0.0
        self._accepted = 0
        self._since: float | None = None
        self._goodput: float | None = None
        self._best = 0.0
        self._cut = float("-inf")

    def limit(self, rate: float | None) -> None:
        """Set the agreed rate; a worker's share changes as partitions move."""
        self._limit = rate
        if rate is not None and (self.rate is None or self.rate > rate or not self._best):
            self.rate = rate
        elif rate is None and not self._best:
            self.rate = None

    def wait(self, now: float) -> float:
        """See :class:`~inm.core.throttle.Throttle`."""
        if now < self._held:
            return self._held - now
        self._grow(now)
        return super().wait(now)

    def accepted(self, now: float) -> None:
        """Count one part that the SMSC took."""
        self._measure(now)
        self._accepted += 1

    def throttled(self, now: float) -> None:
        """The SMSC asked to slow down: at most once a span, cut the rate to what it really takes."""
        self._measure(now)
        if self._goodput is None:
            self._held = now + HOLD
        elif now - self._cut >= SPAN:
            # What this span has brought already counts too: the one before it may have been idle.
            goodput = max(self._goodput, self._accepted / SPAN)
            self._best = max(goodput, CUT * self._best)
            self.rate = max(1.0, CUT * goodput, (self.rate or 0.0) / 2)
            self._cut = now

    def _measure(self, now: float) -> None:
        """Close the span if it is over."""
        if self._since is None:
            self._since = now
        elapsed = now - self._since
        if elapsed >= SPAN:
            self._goodput, self._accepted, self._since = self._accepted / elapsed, 0, now

    def _grow(self, now: float) -> None:
        elapsed, self._grown = now - self._grown, now
        if self.rate is not None:
            self.rate += min(elapsed, SPAN) * GROWTH * self._best
            if self._limit is not None:
                self.rate = min(self.rate, self._limit)
