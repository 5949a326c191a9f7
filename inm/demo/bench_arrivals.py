"""When parts came to the SMSC, by its own notes, and what that says of a route: how much of its rate is used, and its busiest second."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from inm.demo.census import percentiles

EDGE = 5.0
"""Seconds at the begin and at the end of a campaign in which its route need not be full."""


class Span(NamedTuple):
    """From one moment to another, in monotonic seconds."""

    begin: float
    end: float

    def meets(self, begin: float, end: float) -> bool:
        """Whether something that went on meanwhile falls into it."""
        return begin <= self.end and end >= self.begin


class Arrival(NamedTuple):
    """A part at the SMSC: monotonic seconds, and its number without the plus."""

    at: float
    number: str


class Arrivals:
    """What an SMSC that still runs has noted (``inm.demo.smsc --log``)."""

    def __init__(self, file: Path) -> None:
        self.all: list[Arrival] = []
        self.first: dict[str, float] = {}
        """When each number had its first part."""
        self._file = file
        self._read = 0

    def look(self) -> None:
        """Read what is new; a line that is not whole yet is read the next time."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode().splitlines():
            at, number = line.split()
            self.all.append(Arrival(float(at), number))
            self.first.setdefault(number, float(at))

    def of(self, numbers: Collection[str]) -> list[float]:
        """When these numbers had their parts."""
        return [at for at, number in self.all if number in numbers]

    def doubles(self) -> set[str]:
        """Numbers that have more than one part."""
        return {number for number, parts in Counter(number for _, number in self.all).items() if parts > 1}


def busiest(times: Sequence[float]) -> tuple[int, float]:
    """The most within any second, wherever it begins, and when that is. ``times`` in order, at least one."""
    return max(((bisect_left(times, at + 1.0) - place, at) for place, at in enumerate(times)), key=lambda found: found[0])


def used(times: Sequence[float], campaign: Span, rate: float, without: Span | None = None) -> float | None:
    """The share of ``rate`` in the whole seconds between a campaign's edges but for those that meet ``without``; None if there is none."""
    begins = [campaign.begin + EDGE + second for second in range(int(campaign.end - campaign.begin - 2 * EDGE))]
    counted = [at for at in begins if without is None or not without.meets(at, at + 1.0)]
    if not counted:
        return None
    parts = sum(bisect_left(times, at + 1.0) - bisect_left(times, at) for at in counted)
    return round(parts / len(counted) / rate, 4)


def waits(sent: Mapping[str, float], first: Mapping[str, float], without: Span | None = None) -> list[int]:
    """Milliseconds from send to arrival by number, of what came and was not under way during ``without``."""
    under_way = ((at, first[number]) for number, at in sent.items() if number in first)
    return [round((came - at) * 1000) for at, came in under_way if without is None or not without.meets(at, came)]


def ranks(values: Iterable[int]) -> dict[str, int | None]:
    """p50, p95, p99 and the largest."""
    found = list(values)
    return percentiles(found) | {"max": max(found, default=None)}
