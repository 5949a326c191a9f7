"""The audience of a campaign: rows, each a recipient with fields, and a report of what was found in them.

A row is checked as a request for one recipient is, so that what is taken here is not refused later.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from inm.core.faults import Fault
from inm.core.ids import user_key
from inm.core.records import Recipient
from inm.core.requests import InvalidRequestError, Scenarios, parse, recipients
from inm.core.rowfiles import Raw, RowFault

MOST_FAULTS = 20
"""Faults that a report names; it counts all."""
PIECE_ROWS = 500
PIECE_BYTES = 256 * 1024
"""How much of an audience is one record: what is taken, stored and read again at a time."""
SAMPLED = 200
"""Of so many rows one is tried, besides the first :data:`SAMPLED_FIRST`: what it takes to know what all of them will."""
SAMPLED_FIRST = 20


class Row(Struct, frozen=True, omit_defaults=True):
    """One recipient, and the fields for it, as the tenant declares them."""

    line: int
    to: Recipient
    fields: dict[str, Any] = {}


class Report(Struct, frozen=True, omit_defaults=True):
    """What was found when an audience was read. ``parts`` and ``cost`` are of the rows that were tried, ``sampled`` in number."""

    rows: Annotated[int, Meta(description="Rows that can be sent to.")] = 0
    faulty: Annotated[int, Meta(description="Rows with faults, which are left out.")] = 0
    duplicates: Annotated[int, Meta(description="Rows of a recipient that an earlier row has, left out too.")] = 0
    faults: Annotated[list[RowFault], Meta(description=f"The first {MOST_FAULTS} faults with their places.")] = []
    sampled: Annotated[int, Meta(description="Rows that were tried, to estimate by.")] = 0
    refused: Annotated[dict[str, int], Meta(description="Of those, how many nothing would be sent for, by reason.")] = {}
    parts: Annotated[int, Meta(description="Short messages that those take; 1 each for other channels.")] = 0
    cost: Annotated[float, Meta(description="What those cost, by the routes' prices.")] = 0.0

    @property
    def faulty_share(self) -> float:
        """Faulty rows of all."""
        return self.faulty / ((self.rows + self.faulty + self.duplicates) or 1)

    def estimated(self, measured: float) -> float:
        """What all rows come to, by what the sampled ones did: parts or cost."""
        return measured * self.rows / (self.sampled or 1)


def merged(one: Report, other: Report) -> Report:
    """The report of both, in this order."""
    reasons = {reason: one.refused.get(reason, 0) + other.refused.get(reason, 0) for reason in one.refused | other.refused}
    return Report(
        one.rows + other.rows,
        one.faulty + other.faulty,
        one.duplicates + other.duplicates,
        [*one.faults, *other.faults][:MOST_FAULTS],
        one.sampled + other.sampled,
        reasons,
        one.parts + other.parts,
        round(one.cost + other.cost, 6),
    )


class Tried(Struct, frozen=True):
    """What would become of one row: its parts and cost, or the reason why nothing would be sent."""

    parts: int = 0
    cost: float = 0.0
    refused: str | None = None


Trier = Callable[[Row], Tried | None]
"""None: it cannot be told."""
Before = Callable[[str], bool]
"""Whether a recipient's key has been named before; from then on it has."""


class Seen:
    """Remembers keys in memory."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def before(self, key: str) -> bool:
        """As :data:`Before`."""
        known = key in self._keys
        self._keys.add(key)
        return known


class Reader:
    """Checks rows as requests of one scenario of a tenant."""

    def __init__(self, tenant: str, scenario: str, scenarios: Scenarios, seen: Before, tried: Trier) -> None:
        self._tenant = tenant
        self._scenario = scenario
        self._scenarios = scenarios
        self._seen = seen
        self._try = tried
        self._read = 0

    def pieces(self, found: Iterable[Raw | RowFault]) -> Iterator[tuple[list[Row], Report]]:
        """The rows that can be sent to, so many at a time, with the report of what was read for them. At least one, perhaps empty."""
        rows: list[Row] = []
        report, size = Report(), 0
        for raw in found:
            row, told = self.read(raw)
            report = merged(report, told)
            if row is not None:
                rows.append(row)
                size += len(msgspec.json.encode(row))
            if len(rows) == PIECE_ROWS or size > PIECE_BYTES:
                yield rows, report
                rows, report, size = [], Report(), 0
        yield rows, report

    def read(self, raw: Raw | RowFault) -> tuple[Row | None, Report]:
        """One row, if it can be sent to, and what it adds to the report."""
        if isinstance(raw, RowFault):
            return None, Report(faulty=1, faults=[raw])
        value = {name: raw.value[name] for name in ("to", "fields") if name in raw.value}
        further = [name for name in raw.value if name not in ("to", "fields")]
        if further:
            return None, Report(faulty=1, faults=[RowFault(raw.line, name, "no such member", None, "to, fields") for name in further])
        try:
            request = parse(msgspec.json.encode(value | {"scenario": self._scenario}), self._tenant, self._scenarios)
        except InvalidRequestError as error:
            return None, Report(faulty=1, faults=[_placed(raw.line, fault) for fault in error.faults][:MOST_FAULTS])
        everyone = recipients(request)
        if len(everyone) != 1:
            return None, Report(faulty=1, faults=[RowFault(raw.line, "to", "a row is for one recipient", str(len(everyone)), "1")])
        [to] = everyone
        if self._seen(user_key(self._tenant, to.user, to.phone, to.email, to.offer)):
            return None, Report(duplicates=1)
        row = Row(raw.line, to, request.fields)
        return row, self._tried(row)

    def _tried(self, row: Row) -> Report:
        self._read += 1
        if self._read > SAMPLED_FIRST and self._read % SAMPLED:
            return Report(rows=1)
        tried = self._try(row)
        if tried is None:
            return Report(rows=1)
        return Report(1, sampled=1, refused={tried.refused: 1} if tried.refused else {}, parts=tried.parts, cost=tried.cost)


def _placed(line: int, fault: Fault) -> RowFault:
    """A request's fault by the column that it comes from."""
    _, _, place = fault.pointer.partition("/")
    group, _, column = place.partition("/")
    return RowFault(line, column if group in ("to", "fields") else place, fault.message, fault.found, fault.allowed)
