"""Audiences: files of every kind of wrong, and the place of each fault."""

import io
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core import audience
from inm.core.audience import Reader, Report, Row, Seen, Tried, merged
from inm.core.catalogue import Catalogue
from inm.core.rowfiles import Form, Raw, RowFault, columns_of, encoding_of, heading_faults, rows_of
from tests.support import books

CATALOGUE = Catalogue({"acme": books.book(books.sms(), books.scenario(requires=["text"]), books.fields(text="string", amount="decimal"))})


ONE = Tried(1)


def read(text: str, form: Form = "csv", tried: Tried = ONE) -> tuple[list[Row], Report]:
    reader = Reader("acme", "hello", CATALOGUE, Seen().before, lambda _: tried)
    rows, report = [], Report()
    for some, told in reader.pieces(rows_of(io.StringIO(text, newline=""), form)):
        assert len(some) <= audience.PIECE_ROWS
        rows += some
        report = merged(report, told)
    assert len(rows) == report.rows
    return rows, report


def test_rows_of_a_csv_file_are_recipients_with_fields() -> None:
    rows, report = read('phone;language;text;amount\r\n+393331234567;it;"Ciao; a te";12.50\r\n+393331234568;;two\nlines;\n')
    assert rows[0].to.phone == "+393331234567"
    assert (rows[0].to.language, rows[0].fields["text"], str(rows[0].fields["amount"])) == ("it", "Ciao; a te", "12.50")
    assert (rows[1].line, rows[1].fields) == (3, {"text": "two"})
    assert str(report.faults[0]).startswith("line 4, column phone")


def test_each_fault_has_line_and_column() -> None:
    _, report = read(
        "phone,text,amount\n+393331234567,a,1\n0039,b,2\n\n+393331234568,c,many\n+393331234569,,3\n,d,4\n+393331234560,e,5,6\n"
    )
    places = [(fault.line, fault.column) for fault in report.faults]
    assert places == [(3, "phone"), (5, "amount"), (6, "text"), (7, ""), (8, "")]
    assert (report.rows, report.faulty) == (1, 5)


def test_json_lines_are_requests_without_their_scenario() -> None:
    good = '{"to":{"user":"u1"},"fields":{"text":"a"}}\n'
    rows, report = read(good + 'nonsense\n[1]\n{"to":{"user":"u2"},"fields":{"text":"b"},"lane":"urgent"}\n{"fields":{}}\n' + good, "jsonl")
    assert [row.line for row in rows] == [1]
    assert [(fault.line, fault.column) for fault in report.faults] == [(2, ""), (3, ""), (4, "lane"), (5, ""), (5, "text")]
    assert (report.faulty, report.duplicates) == (4, 1)


def test_a_row_is_for_one_recipient() -> None:
    _, report = read('{"to":[{"user":"u1"},{"user":"u2"}],"fields":{"text":"a"}}\n', "jsonl")
    assert [str(fault) for fault in report.faults] == ["line 1, column to: a row is for one recipient, found 2, allowed: 1"]


def test_quotes_that_do_not_end_are_a_fault_and_not_the_end() -> None:
    _, report = read('phone,text\n+393331234567,"a\n' + "x" * 200 + "\n")
    assert [fault.line for fault in report.faults] == [2]
    rows, report = read('phone,text\n+393331234567,"a"b\n+393331234568,c\n')
    assert ([fault.line for fault in report.faults], [row.line for row in rows]) == ([2], [3])


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_line_of_a_megabyte_is_a_fault_of_that_line(form: Form) -> None:
    heading, row = (
        ("phone,text\n", "+393331234567,a\n") if form == "csv" else ("\n", '{"to":{"phone":"+393331234567"},"fields":{"text":"a"}}\n')
    )
    found = list(rows_of([heading, None, row], form))
    assert [(each.line, isinstance(each, RowFault)) for each in found] == [(2, True), (3, False)]


def test_wrong_columns_are_told_at_the_heading() -> None:
    assert columns_of(["\n", "phone; text\n"]) == ["phone", "text"]
    faults = heading_faults(["Phone", "text", "text"], ["text", "amount"])
    assert [(fault.column, fault.message) for fault in faults] == [
        ("text", "is there twice"),
        ("", "no column says whom"),
        ("Phone", "no such column"),
    ]
    assert heading_faults(["user", "anything"], None) == []
    assert columns_of([]) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("città".encode(), "utf-8-sig"),
        (b"\xef\xbb\xbfphone", "utf-8-sig"),
        ("città".encode("latin-1"), "cp1252"),
        (b"\x81\x8d caf\xe9", "latin-1"),
        ("phone".encode("utf-16"), "utf-16"),
        (b"", "utf-8-sig"),
    ],
)
def test_encodings_are_found(content: bytes, expected: str) -> None:
    pieces = [content[index : index + 3] for index in range(0, len(content), 3)]
    assert encoding_of(pieces) == expected
    content.decode(expected)


def test_a_declared_encoding_is_taken_or_refused() -> None:
    assert encoding_of([b"\xff"], "Latin-1") == "iso8859-1"
    with pytest.raises(LookupError):
        encoding_of([], "klingon-8")


@given(st.lists(st.text(alphabet='+39,;"\n\r\0abc{}[]:', max_size=30), max_size=12), st.sampled_from(["csv", "jsonl"]))
def test_whatever_is_in_a_file_every_row_is_counted_once_and_nothing_raises(lines: list[str], form: Form) -> None:
    text = "phone,text\n" + "\n".join(lines)
    found = list(rows_of(io.StringIO(text, newline=""), form))
    rows, report = read(text, form)
    assert report.rows + report.faulty + report.duplicates == len(found)
    assert [row.line for row in rows] == sorted(row.line for row in rows)


def test_a_report_names_some_faults_and_counts_all() -> None:
    _, report = read("phone,text\n" + "x,y\n" * 1000)
    assert (report.faulty, len(report.faults)) == (1000, audience.MOST_FAULTS)
    assert report.faulty_share == 1.0


def test_a_sample_stands_for_all() -> None:
    rows = "".join(f"u{number},t\n" for number in range(10_000))
    _, report = read("user,text\n" + rows, tried=Tried(2, 0.1))
    assert report.sampled == audience.SAMPLED_FIRST + 10_000 // audience.SAMPLED
    assert report.estimated(report.parts) == 20_000
    assert report.estimated(report.cost) == pytest.approx(1000)
    _, refused = read("user,text\nu1,t\n", tried=Tried(refused="no-address"))
    assert refused.refused == {"no-address": 1}


def test_an_audience_is_read_as_it_comes() -> None:
    taken = 0

    def endless() -> Iterator[Raw]:
        nonlocal taken
        while True:
            taken += 1
            yield Raw(taken, {"to": {"user": f"u{taken}"}, "fields": {"text": "t"}})

    reader = Reader("acme", "hello", CATALOGUE, lambda _: False, lambda _: Tried(1))
    rows, _ = next(reader.pieces(endless()))
    assert taken == len(rows) == audience.PIECE_ROWS


def test_a_piece_fits_its_topic() -> None:
    def wide() -> Iterator[Raw]:
        for number in range(100):
            yield Raw(number, {"to": {"user": f"u{number}"}, "fields": {"text": "t" * 60_000}})

    reader = Reader("acme", "hello", CATALOGUE, lambda _: False, lambda _: Tried(1))
    sizes: list[Any] = [len(msgspec.json.encode(rows)) for rows, _ in reader.pieces(wide())]
    assert max(sizes) < 512 * 1024
