"""What every fault needs: an installation under traffic, chance, and time to let the damage be felt."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from inm.demo.installation import Installation
from inm.demo.run import Run

T = TypeVar("T")


class Unable(Exception):
    """A fault cannot be made here; the words say why. Nothing is broken."""


class Breaker:
    """Breaks an installation with ``workers`` workers while ``run`` sends to it; the same seed makes the same choices."""

    def __init__(self, installation: Installation, run: Run, workers: int, seed: int, pace: float = 1.0) -> None:
        """``pace`` stretches all waits and sizes: tests are shorter than a run of hours."""
        self.installation = installation
        self.run = run
        self.names = [f"worker-{number}" for number in range(1, workers + 1)]
        self.pace = pace
        self._chance = random.Random(seed)

    def choose(self, among: Sequence[T]) -> T:
        """One of these."""
        return self._chance.choice(among)

    def worker(self) -> str:
        """The name of one worker."""
        return self.choose(self.names)

    def two_workers(self) -> tuple[str, str]:
        """The names of two workers; the same twice if there is one."""
        first, second = self._chance.sample(self.names, 2) if len(self.names) > 1 else self.names * 2
        return first, second

    async def rest(self, shortest: float, longest: float) -> None:
        """Wait for some time between these seconds."""
        await asyncio.sleep(self._chance.uniform(shortest, longest) * self.pace)

    def many(self, count: int) -> int:
        """So many, or fewer in a short run."""
        return max(1, round(count * self.pace))

    async def start(self, names: Iterable[str]) -> None:
        """Start workers at once and wait for all."""
        await asyncio.gather(*(self.installation.start_worker(name) for name in names))


Fault = Callable[[Breaker], Awaitable[None]]
"""Breaks something, waits, and leaves it mended. Raises :class:`Unable`."""
