"""Files of recipients, CSV or JSON lines: their encoding, their columns and their rows, and what is wrong with one by line and column."""

import codecs
import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from inm.core.faults import shown
from inm.core.records import Recipient

Form = Literal["csv", "jsonl"]


MAX_LINE = 64 * 1024
"""Bytes of a line; a longer one is passed over and is a fault."""

RECIPIENT = tuple(field.name for field in msgspec.structs.fields(Recipient))
"""Columns that say whom; every other one is a field of the request."""
WHOM = ("user", "phone", "email", "offer")
"""One of these a file must have."""
DELIMITERS = ",;\t|"


class RowFault(Struct, frozen=True, omit_defaults=True):
    """What is wrong with a row. ``line`` counts from 1, the heading among them; ``column`` is empty if it is the row as a whole."""

    line: int
    column: str
    message: str
    found: str | None = None
    allowed: str | None = None

    def __str__(self) -> str:
        column = f", column {self.column}" if self.column else ""
        found = "" if self.found is None else f", found {self.found}"
        allowed = "" if self.allowed is None else f", allowed: {self.allowed}"
        return f"line {self.line}{column}: {self.message}{found}{allowed}"


class Raw(Struct, frozen=True):
    """A row as it was read: a request's ``to`` and ``fields``, not checked."""

    line: int
    value: dict[str, Any]


def encoding_of(chunks: Iterable[bytes], declared: str | None = None) -> str:
    """How a file is encoded: as declared, or UTF-8 (with or without a mark), else Windows' Latin-1 or Latin-1 itself.

    ``LookupError`` if the declared one is unknown.
    """
    if declared:
        return codecs.lookup(declared).name
    candidates = {name: codecs.getincrementaldecoder(name)() for name in ("utf-8-sig", "cp1252")}
    start = b""
    for chunk in chunks:
        start = start or chunk[:2]
        _pass(candidates, chunk)
    _pass(candidates, b"", final=True)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else next(iter(candidates), "latin-1")


def _pass(candidates: dict[str, codecs.IncrementalDecoder], chunk: bytes, *, final: bool = False) -> None:
    """Leave only those encodings that take this too."""
    for name, decoder in list(candidates.items()):
        try:
            decoder.decode(chunk, final)
        except UnicodeDecodeError:
            del candidates[name]


def delimiter_of(heading: str) -> str:
    """What stands between the columns of a heading."""
    return max(DELIMITERS, key=heading.count)


def heading_faults(columns: Sequence[str], declared: Iterable[str] | None) -> list[RowFault]:
    """What is wrong with the columns of a CSV file. ``declared`` are the tenant's request fields; None: it declares none."""
    faults = [RowFault(1, name, "is there twice") for name in dict.fromkeys(columns) if columns.count(name) > 1]
    if not set(columns) & set(WHOM):
        faults.append(RowFault(1, "", "no column says whom", shown(", ".join(columns)), "one of " + ", ".join(WHOM)))
    if declared is not None:
        allowed = [*RECIPIENT, *declared]
        faults += [RowFault(1, name, "no such column", shown(name), ", ".join(allowed)) for name in columns if name not in allowed]
    return faults


def rows_of(lines: Iterable[str | None], form: Form, delimiter: str | None = None) -> Iterator[Raw | RowFault]:
    """The rows of a file; a line that is None was longer than :data:`MAX_LINE`. Of CSV, the first one that has any text is the heading."""
    return _csv(lines, delimiter) if form == "csv" else _jsonl(lines)


def columns_of(lines: Iterable[str | None], delimiter: str | None = None) -> list[str]:
    """The columns that a CSV file's heading names; none if it has no such line."""
    heading = next(filter(None, map(str.strip, filter(None, lines))), "")
    return [name.strip() for name in next(csv.reader([heading], delimiter=delimiter or delimiter_of(heading)), [])]


_TOO_LONG = f"at most {MAX_LINE} bytes"


def _jsonl(lines: Iterable[str | None]) -> Iterator[Raw | RowFault]:
    for number, line in enumerate(lines, 1):
        if line is None:
            yield RowFault(number, "", "the line is too long", None, _TOO_LONG)
        elif line.strip():
            try:
                yield Raw(number, msgspec.json.decode(line, type=dict[str, Any]))
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                yield RowFault(number, "", f"no JSON object: {error}")


class _Lines:
    """Feeds the CSV reader, which counts lines: in place of one that is too long it gets an empty one."""

    def __init__(self, lines: Iterable[str | None]) -> None:
        self._lines = iter(lines)
        self.number = 0
        self.too_long: list[int] = []

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            if line is None:
                self.too_long.append(self.number)
            yield "\n" if line is None else line


def _csv(lines: Iterable[str | None], delimiter: str | None) -> Iterator[Raw | RowFault]:
    feed = _Lines(lines)
    heading = next((line for line in feed if line.strip()), "")
    delimiter = delimiter or delimiter_of(heading)
    columns = [name.strip() for name in next(csv.reader([heading], delimiter=delimiter), [])]
    before = feed.number
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        began = before + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield RowFault(began, "", f"no CSV: {error}")
            continue
        while feed.too_long:
            yield RowFault(feed.too_long.pop(0), "", "the line is too long", None, _TOO_LONG)
        if cells is None:
            return
        if len(cells) > len(columns):
            yield RowFault(began, "", "has too many columns", str(len(cells)), str(len(columns)))
        elif any(cell.strip() for cell in cells):
            yield Raw(began, _of_columns(columns, cells))


def _of_columns(columns: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """An empty cell says nothing."""
    given = {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if cell.strip()}
    to = {name: given.pop(name) for name in RECIPIENT if name in given}
    return {"to": to, "fields": given}
