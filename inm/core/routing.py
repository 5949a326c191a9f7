"""Which route a message goes by: of those that its tenant may use, by number, weight and health."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from msgspec import Struct

from inm.core.health import FLOORS, Level


class Option(NamedTuple):
    """What is set of a route. ``weight`` 0: only when no other can; no ``prefixes``: it takes every address."""

    name: str
    weight: float = 1.0
    prefixes: tuple[str, ...] = ()

    def reach(self, number: str) -> int:
        """How many characters of the number its longest matching prefix has; -1 if it does not take it."""
        if not self.prefixes:
            return 0
        return max((len(prefix) for prefix in self.prefixes if number.startswith(prefix)), default=-1)


@dataclass(frozen=True, repr=False)
class Ported:
    """Numbers that have moved to another network: the prefix under which each is to be looked up. 10 bytes a number."""

    numbers: Sequence[int] = ()
    """Sorted, without plus."""
    places: Sequence[int] = ()
    """Of their prefixes."""
    prefixes: Sequence[str] = ()

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str]]) -> "Ported":
        """Rows of number and prefix, both with plus. ``OverflowError`` if there are over 65 536 prefixes."""
        found = sorted((int(number), prefix) for number, prefix in rows)
        prefixes = sorted({prefix for _, prefix in found})
        places = {prefix: place for place, prefix in enumerate(prefixes)}
        return cls(array("Q", (number for number, _ in found)), array("H", (places[prefix] for _, prefix in found)), prefixes)

    def network(self, address: str) -> str:
        """What the routes' prefixes are compared with."""
        if not (self.numbers and address.startswith("+") and address[1:].isdecimal() and len(address) <= 18):
            return address
        number = int(address)
        place = bisect_left(self.numbers, number)
        moved = place < len(self.numbers) and self.numbers[place] == number
        return self.prefixes[self.places[place]] if moved else address


def choose(
    names: Sequence[str],
    options: Mapping[str, Option],
    health: Callable[[str], float],
    number: str,
    seed: str,
    without: Collection[str] = (),
) -> str | None:
    """The route for ``number`` (as :meth:`Ported.network` has it), of ``names`` less those ``without``; None if none is left.

    Those with the longest matching prefix first; among them by weight times health, the same one for the same ``seed``.
    While all of them are sick, the next shorter prefix; those of weight 0 come last. The best of the sick, if there are only such.
    """
    able = [options[name] for name in names if name not in without and name in options and options[name].reach(number) >= 0]
    if len(able) < 2:  # as a rule: nothing to weigh
        return able[0].name if able else None
    ranked = sorted(able, key=lambda option: (option.weight == 0, -option.reach(number)))
    while ranked:
        rank = [option for option in ranked if _rank(option, number) == _rank(ranked[0], number)]
        fit = [option for option in rank if health(option.name) >= FLOORS["ailing"]]
        if fit:
            return _drawn(fit, health, seed)
        ranked = ranked[len(rank) :]
    return max(able, key=lambda option: health(option.name)).name


def _rank(option: Option, number: str) -> tuple[bool, int]:
    return option.weight == 0, option.reach(number)


def _drawn(options: Sequence[Option], health: Callable[[str], float], seed: str) -> str:
    """By weighted rendezvous: when a weight changes, only what goes to or from that route goes elsewhere."""

    def score(option: Option) -> float:
        digest = blake2b(f"{seed}/{option.name}".encode(), digest_size=8).digest()
        chance = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
        return -math.log(chance) / ((option.weight or 1.0) * health(option.name))

    return min(options, key=score).name


class Order(Struct, tag="order", omit_defaults=True):
    """An operator has put a route out, or back; on ``inm.routes`` under the route's name."""

    route: str
    out: bool
    why: str
    by: str
    at: int


class Condition(Struct, tag="condition", omit_defaults=True):
    """A worker finds a route better or worse than before; on ``inm.routes`` under the names of route and worker."""

    route: str
    worker: str
    level: Level
    before: Level
    health: float
    reason: str
    at: int


Event = Order | Condition


def event_key(event: Event) -> bytes:
    """The key of an event on ``inm.routes``, of which the newest record is kept."""
    return (event.route if isinstance(event, Order) else f"{event.route}/{event.worker}").encode()
