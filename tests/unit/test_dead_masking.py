"""What is shown of dead letters, and what is not."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core import lettertext
from inm.core.deadletters import Closing, Letter
from inm.core.faults import shown
from inm.core.masking import Mask, shape
from inm.core.records import Dead
from inm.core.requests import InvalidRequestError, parse

ANNA = {
    "scenario": "otp",
    "to": [{"user": "c-2048", "phone": "+393331234567", "email": "anna.rossi@example.com", "language": "it"}],
    "fields": {"name": "Anna Rossi", "code": 493817, "amount": 42.5, "vip": True, "data": {"id": "AX1234"}},
    "request_id": "login-8817",
}
SECRETS = ("2048", "3331234567", "anna", "rossi", "example", "Anna", "Rossi", "493817", "42.5", "AX1234")


class Acme:
    def scenario_names(self, tenant: str) -> list[str] | None:
        return ["otp"]

    def book(self, tenant: str) -> None:
        return None


@given(st.text())
def test_a_shape_is_as_long_and_says_no_letter_and_no_digit(text: str) -> None:
    hidden = shape(text)
    assert len(hidden) == len(text)
    assert {character for character in hidden if character.isalnum()} <= set("xX9")


def test_a_request_is_shown_without_its_person() -> None:
    document: Any = Mask(msgspec.json.encode(ANNA)).document
    assert document == {
        "scenario": "otp",
        "to": [{"user": "x-9999", "phone": "+999999999999", "email": "xxxx.xxxxx@xxxxxxx.xxx", "language": "it"}],
        "fields": {"name": "Xxxx Xxxxx", "code": 999999, "amount": 99.9, "vip": True, "data": {"id": "XX9999"}},
        "request_id": "login-8817",
    }


def test_records_inside_records_are_shown_as_they_are_outside() -> None:
    wait = {"topic": "inm.outcomes", "key": "acme/+39333", "value": {"route": "smsc-1", "answer": {"code": "69", "text": "to +39333"}}}
    assert Mask(msgspec.json.encode(wait)).document == {
        "topic": "inm.outcomes",
        "key": "xxxx/+99999",
        "value": {"route": "smsc-1", "answer": {"code": "69", "text": "xx +99999"}},
    }


@pytest.mark.parametrize("value", [b'{"to": "Anna', b"\xff Anna", b"Anna;+39333", b"[" * 100_000 + b"Anna"])
def test_what_is_no_json_is_shown_by_its_shape(value: bytes) -> None:
    shown_text = Mask(value).document
    assert isinstance(shown_text, str)
    assert "Anna" not in shown_text
    assert "Xxxx" in shown_text


# Without 9, x and X: they are what masks are made of.
@given(
    st.text(
        st.characters(categories=["Lu", "Ll", "Nd", "Zs"], include_characters="'\"\\.,;@", exclude_characters="9xX"),
        min_size=4,
        max_size=80,
    )
)
def test_no_fault_of_a_request_repeats_what_is_wrong(text: str) -> None:
    value = msgspec.json.encode({"scenario": "otp", "to": {"phone": text, "email": text, "language": text}, "at": text, text: text})
    with pytest.raises(InvalidRequestError) as refused:
        parse(value, "acme", Acme())
    masked = Mask(value).words("; ".join(str(fault) for fault in refused.value.faults if fault.pointer.startswith("/to/")))
    assert text not in masked
    assert shown(text)[:20] not in masked


@pytest.mark.parametrize(
    ("detail", "masked"),
    [
        ("/scenario: no such scenario, found 'otp', allowed: a, b", "/scenario: no such scenario, found 'otp', allowed: a, b"),
        ("/to/phone: wrong, found '0039 333', allowed: text", "/to/phone: wrong, found '9999 999', allowed: text"),
        (f"/x: wrong, found {shown('Anna ' * 20)}, allowed: text", "/x: wrong, found 'Xxxx Xxxx"),
        ("/a: the tenant's, found 'Anna'; /b: found \"O'Brien\"", "/a: the tenant's, found 'Xxxx'; /b: found \"X'Xxxxx\""),
        ("/fields/code: wrong type, found 493817", "/fields/code: wrong type, found 999999"),
        ("KeyError: 'Anna'", "KeyError: 'Xxxx'"),
        ("no mailbox anna@example.com at +39 333 1234567", "no mailbox xxxx@xxxxxxx.xxx at +99 999 9999999"),
        ("nobody is called Anna Rossi here", "nobody is called Xxxx Xxxxx here"),
        ("a record of 524289 bytes", "a record of 524289 bytes"),
    ],
)
def test_a_detail_keeps_its_words_and_hides_what_it_repeats(detail: str, masked: str) -> None:
    assert Mask(msgspec.json.encode(ANNA)).words(detail).startswith(masked)


def letter(**more: Any) -> Letter:
    detail = "/to/0/phone: wrong, found '+393331234567'"
    dead = Dead("invalid-request", detail, "intake", "inm.requests.acme", 3, 55, 0, "+393331234567", json.dumps(ANNA))
    return Letter(7, b"k", msgspec.structs.replace(dead, **more), Closing(7, "retried", 60_000, "olga", None, "inm.requests.acme/3/99"))


@pytest.mark.parametrize(
    "view",
    [
        lettertext.line,
        lettertext.text,
        lambda letter, unmask: json.dumps(lettertext.told(letter, unmask)),
        lambda letter, unmask: json.dumps(lettertext.told(letter, unmask, whole=True)),
    ],
)
def test_every_view_is_masked_unless_told_otherwise(view: Any) -> None:
    masked = view(letter(), False)
    assert [secret for secret in SECRETS if secret in masked] == []
    assert "393331234567" in view(letter(), True)
    for view_of in (masked, view(letter(), True)):
        assert "invalid-request" in view_of
        assert "1970-01-01T00:01:00Z" in view_of


def test_the_text_says_what_it_is_and_where_it_went() -> None:
    text = lettertext.text(letter(truncated=True), True)
    assert text.startswith("7: invalid-request, retried 1970-01-01T00:01:00Z by olga as inm.requests.acme/3/99\n")
    assert "from inm.requests.acme/3/55" in text
    assert '"phone": "+393331234567"' in text
    assert "(cut; " in text
    assert "meant for inm.edr\n" in lettertext.text(letter(topic="inm.edr", partition=-1, offset=-1), False)


def test_a_terminal_does_not_obey_a_producer() -> None:
    wild = letter(value='{"a": "\x1b[2J"', key="\x1b]0;", detail="\x1b[31m\r\x9b", stage="\x07")
    for unmask in (False, True):
        assert not {"\x1b", "\r", "\x07", "\x9b"} & set(lettertext.text(wild, unmask) + lettertext.line(wild, unmask))


def test_a_letter_without_key_or_value_is_shown() -> None:
    assert "no key" in lettertext.text(letter(key=None, value=None), False)
    assert lettertext.text(letter(key=None, value=None), False).endswith("no value")
    assert lettertext.told(letter(value=None), False, whole=True)["value"] is None
