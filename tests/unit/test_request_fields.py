"""Requests by what their tenant declares: fields converted, every fault named; tone, offer, role and tests."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.catalogue import Catalogue
from inm.core.records import Request
from inm.core.requests import InvalidRequestError, expand, parse
from tests.support.books import book, fields, scenario, sms

DECLARED = fields(
    amount="decimal",
    count="integer",
    due="date",
    paid="boolean",
    kind={"type": "enum", "values": ["flat", "pay"], "default": "flat"},
    code={"type": "string", "required": True},
)
CATALOGUE = Catalogue({"acme": book(sms(), scenario(), scenario("bill", requires=["amount", "due"]), DECLARED)})
PHONE = "+393331234567"


def take(**given: Any) -> Request:
    document = {"scenario": "hello", "to": {"phone": PHONE}, "fields": {"code": "7"}} | given
    return parse(msgspec.json.encode(document), "acme", CATALOGUE)


def faults(**given: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        take(**given)
    assert caught.value.reason == "invalid-request"
    return {fault.pointer: str(fault) for fault in caught.value.faults}


def test_values_come_as_databases_and_files_write_them_and_leave_as_what_is_declared() -> None:
    written = take(fields={"code": 7, "amount": "1.50", "count": "12", "due": "2026-12-15", "paid": "true"})
    assert msgspec.to_builtins(written.fields, builtin_types=()) == {
        "amount": "1.50",
        "count": 12,
        "due": "2026-12-15",
        "paid": True,
        "kind": "flat",
        "code": "7",
    }


def test_every_fault_of_the_fields_is_named_beside_those_of_the_request() -> None:
    found = faults(fields={"amount": "much", "cuont": 1}, lane="fast")
    assert set(found) == {"/lane", "/fields/amount", "/fields/cuont", "/fields/code"}
    assert found["/fields/amount"].startswith("/fields/amount: is no decimal, found 'much', allowed: ")
    assert set(faults(scenario="bill")) == {"/fields/amount", "/fields/due"}
    assert "scenario bill requires it" in faults(scenario="bill")["/fields/due"]
    assert set(faults(scenario="bill", fields={"code": "7", "amount": "x"})) == {"/fields/amount", "/fields/due"}, "each once"


@given(
    st.fixed_dictionaries(
        {"code": st.text(min_size=1, max_size=9)},
        optional={"amount": st.integers(-99, 99) | st.just("1.10"), "paid": st.sampled_from(["yes", "no", 1, True, "false"])},
    )
)
def test_what_was_taken_is_taken_again_as_the_same(values: dict[str, Any]) -> None:
    """The API converts a request, and intake what the API has written: ids and fingerprints must agree."""
    try:
        first = take(fields=values)
    except InvalidRequestError:
        return
    again = parse(msgspec.json.encode(first), "acme", CATALOGUE)
    assert again == first
    assert expand(again, "acme", "x", 0, 6) == expand(first, "acme", "x", 0, 6)


def test_an_offer_stands_alone_and_has_a_key_of_its_own() -> None:
    (notification,) = expand(take(to={"offer": "o1", "tone": "young"}), "acme", "x", 0, 6)
    assert (notification.key, notification.offer, notification.user, notification.tone) == ("acme/offer:o1", "o1", None, "young")
    assert set(faults(to={"offer": "o1", "user": "u1"})) == {"/to/offer"}
    assert set(faults(to=[{"phone": PHONE}, {"tone": "young"}])) == {"/to/1"}


def test_tone_role_and_test_go_with_each_notification() -> None:
    asked = take(to=[{"phone": PHONE, "role": "master"}, {"user": "u1", "email": "a@b.c", "tone": "senior"}], test=True)
    first, second = expand(asked, "acme", "x", 0, 6)
    assert (first.role, first.test, second.tone, second.test) == ("master", True, "senior", True)
    live = expand(take(to={"phone": PHONE, "role": "master"}), "acme", "x", 0, 6)[0]
    assert (live.id, live.fingerprint != first.fingerprint) == (first.id, True), "a test and the thing itself are not the same request"
    assert set(faults(to=[{"phone": PHONE}, {"user": "u1"}], test=True)) == {"/to/1"}
