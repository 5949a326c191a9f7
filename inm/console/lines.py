"""Lines of the list of templates, which are made once for each change of a tenant's documents: there may be ten thousand templates."""

import asyncio
from collections.abc import Mapping, Sequence

from msgspec import Struct

from inm.core.reference import Held


class Entry(Struct, frozen=True):
    """A line of the list: a template by its newest version, and the version that serves (0: none does)."""

    name: str
    channel: str
    version: int
    state: str
    serving: int
    variants: list[str]
    author: str
    at: int


class Lines:
    """Of each tenant, by name."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Mapping[str, Held], list[Entry]]] = {}

    async def of(self, tenant: str, held: Mapping[str, Held]) -> Sequence[Entry]:
        """``held`` are the documents as the library has them: others are another mapping."""
        known = self._known.get(tenant)
        if known is None or known[0] is not held:
            known = self._known[tenant] = (held, await asyncio.to_thread(listed, held))
        return known[1]


def listed(held: Mapping[str, Held]) -> list[Entry]:
    """A line for each template, by name, in one pass over all documents."""
    newest: dict[str, tuple[int, Held]] = {}
    serving: dict[str, int] = {}
    for path, row in held.items():
        parts = path.split("/")
        if len(parts) != 4 or parts[1] != "template":
            continue
        name, count = parts[2], int(parts[3])
        if count > newest.get(name, (0, row))[0]:
            newest[name] = (count, row)
        if row.state == "approved":
            serving[name] = max(serving.get(name, 0), count)
    return [_entry(name, count, row, serving.get(name, 0)) for name, (count, row) in sorted(newest.items())]


def _entry(name: str, count: int, row: Held, serves: int) -> Entry:
    document = row.document
    return Entry(name, document["channel"], count, row.state or "", serves, [*document["variants"]], row.author, row.at)
