"""Fields: values as CSV files, databases and JSON bring them, converted by what a tenant declares."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.fields import Field, Fields, FieldSet, check

ALL = {
    "string": Field("string"),
    "integer": Field("integer"),
    "decimal": Field("decimal"),
    "boolean": Field("boolean"),
    "date": Field("date"),
    "time": Field("date-time"),
    "enum": Field("enum", values=["gold", "silver"]),
    "phone": Field("phone"),
    "email": Field("email"),
    "list": Field("list", of="integer"),
    "object": Field("object"),
}


def declared(**fields: Field) -> FieldSet:
    return FieldSet(Fields("acme", "request", fields))


def one(kind: str, value: Any) -> Any:
    found, faults = declared(x=ALL[kind]).convert({"x": value})
    assert not faults, faults
    return found.get("x")


def wrong(kind: str, value: Any) -> list[str]:
    found, faults = declared(x=ALL[kind]).convert({"x": value})
    assert "x" not in found
    return [fault.pointer for fault in faults]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", "", ""),
        ("string", 12, "12"),
        ("integer", " 12 ", 12),
        ("integer", 12.0, 12),
        ("integer", "-9223372036854775808", -(2**63)),
        ("decimal", "1.50", Decimal("1.50")),
        ("decimal", 0.1, Decimal("0.1")),
        ("decimal", "-.5", Decimal("-0.5")),
        ("decimal", 7, Decimal(7)),
        ("boolean", "Yes", True),
        ("boolean", 0, False),
        ("boolean", "f", False),
        ("date", "2026-11-24", date(2026, 11, 24)),
        ("date", "2026-11-24T10:00:00Z", date(2026, 11, 24)),
        ("date", datetime(2026, 11, 24, 10, tzinfo=UTC), date(2026, 11, 24)),
        ("time", "2026-11-24 10:00:00", datetime(2026, 11, 24, 10, tzinfo=UTC)),
        ("time", "2026-11-24T10:00:00+01:00", datetime(2026, 11, 24, 9, tzinfo=UTC)),
        ("time", date(2026, 11, 24), datetime(2026, 11, 24, tzinfo=UTC)),
        ("enum", "gold", "gold"),
        ("phone", "0039 333 123-45.67", "+393331234567"),
        ("phone", "+39 (333) 1234567", "+393331234567"),
        ("email", " ada@example.org\n", "ada@example.org"),
        ("list", "1, 2,3", [1, 2, 3]),
        ("list", [1, "2"], [1, 2]),
        ("object", {"a": [1]}, {"a": [1]}),
    ],
)
def test_values_become_their_types(kind: str, value: Any, expected: Any) -> None:
    found = one(kind, value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", 1.5),
        ("string", True),
        ("string", []),
        ("integer", "1.5"),
        ("integer", "१२"),
        ("integer", 2**63),
        ("integer", True),
        ("integer", float("nan")),
        ("decimal", "1,50"),
        ("decimal", "NaN"),
        ("decimal", "Infinity"),
        ("decimal", "1_000"),
        ("decimal", "1e99"),
        ("decimal", 10**15),
        ("boolean", "maybe"),
        ("boolean", 2),
        ("date", "24/11/2026"),
        ("date", "2026-02-30"),
        ("time", 1795334400),
        ("enum", "bronze"),
        ("phone", "3331234567"),
        ("phone", 393331234567),
        ("email", "ada"),
        ("email", "a@" + "b" * 260),
        ("object", "{}"),
    ],
)
def test_what_is_none_of_the_type_is_a_fault_with_its_place(kind: str, value: Any) -> None:
    assert wrong(kind, value) == ["/fields/x"]


def test_items_of_a_list_have_their_own_places() -> None:
    assert wrong("list", "1,x,3,y") == ["/fields/x/1", "/fields/x/3"]
    assert wrong("list", {"a": 1}) == wrong("list", [1] * 1001) == ["/fields/x"]


def test_null_and_an_empty_cell_are_absent_defaults_stand_in_and_what_is_required_is_missed() -> None:
    fields = declared(a=Field("integer", default="7"), b=Field("integer", required=True), c=Field("string", default="x"))
    assert fields.convert({"b": "1"}) == ({"a": 7, "b": 1, "c": "x"}, [])
    found, faults = fields.convert({"a": "", "b": None, "c": ""})
    assert (found, [(fault.pointer, fault.message) for fault in faults]) == ({"a": 7, "c": ""}, [("/fields/b", "is missing")])


def test_names_that_are_not_declared_are_faults_only_where_some_are() -> None:
    assert FieldSet(None).convert({"x": [1]}) == ({"x": [1]}, [])
    found, faults = declared(a=Field("string")).convert({"a": "1", "b/c": "2"}, "/given")
    assert (found, [fault.pointer for fault in faults]) == ({"a": "1"}, ["/given/b~1c"])


zones = st.integers(-12 * 60, 12 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
values = st.fixed_dictionaries(
    {},
    optional={
        "string": st.text(),
        "integer": st.integers(-(2**63), 2**63 - 1),
        "decimal": st.decimals(-(10**14), 10**14, allow_nan=False, places=2) | st.floats(-1e14, 1e14),
        "boolean": st.booleans(),
        "date": st.dates(),
        "time": st.datetimes(timezones=zones) | st.datetimes(),
        "enum": st.sampled_from(["gold", "silver"]),
        "phone": st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True),
        "email": st.emails().filter(lambda text: len(text) < 255 and '"' not in text),
        "list": st.lists(st.integers(-(2**63), 2**63 - 1)),
        "object": st.dictionaries(st.text(), st.integers(-(2**53), 2**53) | st.text()),
    },
)


@given(values)
def test_what_is_converted_converts_to_the_same_directly_as_text_and_from_json(given_values: dict[str, Any]) -> None:
    fields = declared(**ALL)
    found, faults = fields.convert(given_values)
    assert not faults
    assert fields.convert(found) == (found, [])
    assert fields.convert(msgspec.json.decode(msgspec.json.encode(found))) == (found, [])
    written = {name: ",".join(map(str, value)) if name == "list" else str(value) for name, value in found.items() if name != "object"}
    as_text = fields.convert(written)[0]
    # an empty cell is nothing, and so is a list of none
    assert as_text == {name: value for name, value in found.items() if name != "object" and value != []}


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)


@given(st.dictionaries(st.sampled_from([*ALL, "other"]), leaves | st.lists(leaves, max_size=3), max_size=4))
def test_whatever_is_brought_is_converted_or_a_fault(given_values: dict[str, Any]) -> None:
    found, faults = declared(**ALL).convert(given_values)
    told = {fault.pointer.split("/")[2] for fault in faults}
    absent = {name for name, value in given_values.items() if value is None or value == ""}
    assert told | found.keys() | absent >= given_values.keys()
    assert not told & found.keys()


@pytest.mark.parametrize(
    ("name", "field", "pointer"),
    [
        ("scenario", Field("string"), "/fields/scenario"),
        ("in", Field("string"), "/fields/in"),
        ("a", Field("enum"), "/fields/a/values"),
        ("a", Field("string", values=["x"]), "/fields/a/values"),
        ("a", Field("list", of="list"), "/fields/a/of"),
        ("a", Field("integer", default="x"), "/fields/a/default"),
        ("a", Field("list", of="integer", default=["x"]), "/fields/a/default/0"),
        ("a", Field("enum", values=["x"], default="y"), "/fields/a/default"),
    ],
)
def test_wrong_declarations(name: str, field: Field, pointer: str) -> None:
    assert [fault.pointer for fault in check(Fields("acme", "request", {name: field}))] == [pointer]
    assert not [*check(Fields("acme", "request", ALL))]
    assert [fault.pointer for fault in check(Fields("acme", "user", {f"a{n}": Field("string") for n in range(501)}))] == ["/fields"]
