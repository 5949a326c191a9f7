"""Previews and their values: every language and tone is there, with a text of its own or a hole that says what stands in."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from inm.core.preview import MOST_LANGUAGES, Matrix, matrix
from inm.core.samples import samples, seen
from inm.core.users import User
from tests.support.books import TENANT, book, email, fields, sms


def shown(template: dict[str, Any], values: dict[str, Any] | None = None, **tenant: Any) -> Matrix:
    made = book(template, TENANT | tenant)
    return matrix(next(iter(made.templates.values())), made.tenant, made.fallback, values or {})


def test_holes_say_what_goes_out_in_their_place() -> None:
    found = shown(sms(it="uno", it__young="due", ru="tri"), tones={"senior": []}, fallback={"de-AT": ["ru"]})
    cells = {(cell.language, cell.tone): (cell.variant, cell.own) for row in found.rows for cell in row}
    assert found.tones == ["", "young", "senior"]
    assert cells["it", "young"] == ("it/young", True)
    assert cells["it", "senior"] == ("it", False)
    assert cells["ru", "young"] == ("ru", False)
    assert cells["de-AT", ""] == ("ru", False)
    assert found.holes == sum(not own for _, own in cells.values())


def test_a_text_that_cannot_be_made_says_why_and_others_are_made() -> None:
    found = shown(sms(it="{{ missing }}", en="{{ code }}"), {"code": "1"})
    cells = {cell.language: cell for row in found.rows for cell in row}
    assert "missing-field" in cells["it"].fault
    assert cells["en"].content is not None


@pytest.mark.parametrize(("text", "encoding", "parts", "foreign"), [
    ("a" * 160, "gsm7", 1, ""), ("a" * 161, "gsm7", 2, ""), ("€" * 80, "gsm7", 1, ""), ("ç" * 70, "ucs2", 1, "ç"),
    ("ж“ж" * 30, "ucs2", 2, "ж“"),
])  # fmt: skip
def test_short_messages_are_counted_as_they_are_billed(text: str, encoding: str, parts: int, foreign: str) -> None:
    [[cell]] = shown(sms(it=text)).rows
    assert (cell.encoding, cell.parts, cell.foreign) == (encoding, parts, foreign)
    [[mail]] = shown(email(it=text)).rows
    assert (mail.encoding, mail.parts) == (None, 1)


def test_more_languages_than_a_page_shows_are_cut_and_that_is_said() -> None:
    many = sms(**{f"a{chr(97 + number // 26)}{chr(97 + number % 26)}": "x" for number in range(MOST_LANGUAGES + 1)})
    found = shown(many)
    assert (len(found.rows), found.cut) == (MOST_LANGUAGES, True)


def test_every_declared_field_has_a_sample_of_its_type() -> None:
    types = ("string", "integer", "decimal", "boolean", "date", "date-time", "phone", "email", "object")
    declared: dict[str, Any] = {f"f_{kind.replace('-', '_')}": kind for kind in types}
    declared |= {
        "kind": {"type": "enum", "values": ["b", "a"]},
        "lines": {"type": "list", "of": "date"},
        "d": {"type": "integer", "default": 9},
    }
    made = book(fields("request", **declared))
    values = samples(made.request, made.user, ["other"])
    found, faults = made.request.convert({name: value for name, value in values.items() if name in declared})
    assert faults == []
    assert found.keys() == declared.keys()
    assert (values["kind"], values["d"], values["other"], values["name"]) == ("b", 9, "other", "Ada Rossi")


def test_a_users_data_without_the_right_say_nothing_but_their_length() -> None:
    made = book(fields("user", plan={"type": "enum", "values": ["gold"]}, owes="decimal", born="date", vip="boolean", city="string"))
    row = User("acme/u", 1, name="Zoe B", fields={"plan": "gold", "owes": "-12.30", "born": "1980-05-06", "vip": True, "city": "Rome 7"})
    hidden = seen(row, made.user, full=False)
    assert hidden == {
        "plan": "gold", "owes": Decimal("-99.99"), "born": date(2000, 1, 1), "vip": True, "city": "Xxxx 9", "name": "Xxx X",
    }  # fmt: skip
    assert seen(row, made.user, full=True)["name"] == "Zoe B"
