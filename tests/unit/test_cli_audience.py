"""Audiences as the command reads them: files of a megabyte a line, of other encodings, and queries."""

import sqlite3
from pathlib import Path
from typing import Any

import click
import pytest

from inm.cli.audience import Audience, File, recognised
from inm.cli.spool import spool
from inm.core.audience import Row
from inm.core.catalogue import Book, Catalogue
from inm.core.rowfiles import MAX_LINE
from inm.settings import Settings, load
from tests.support import books
from tests.unit.test_project import ROOT

SOURCE: dict[str, Any] = {"kind": "source", "name": "crm", "type": "sql", "url_env": "ACME_DB"}
SOURCE |= {"users": {"query": "SELECT id FROM users WHERE id IN :keys"}}


def book() -> Book:
    return books.book(books.sms(), books.scenario(requires=["text"]), books.fields(text="string", due="date"), SOURCE)


@pytest.fixture
def settings() -> Settings:
    return load({"INM_CONFIG": str(ROOT / "config"), "INM_SMSC_PASSWORD": "x", "INM_INBOX_SECRET": "x" * 32})


def read(file: File, settings: Settings) -> tuple[Audience, list[Row]]:
    audience = Audience(file, settings, Catalogue({"acme": book()}), "acme", "hello")
    return audience, [row for rows, _ in audience.pieces() for row in rows]


def test_a_file_is_recognised_and_read_twice(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_bytes("phone;text\n+393331234567;città\n+393331234567;again\n\n+39333;x\n".encode("latin-1"))
    file = recognised(path, None, None, None)
    assert str(file) == "customers.csv: csv, cp1252, columns separated by ';'"
    audience, rows = read(file, settings)
    assert [(row.line, row.fields["text"]) for row in rows] == [(2, "città")]
    report = audience.report()
    assert (report.rows, report.faulty, report.duplicates, report.faults[0].line) == (1, 1, 1, 5)
    assert audience.report() == report


def test_a_line_of_a_megabyte_is_one_fault_and_no_more_in_memory(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("phone,text\n" + "x" * 1_000_000 + "\n+393331234567,t\n")
    lines = list(recognised(path, None, None, None).lines())
    assert [line is None or len(line) < MAX_LINE for line in lines] == [True] * 3
    audience, rows = read(recognised(path, None, None, None), settings)
    assert [row.line for row in rows] == [3]
    assert [str(fault) for fault in audience.report().faults] == ["line 2: the line is too long, allowed: at most 65536 bytes"]


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("a.xlsx", b"", (None, None, None), "--format"),
        ("a.csv", b"phone\n", (None, "klingon-8", None), "klingon-8"),
        ("a.csv", b"number,text\n", (None, None, None), "no column says whom"),
        ("a.csv", b"phone,colour\n", (None, None, None), "column colour: no such column"),
        ("a.csv", b"phone,text\n+393331234567,\xff\n", (None, "utf-8", None), "is not utf-8"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    settings: Settings, tmp_path: Path, name: str, content: bytes, options: tuple[None, str | None, None], words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(click.ClickException, match=words):
        read(recognised(path, *options), settings)


def test_a_scenario_that_is_not_there_says_which_are(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="allowed: hello"):
        Audience(File(tmp_path, "jsonl", "utf-8"), settings, Catalogue({"acme": book()}), "acme", "nothing")


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(tmp_path / "crm.db") as connection:
        connection.execute("CREATE TABLE customers (id INTEGER, phone TEXT, text TEXT, due TEXT)")
        rows = [(1, "+393331234567", "one", "2026-12-01"), (2, None, "two", None), (3, "+393331234568", None, None)]
        connection.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", rows)
    connection.close()
    monkeypatch.setenv("ACME_DB", f"sqlite:///{tmp_path}/crm.db")


@pytest.mark.usefixtures("database")
async def test_a_query_is_an_audience(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "spooled.jsonl"
    await spool(book(), "SELECT id AS user, phone, text, due FROM customers ORDER BY id", path)
    audience, rows = read(recognised(path, "jsonl", None, None), settings)
    assert [(row.to.user, row.to.phone, row.fields["text"]) for row in rows] == [("1", "+393331234567", "one"), ("2", None, "two")]
    assert [str(fault) for fault in audience.report().faults] == [
        "line 3, column text: is missing, allowed: a value: scenario hello requires it"
    ]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("DELETE FROM customers", "begins with SELECT"),
        ("SELECT nothing FROM customers", "cannot be asked: refused"),
        ("SELECT phone, id FROM customers", "column id: no such column"),
    ],
)
async def test_a_query_that_cannot_be_asked_says_why(tmp_path: Path, query: str, words: str) -> None:
    with pytest.raises(click.ClickException, match=words):
        await spool(book(), query, tmp_path / "spooled.jsonl")


async def test_a_query_needs_a_source_and_its_url(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="ACME_DB is not set"):
        await spool(book(), "SELECT 1", tmp_path / "s")
    with pytest.raises(click.ClickException, match="needs a source of type sql"):
        await spool(None, "SELECT 1", tmp_path / "s")
