"""The audience of a campaign, from a file or a query: read twice, first to tell what is in it, then to hand it on in pieces."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

from inm import algorithms
from inm.core import outreach
from inm.core.audience import Reader, Report, Row, merged
from inm.core.catalogue import Catalogue
from inm.core.rowfiles import MAX_LINE, RECIPIENT, Form, columns_of, delimiter_of, encoding_of, heading_faults, rows_of
from inm.settings import Settings
from inm.streaming.chunks import now_ms

BLOCK = 1 << 20
FORMS: dict[str, Form] = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}


class File(Struct, frozen=True):
    """A file of recipients, and how it is written."""

    path: Path
    form: Form
    encoding: str
    delimiter: str | None = None

    def __str__(self) -> str:
        between = f", columns separated by {self.delimiter!r}" if self.delimiter else ""
        return f"{self.path.name}: {self.form}, {self.encoding.removesuffix('-sig')}{between}"

    def lines(self) -> Iterator[str | None]:
        """Its lines; None for one that is too long, of which no more than its beginning is held."""
        try:
            yield from self._lines()
        except UnicodeDecodeError as error:
            raise click.ClickException(f"{self.path.name} is not {self.encoding}: {error}") from error

    def _lines(self) -> Iterator[str | None]:
        with self.path.open(encoding=self.encoding, newline="") as file:
            while line := file.readline(MAX_LINE):
                if len(line) < MAX_LINE or line.endswith("\n"):
                    yield line
                    continue
                yield None
                while line and not line.endswith("\n"):
                    line = file.readline(MAX_LINE)


def recognised(path: Path, form: Form | None, encoding: str | None, delimiter: str | None) -> File:
    """A file with what is not declared of it found out. ``ClickException`` if that cannot be."""
    form = form or FORMS.get(path.suffix.lower())
    if form is None:
        raise click.ClickException(f"{path.name}: say with --format whether it is csv or jsonl")
    try:
        found = encoding_of(_blocks(path), encoding)
    except (OSError, LookupError) as error:
        raise click.ClickException(f"{path.name}: {error}") from error
    file = File(path, form, found)
    if form == "csv":
        heading = next((line for line in file.lines() if line and line.strip()), "")
        file = msgspec.structs.replace(file, delimiter=delimiter or delimiter_of(heading))
    return file


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


class Audience:
    """The rows of a file, checked for a scenario. ``ClickException`` if its columns are wrong."""

    def __init__(self, file: File, settings: Settings, catalogue: Catalogue, tenant: str, scenario: str) -> None:
        known = catalogue.scenario_names(tenant)
        if known is None or scenario not in known:
            allowed = ", ".join(known) if known else "none, for there is no such tenant"
            raise click.ClickException(f"{tenant} has no scenario {scenario}, allowed: {allowed}")
        self._file = file
        self._settings = settings
        self._catalogue = catalogue
        self._tenant = tenant
        self._scenario = scenario
        self._book = catalogue.book(tenant)
        if file.form == "csv":
            declared = self._book.request.fields if self._book and self._book.request.declared else None
            faults = heading_faults(columns_of(file.lines(), file.delimiter), declared)
            if faults:
                raise click.ClickException("\n".join([f"{file.path.name} cannot be read:", *map(str, faults)]))

    def pieces(self) -> Iterator[tuple[list[Row], Report]]:
        """Rows and what was found in them, from the beginning of the file."""
        settings, now = self._settings, now_ms()
        tried = outreach.trier(
            self._tenant, self._scenario, self._book, algorithms.installed(), settings.partitions, settings.prices, now
        )  # fmt: skip
        with closing(_Seen()) as seen:
            reader = Reader(self._tenant, self._scenario, self._catalogue, seen.before, tried)
            yield from reader.pieces(rows_of(self._file.lines(), self._file.form, self._file.delimiter))

    def report(self) -> Report:
        """What is in the whole file."""
        report = Report()
        for _, told in self.pieces():
            report = merged(report, told)
        return report

    @property
    def rates(self) -> dict[str, float]:
        """Of the routes that it would take."""
        return self._settings.rates(outreach.channels(self._book, self._scenario))


class _Seen:
    """Remembers recipients on disk, by 64 bits of a hash: of a million there are too many for memory, and two alike one in 10^7 times."""

    def __init__(self) -> None:
        self._known = sqlite3.connect("")  # a temporary file that goes with the connection
        self._known.execute("CREATE TABLE known (hash INTEGER PRIMARY KEY)")

    def before(self, key: str) -> bool:
        number = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)
        return self._known.execute("INSERT OR IGNORE INTO known VALUES (?)", (number,)).rowcount == 0

    def close(self) -> None:
        self._known.close()


def line_of(row: dict[str, Any]) -> bytes:
    """A row of a database as a line of JSON lines: nothing is said of what is null."""
    given = {name: value for name, value in row.items() if value is not None and value != ""}
    to = {name: str(given.pop(name)) for name in RECIPIENT if name in given}
    return msgspec.json.encode({"to": to, "fields": given}) + b"\n"
