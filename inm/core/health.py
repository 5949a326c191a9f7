"""How well a route does: what its answers and receipts were lately. It falls with faults, and recovers by itself as they pass."""

from typing import Literal, NamedTuple

from inm.core.results import Answer, Result

Level = Literal["well", "ailing", "sick"]

HALF_LIFE = 10.0
"""Seconds after which an answer or a receipt counts half."""
PRIOR = 10.0
"""Good answers, and prompt receipts, that a route is credited with: one fault in a quiet hour is not half of the truth."""
FLOORS: dict[Level, float] = {"well": 0.8, "ailing": 0.4, "sick": 0.0}
"""The health from which on a route is at a level."""
RECOVERED = 0.05
"""How far above the floor of a better level it must be to count as better: no coming and going on the line."""
FAULTS = frozenset({Result.TEMPORARY, Result.ROUTE_FAULT, Result.UNKNOWN})
"""What speaks against the route. A refused address or text speaks of the message, and ``throttled`` of its sender."""


class Change(NamedTuple):
    """A route has become better or worse."""

    before: Level
    level: Level
    health: float
    reason: str


class _Share:
    """How much of what came lately was good. Times are seconds."""

    def __init__(self) -> None:
        self.good = self.bad = 0.0
        self._at = 0.0

    def add(self, good: bool, now: float) -> None:
        self._fade(now)
        if good:
            self.good += 1.0
        else:
            self.bad += 1.0

    def value(self, now: float) -> float:
        self._fade(now)
        return (self.good + PRIOR) / (self.good + self.bad + PRIOR)

    def _fade(self, now: float) -> None:
        fading = 0.5 ** (max(0.0, now - self._at) / HALF_LIFE)
        self.good *= fading
        self.bad *= fading
        self._at = max(self._at, now)


class Health:
    """One route as one worker knows it: 1 is well, 0 is gone. Faults weigh whole; slow receipts take half of it at most."""

    def __init__(self, slow_receipt: float) -> None:
        """``slow_receipt`` is the time (s) from submit to receipt above which it counts as slow."""
        self.level: Level = "well"
        self._slow_receipt = slow_receipt
        self._answers = _Share()
        self._receipts = _Share()
        self._fault = ""

    def answered(self, answer: Answer, now: float) -> None:
        """Count an answer of the provider."""
        if answer.result is Result.THROTTLED:
            return
        fault = answer.result in FAULTS
        self._answers.add(not fault, now)
        if fault:
            self._fault = " ".join(filter(None, (answer.reason, answer.code)))

    def reported(self, after: float, now: float) -> None:
        """Count a receipt that came so many seconds after its submit."""
        self._receipts.add(after <= self._slow_receipt, now)

    def value(self, now: float) -> float:
        """The health now."""
        return self._answers.value(now) * (0.5 + 0.5 * self._receipts.value(now))

    def change(self, now: float) -> Change | None:
        """The change of level since the last time that this was asked, with its reason."""
        value, before = self.value(now), self.level
        level = next(level for level, floor in FLOORS.items() if value >= floor + (RECOVERED if _better(level, before) else 0.0))
        if level == before:
            return None
        self.level = level
        return Change(before, level, value, self._reason(now) if _better(before, level) else "fewer faults lately")

    def _reason(self, now: float) -> str:
        answers, receipts = self._answers.value(now), self._receipts.value(now)
        if answers <= 0.5 + 0.5 * receipts:
            return f"{self._answers.bad:.0f} of the last {self._answers.good + self._answers.bad:.0f} answers were faults: {self._fault}"
        slow, all_of_them = self._receipts.bad, self._receipts.good + self._receipts.bad
        return f"{slow:.0f} of the last {all_of_them:.0f} receipts took over {self._slow_receipt:g} s"


def _better(one: Level, other: Level) -> bool:
    return FLOORS[one] > FLOORS[other]
