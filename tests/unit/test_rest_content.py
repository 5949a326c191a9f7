"""Messages of channel rest: their parts, and whom they address by which route."""

from typing import Any

import pytest
from msgspec.structs import replace

from inm.core.catalogue import Book, check
from inm.core.decide import Refusal, Send, decide
from inm.core.records import Content, Notification
from inm.core.users import User
from tests.support import books

NOW = 1_795_334_400_000
ROUTES = {"smsc-1": "sms", "smtp-1": "email", "inbox-1": "rest"}
SENDER = {"kind": "sender", "name": "by-rest", "channel": "rest", "address": "Acme"}
STEP = {"channel": "rest", "template": "note", "sender": "by-rest", "after": 60, "route": "inbox-1"}


def note(**variant: Any) -> dict[str, Any]:
    variant = variant or {"text": "{{ text }}", "title": "{{ text }}!", "data": {"a": "{{ text }}", "b": "c"}}
    return {"kind": "template", "name": "note", "channel": "rest", "variants": {"en": variant}}


def book(address: str = "phone", plan: list[dict[str, Any]] | None = None, **given: Any) -> Book:
    made = books.book(SENDER, note(), books.sms(), books.scenario(plan=plan or [STEP], **given))
    return replace(made, addresses={"inbox-1": address})


def asked(**given: Any) -> Notification:
    return Notification("3-abc", "acme/7", "acme", "hello", NOW, **{"fields": {"text": "x"}, **given})


def sent_to(address: str, known: User | None = None, **given: Any) -> str:
    decision = decide(asked(**given), book(address), known, NOW)
    if isinstance(decision, Refusal):
        return f"{decision.reason}: {decision.detail}"
    assert isinstance(decision, Send)
    return f"{decision.delivery.route} {decision.delivery.to}"


KNOWN = User("acme/7", NOW + 1, phone="+393331234567", email="ada@example.org")
EVERYTHING: dict[str, Any] = {"user": "7", "phone": "+393330000001", "email": "x@example.org"}


def test_a_message_has_a_text_a_title_and_data() -> None:
    decision = decide(asked(phone="+393331234567"), book(), None, NOW)
    assert isinstance(decision, Send)
    assert decision.delivery.content == Content("x", title="x!", data={"a": "x", "b": "c"})
    assert (decision.delivery.channel, decision.delivery.sender, decision.delivery.parts) == ("rest", "Acme", 1)


@pytest.mark.parametrize(
    ("address", "expected"), [("phone", "inbox-1 +393330000001"), ("email", "inbox-1 x@example.org"), ("user", "inbox-1 7")]
)
def test_the_route_says_which_address_it_wants(address: str, expected: str) -> None:
    assert sent_to(address, **EVERYTHING) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [("phone", "inbox-1 +393331234567"), ("email", "inbox-1 ada@example.org"), ("user", "no-address: the plan needs user")],
)
def test_addresses_of_the_user_data_and_no_id_that_nobody_named(address: str, expected: str) -> None:
    assert sent_to(address, KNOWN) == expected


def test_a_test_never_reaches_a_person_by_an_id() -> None:
    assert sent_to("user", **EVERYTHING, test=True) == "no-address: the plan needs user"
    magic: dict[str, Any] = {"user": "7", "phone": "+447700900001"}
    assert sent_to("user", **magic, test=True) == "magic-rest +447700900001"
    assert sent_to("user", **(magic | {"phone": None, "email": "delivered@inm.test"}), test=True) == "magic-rest delivered@inm.test"
    assert sent_to("phone", **EVERYTHING, test=True) == "inbox-1 +393330000001", "a trial names its address"


def test_one_of_several_destinations_is_none_by_an_id() -> None:
    assert sent_to("user", **EVERYTHING, only=True) == "no-address: the plan needs user"
    assert sent_to("phone", **EVERYTHING, only=True) == "inbox-1 +393330000001"


def test_without_an_address_the_next_step_is_taken() -> None:
    decision = decide(asked(phone="+393330000001"), book("user", [STEP, books.step()]), None, NOW)
    assert isinstance(decision, Send)
    assert (decision.delivery.channel, decision.skipped[0].detail) == ("sms", "no user")


def test_routes_that_want_another_address_do_not_stand_in() -> None:
    plan = [{name: value for name, value in STEP.items() if name != "route"}]
    made = book("user", plan)
    tenant = replace(made.tenant, routes={"rest": ["inbox-1", "inbox-2", "inbox-3"]})
    decision = decide(asked(**EVERYTHING), replace(made, tenant=tenant, addresses={"inbox-1": "user", "inbox-3": "user"}), None, NOW)
    assert isinstance(decision, Send)
    assert (decision.delivery.to, decision.delivery.routes) == ("7", ["inbox-1", "inbox-3"])


@pytest.mark.parametrize(
    ("template", "pointer"),
    [
        (note(title="x"), "/variants/en/text"),
        (note(text="x", subject="x"), "/variants/en/subject"),
        (note(text="x", html="x"), "/variants/en/html"),
        (note(text="x", data={"a": "{{"}), "/variants/en/data/a"),
        (books.sms() | {"variants": {"en": {"text": "x", "title": "y"}}}, "/variants/en/title"),
        (books.email() | {"variants": {"en": {"text": "x", "subject": "y", "data": {"a": "b"}}}}, "/variants/en/data/a"),
    ],
)
def test_parts_that_a_channel_has_not(template: dict[str, Any], pointer: str) -> None:
    found = check("acme", books.held(SENDER, template), ROUTES)
    assert pointer in [fault.pointer for _, fault in found.faults]


def test_what_a_template_needs_is_what_its_parts_need() -> None:
    template = books.book(SENDER, note(text="{{ a }}", title="{{ b }}", data={"x": "{{ c }}", "y": "{{ d|default('') }}"})).templates[
        "note"
    ]
    assert template.needed == {"a", "b", "c"}
    assert template.variables == {"a", "b", "c", "d"}


def test_a_private_network_of_a_tenant_must_be_one() -> None:
    tenant = {"kind": "tenant", "name": "acme"} | books.TENANT | {"networks": ["ten"]}
    documents = books.held()
    documents["acme/tenant"] = replace(documents["acme/tenant"], document=tenant)
    assert ("acme/tenant", "/networks") in [(path, fault.pointer) for path, fault in check("acme", documents, ROUTES).faults]
