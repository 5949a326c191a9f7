"""A circuit breaker: after some failures in a row nobody is asked for a while, then one is, to see."""

from dataclasses import dataclass

FAILURES = 3
"""In a row, that open it."""
FIRST, LONGEST = 1.0, 30.0
"""Seconds it stays open: doubling from the first to the longest, as long as the probes fail."""


@dataclass(slots=True)
class Breaker:
    """Time is in seconds of any clock that does not go back."""

    _failed: int = 0
    _opened: int = 0
    _until: float = 0.0
    _probing: bool = False

    @property
    def open(self) -> bool:
        """Whether the source counts as failing."""
        return self._opened > 0

    def admits(self, now: float) -> bool:
        """Whether a call may begin; while open, one at a time and not before its time. Its end must be told."""
        if not self.open:
            return True
        if self._probing or now < self._until:
            return False
        self._probing = True
        return True

    def told(self, well: bool, now: float) -> None:
        """How a call that began has ended."""
        if well:
            self._failed = self._opened = 0
            self._probing = False
            return
        self._failed += 1
        if self._probing or (not self.open and self._failed >= FAILURES):
            self._until = now + min(LONGEST, FIRST * 2**self._opened)
            self._opened = min(self._opened + 1, 10)
            self._probing = False
