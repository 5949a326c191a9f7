"""The public schemas: as documented, and true of what is written and read."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from inm.core.edr import Decided, Edr, Rejected, Times
from inm.core.records import Request
from inm.core.requests import InvalidRequestError, parse
from inm.core.schemas import edr_schema, request_schema

DOCS = Path(__file__).parents[2] / "docs" / "schemas"

FIRST = Edr(
    id="3-abc.1.2.delivered.final",
    event="delivered",
    at=1_795_334_400_900,
    notification="3-abc",
    tenant="acme",
    scenario="otp",
    times=Times(1_795_334_400_000, 1_795_334_400_010, 1_795_334_400_020, 1_795_334_400_030, 1_795_334_400_900),
    final=True,
    request_id="r-1",
    user="u1",
    to="+393331234567",
    channel="sms",
    route="smsc-1",
    lane="urgent",
    sender="Acme",
    template="otp-sms",
    version=1,
    language="it",
    step=1,
    attempt=2,
    parts=1,
    encoding="gsm7",
    provider_ids=["1f"],
    reason="no-answer",
    code="000",
    text="ok",
    redelivered=True,
    duplicate=True,
    correction=True,
)
FULL = msgspec.structs.replace(
    FIRST,
    tone="young",
    test=True,
    parent="1-xyz",
    children=2,
    campaign="spring",
    until=1_795_334_500_000,
    decision=Decided(3, "fresh", 2, "vip", "it-CH", "young", "sms", [Rejected(2, "email", "opted-out")], {"points": "late"}),
)
"""With what later releases have added."""
SMALL = Edr("3-abc.accepted", "accepted", 1, "3-abc", "acme", "otp", Times(1))
GOLDEN = {
    "full": '{"schema":1,"id":"3-abc.1.2.delivered.final","event":"delivered","at":1795334400900,"notification":"3-abc","tenant":"acme",'
    '"scenario":"otp","times":{"received":1795334400000,"decided":1795334400010,"started":1795334400020,"submitted":1795334400030,'
    '"delivered":1795334400900},"final":true,"request_id":"r-1","user":"u1","to":"+393331234567","channel":"sms","route":"smsc-1",'
    '"lane":"urgent","sender":"Acme","template":"otp-sms","version":1,"language":"it","tone":"young","step":1,"attempt":2,"parts":1,'
    '"encoding":"gsm7","provider_ids":["1f"],"reason":"no-answer","code":"000","text":"ok","redelivered":true,"duplicate":true,'
    '"correction":true,"test":true,"parent":"1-xyz","children":2,"campaign":"spring","until":1795334500000,'
    '"decision":{"revision":3,"user":"fresh","rule":2,"rule_name":"vip","language":"it-CH","tone":"young","preferred":"sms","rejected":[{"step":2,"channel":"email","reason":"opted-out"}],'
    '"algorithms":{"points":"late"}}}',
    "first": '{"schema":1,"id":"3-abc.1.2.delivered.final","event":"delivered","at":1795334400900,"notification":"3-abc","tenant":"acme",'
    '"scenario":"otp","times":{"received":1795334400000,"decided":1795334400010,"started":1795334400020,"submitted":1795334400030,'
    '"delivered":1795334400900},"final":true,"request_id":"r-1","user":"u1","to":"+393331234567","channel":"sms","route":"smsc-1",'
    '"lane":"urgent","sender":"Acme","template":"otp-sms","version":1,"language":"it","step":1,"attempt":2,"parts":1,"encoding":"gsm7",'
    '"provider_ids":["1f"],"reason":"no-answer","code":"000","text":"ok","redelivered":true,"duplicate":true,"correction":true}',
    "small": '{"schema":1,"id":"3-abc.accepted","event":"accepted","at":1,"notification":"3-abc","tenant":"acme","scenario":"otp",'
    '"times":{"received":1}}',
}


class Known:
    def scenario_names(self, tenant: str) -> list[str] | None:
        return ["otp"]

    def book(self, tenant: str) -> None:
        return None


def documented(name: str) -> Any:
    return json.loads((DOCS / f"{name}-1.json").read_text())


@pytest.mark.parametrize(("name", "generated"), [("request", request_schema()), ("edr", edr_schema())])
def test_the_documented_schemas_are_those_of_the_code(name: str, generated: dict[str, Any]) -> None:
    assert documented(name) == generated, f"write inm.core.schemas.{name}_schema() to docs/schemas/{name}-1.json"
    Draft202012Validator.check_schema(generated)


@pytest.mark.parametrize("name", ["request", "edr"])
def test_every_field_is_described(name: str) -> None:
    for definition in documented(name)["$defs"].values():
        for field, schema in definition["properties"].items():
            assert schema.get("description") or field == "schema", field


@pytest.mark.parametrize(("edr", "golden"), [(FULL, "full"), (FIRST, "first"), (SMALL, "small")])
def test_what_is_written_is_valid_and_is_as_it_ever_was(edr: Edr, golden: str) -> None:
    written = msgspec.json.encode(edr)
    assert written.decode() == GOLDEN[golden]
    Draft202012Validator(documented("edr")).validate(json.loads(written))
    assert msgspec.json.decode(written, type=Edr) == edr


def test_the_full_record_has_every_field() -> None:
    assert set(json.loads(GOLDEN["full"])) == {field.name for field in msgspec.structs.fields(Edr)} | {"schema"}


def test_wrong_records_are_not_valid() -> None:
    validator = Draft202012Validator(documented("edr"))
    changes: list[dict[str, Any]] = [{"schema": 2}, {"event": "lost"}, {"final": "yes"}, {"times": {}}, {"at": "now"}]
    for change in changes:
        assert not validator.is_valid(json.loads(GOLDEN["small"]) | change)
    assert validator.is_valid(json.loads(GOLDEN["small"]) | {"later": "a field of a later release"})


@pytest.mark.parametrize(
    "document",
    [
        {"scenario": "otp", "to": {"phone": "+393331234567"}},
        {
            "scenario": "otp",
            "to": [{"user": "u1", "language": "it-CH"}],
            "fields": {"a": [1]},
            "lane": "bulk",
            "at": "2026-11-22T10:00:00Z",
        },
        {"scenario": "otp", "to": {}},
        {"scenario": "otp", "to": {"user": None}},
        {"scenario": "otp", "to": {"offer": "o1", "tone": "young", "role": "master"}},
        {"scenario": "otp", "to": {"phone": "+393331234567", "role": "Not so"}},
        {"scenario": "otp", "to": {"phone": "+393331234567"}, "test": True},
        {"scenario": "otp", "to": []},
        {"scenario": "otp", "to": {"phone": "+393331234567\n"}},
        {"scenario": "otp", "to": {"email": "nobody"}},
        {"scenario": "otp", "to": {"user": "u"}, "extra": 1},
        {"scenario": "", "to": {"user": "u"}},
        {"to": {"user": "u"}},
    ],
)
def test_schema_and_decoder_agree_on_requests(document: dict[str, Any]) -> None:
    try:
        taken = isinstance(parse(json.dumps(document).encode(), "acme", Known()), Request)
    except InvalidRequestError:
        taken = False
    assert Draft202012Validator(documented("request")).is_valid(document) == taken
