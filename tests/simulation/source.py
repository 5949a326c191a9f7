"""The customer's database: it knows some of the users, takes its time, and is away for a while in some worlds."""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from inm.core.sources import Kind, Row
from inm.sources.base import Client, SourceError
from tests.simulation.loop import START, VirtualLoop

KNOWN = [f"u{number}" for number in range(9)]


class Crm(Client):
    """One for all workers of a world."""

    def __init__(self, loop: VirtualLoop, random: Random, trace: Callable[[str], None], rough: float) -> None:
        self._loop = loop
        self._random = random
        self._trace = trace
        self._rough = rough
        self._away = (random.random() * 5, random.choice((0.0, 0.0, 4.0, 12.0)))

    async def fetch(self, kind: Kind, keys: Sequence[str]) -> Mapping[str, list[Row] | str]:
        chance = self._random.random()
        await self._loop.pulse(3.0 if chance < self._rough / 4 else self._random.random() * 0.05)
        begins, lasts = self._away
        if begins < self._loop.now - START < begins + lasts or chance < self._rough / 2:
            self._trace(f"the source fails for {', '.join(keys)}")
            raise SourceError("unreachable", "away")
        self._trace(f"the source is asked for {', '.join(keys)}")
        return {key: [_row(key)] for key in keys if key in KNOWN}


def _row(key: str) -> Row:
    return {"id": key, "lang": "it" if key[-1] in "02468" else None, "msisdn": f"+39333111220{key[1:]}", "mail": f"{key}@customer.example"}
