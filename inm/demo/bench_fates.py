"""What the event detail records say of messages that did not come to the provider, or came twice."""

from collections import Counter
from collections.abc import Collection
from typing import Any

import msgspec

from inm.core.edr import Event


class _Edr(msgspec.Struct):
    event: Event
    final: bool = False
    to: str | None = None
    redelivered: bool = False
    duplicate: bool = False


_decode = msgspec.json.Decoder(_Edr).decode


class Fates:
    """Feed it every EDR; it remembers what is said of some numbers (without the plus)."""

    def __init__(self, numbers: Collection[str]) -> None:
        self._numbers = numbers
        self._finals: dict[str, str] = {}
        self._marked: set[str] = set()

    def add(self, value: bytes) -> None:
        """Take in an EDR."""
        edr = _decode(value)
        number = (edr.to or "").removeprefix("+")
        if number not in self._numbers:
            return
        if edr.final:
            self._finals[number] = edr.event
        if edr.redelivered or edr.duplicate:
            self._marked.add(number)

    def missing(self, numbers: Collection[str]) -> dict[str, Any]:
        """Of numbers without a message, those are explained whose end says that nobody knows whether it arrived."""
        return self._told(numbers, {number for number in numbers if self._finals.get(number) == "unknown"})

    def double(self, numbers: Collection[str]) -> dict[str, Any]:
        """Of numbers with several copies, those are explained of which a record is marked, or nobody knows."""
        return self._told(numbers, {number for number in numbers if number in self._marked or self._finals.get(number) == "unknown"})

    def _told(self, numbers: Collection[str], explained: Collection[str]) -> dict[str, Any]:
        finals = Counter(self._finals.get(number, "open") for number in numbers)
        return {"numbers": len(numbers), "explained": len(explained), "finals": dict(sorted(finals.items()))}
