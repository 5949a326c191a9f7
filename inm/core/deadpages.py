"""Dead letters page by page, the newest first, for those of one tenant; and whose a letter is."""

from collections import OrderedDict
from typing import Any

import msgspec
from msgspec import Struct

from inm.core.deadletters import Letter, Selection, kept, read

KEPT = 200
"""Letters that are kept while the topic is read: each may have 64 KiB."""


class Owners(Struct, frozen=True):
    """Where topics say whose their records are: ``requests`` and the tenant are a topic's name, ``keyed`` have keys ``tenant/…``.

    What goes to ``receipts`` has the key of a provider's message.
    """

    requests: str
    keyed: frozenset[str]
    receipts: str

    def tenant(self, letter: Letter) -> str:
        """Whose a letter is; empty if it is nobody's, as what a provider reported of an unknown message."""
        topic = letter.dead.topic
        if topic.startswith(self.requests):
            return topic.removeprefix(self.requests)
        return _of_key(letter, self.receipts) if topic in self.keyed else ""


def _of_key(letter: Letter, receipts: str) -> str:
    """The tenant of the key; empty if the record itself says otherwise: what others write to a topic may name two."""
    tenant = (letter.key or b"").decode(errors="replace").partition("/")[0]
    try:
        record: Any = msgspec.json.decode(kept(letter.dead) or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return tenant
    if not isinstance(record, dict):
        return tenant
    inside = record.get("tenant") or record.get("key") or tenant if record.get("topic") != receipts else ""
    return tenant if isinstance(inside, str) and inside.partition("/")[0] == tenant else ""


class Page:
    """The newest letters before an offset that are meant, among the records of ``inm.dead`` as they come."""

    def __init__(self, tenant: str, owners: Owners, selection: Selection, *, before: int | None = None, closed: bool = False) -> None:
        self._tenant = tenant
        self._owners = owners
        self._selection = selection
        self._before = before
        self._closed = closed
        self._letters: OrderedDict[int, Letter] = OrderedDict()
        self._lost: int | None = None

    def add(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        """Take the next record."""
        item = read(offset, key, value)
        if isinstance(item, Letter):
            if self._before is not None and offset >= self._before:
                return
            if self._selection.takes(item) and self._owners.tenant(item) == self._tenant:
                self._letters[offset] = item
                if len(self._letters) > KEPT:
                    self._lost = self._letters.popitem(last=False)[0]
        elif item is not None and item.closes in self._letters:
            letter = self._letters[item.closes]
            letter.closed = letter.closed or item

    def newest(self, most: int) -> tuple[list[Letter], int | None]:
        """Up to ``most``, and before which offset the next page begins; None: there are no more."""
        found = [letter for letter in reversed(self._letters.values()) if self._closed or not letter.closed]
        if len(found) > most:
            return found[:most], found[most - 1].id
        return found, None if self._lost is None else self._lost + 1
