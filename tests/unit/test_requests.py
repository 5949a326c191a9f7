"""Requests: what is taken, and every fault of what is not."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core import requests
from inm.core.faults import find, pointer_of
from inm.core.ids import partition_of_notification
from inm.core.records import Recipient, Request
from inm.core.requests import InvalidRequestError, expand, parse


class Known:
    def scenario_names(self, tenant: str) -> list[str] | None:
        return ["invoice-ready", "otp"] if tenant == "acme" else None

    def book(self, tenant: str) -> None:
        return None


def take(document: Any, **options: Any) -> Request:
    value = document if isinstance(document, bytes) else msgspec.json.encode(document)
    return parse(value, "acme", Known(), **options)


def refused(document: Any, **options: Any) -> tuple[str, list[str]]:
    with pytest.raises(InvalidRequestError) as caught:
        take(document, **options)
    return caught.value.reason, [fault.pointer for fault in caught.value.faults]


GOOD = {"scenario": "otp", "to": {"phone": "+393331234567"}, "fields": {"code": "1"}}


def test_the_smallest_request() -> None:
    assert take(GOOD) == Request(scenario="otp", to=Recipient(phone="+393331234567"), fields={"code": "1"})


@pytest.mark.parametrize(
    ("change", "reason", "pointers"),
    [
        ({"scenario": "otq"}, "unknown-scenario", ["/scenario"]),
        ({"scenario": 7}, "invalid-request", ["/scenario"]),
        ({"tenant": "volta"}, "invalid-topic", ["/tenant"]),
        ({"tenant": "volta", "scenario": "otq", "lane": "fast"}, "invalid-topic", ["/lane", "/tenant", "/scenario"]),
        ({"to": []}, "invalid-request", ["/to"]),
        ({"to": {}}, "invalid-request", ["/to"]),
        ({"to": [{"phone": "+393331234567"}, {"language": "it"}]}, "invalid-request", ["/to/1"]),
        ({"to": {"phone": "0333"}}, "invalid-request", ["/to/phone"]),
        ({"to": {"phone": "+393331234567\n"}}, "invalid-request", ["/to/phone"]),
        ({"to": {"email": "a@b\n"}}, "invalid-request", ["/to/email"]),
        ({"to": {"email": "a@b\r\nBcc: c@d"}}, "invalid-request", ["/to/email"]),
        ({"to": {"user": "u\u0000"}}, "invalid-request", ["/to/user"]),
        ({"to": [{"phone": 1}, {"user": "u", "mail": "x"}], "at": "soon", "a/b~": 1}, "invalid-request", None),
        ({"fields": []}, "invalid-request", ["/fields"]),
        ({"at": "2026-11-22T10:00:00"}, "invalid-request", ["/at"]),
    ],
)
def test_every_fault_is_named(change: dict[str, Any], reason: str, pointers: list[str] | None) -> None:
    found = refused(GOOD | change)
    assert found[0] == reason
    assert sorted(found[1]) == sorted(pointers or ["/a~1b~0", "/to/0/phone", "/to/1/mail", "/at"])


def test_missing_keys_and_an_unknown_scenario_are_named_together() -> None:
    assert refused({"scenario": "otq", "lane": "x"}) == ("invalid-request", ["/to", "/lane", "/scenario"])


def test_a_fault_says_what_was_found_and_what_is_allowed() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        take(GOOD | {"lane": "fast"})
    (fault,) = caught.value.faults
    assert (fault.found, fault.allowed) == ("'fast'", "bulk, normal, urgent or null")


def test_a_fault_of_form_says_in_words_what_is_allowed() -> None:
    (fault,) = find({"phone": "0039"}, Recipient)
    assert str(fault) == (
        "/phone: is not of the allowed form, found '0039', allowed: a number with the code of its country, as +393331234567 (E.164) or null"
    )


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'"\\ud800"',
        b"{'a': 1}",
        b'{"scenario": NaN}',
        b'{"scenario": "otp"} x',
        b"[]",
        b"7",
        b"null",
    ],
)
def test_what_is_no_json_object(value: bytes) -> None:
    assert refused(value)[0] == "invalid-json"


def test_a_number_that_is_no_number() -> None:
    assert refused(b'{"scenario": "otp", "to": {"user": "u"}, "fields": {"n": 1e999}}')[0] == "invalid-request"


def test_a_deep_request() -> None:
    nested = b"[" * 100_000 + b"]" * 100_000
    assert refused(b'{"scenario": "otp", "to": {"user": "u"}, "fields": {"x": ' + nested + b"}}")[0] == "invalid-json"


def test_sizes() -> None:
    assert refused(b" " * (requests.MAX_REQUEST + 1))[0] == "too-large"
    assert refused(GOOD | {"fields": {"x": "y" * requests.MAX_FIELDS}}) == ("invalid-request", ["/fields"])
    many = [{"user": f"u{n}"} for n in range(1000)]
    assert refused(GOOD | {"to": many, "fields": {"x": "y" * 20_000}}) == ("invalid-request", ["/fields"])
    assert len(requests.recipients(take(GOOD | {"to": many, "fields": {"x": "y" * 10_000}}))) == 1000


def test_an_unknown_tenant() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse(msgspec.json.encode(GOOD), "nobody", Known())
    assert caught.value.reason == "unknown-tenant"


EVENT = {"specversion": "1.0", "id": "7", "source": "/crm", "type": "com.acme.otp", "data": GOOD, "time": "2026-11-22T10:00:00Z"}
STRUCTURED = {"content-type": b"application/cloudevents+json; charset=utf-8"}


def test_cloud_events_in_both_forms_are_the_same_request() -> None:
    structured = take(EVENT, headers=STRUCTURED)
    binary = take(GOOD, headers={"ce_specversion": b"1.0", "ce_id": b"7", "ce_source": b"/crm", "content-type": b"application/json"})
    packed = {key: item for key, item in EVENT.items() if key != "data"} | {
        "data_base64": base64.b64encode(msgspec.json.encode(GOOD)).decode()
    }
    assert structured == binary == take(packed, headers=STRUCTURED)
    assert structured.idempotency_key
    assert structured.idempotency_key != take(EVENT | {"id": "8"}, headers=STRUCTURED).idempotency_key


def test_the_requests_own_identity_wins_over_the_events() -> None:
    event = EVENT | {"data": GOOD | {"request_id": "r1"}}
    assert take(event, headers=STRUCTURED).idempotency_key is None


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({**EVENT, "specversion": "0.3"}, "invalid-request"),
        ({"id": "1"}, "invalid-request"),
        ({**EVENT, "data": {"scenario": "otp"}}, "invalid-request"),
        ({key: item for key, item in EVENT.items() if key != "data"}, "invalid-json"),
        ({**EVENT, "data_base64": "!"}, "invalid-json"),
    ],
)
def test_a_wrong_cloud_event(event: dict[str, Any], reason: str) -> None:
    assert refused(event, headers=STRUCTURED)[0] == reason


def test_one_notification_a_recipient_and_none_twice() -> None:
    to = [{"user": "u1"}, {"email": "A@b.c"}, {"user": "u1", "phone": "+393331234567"}, {"email": "a@B.c"}]
    request = take(GOOD | {"to": to, "at": "2026-11-22T10:00:00.5+02:00", "request_id": "r1"})
    made = expand(request, "acme", "topic:1", 99, 6)
    assert [item.key for item in made] == ["acme/u1", "acme/a@b.c"]
    assert {item.at for item in made} == {1_795_334_400_500}
    assert all(partition_of_notification(item.id) < 6 for item in made)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20), st.integers(1, 64))
def test_ids_meet_themselves_and_nothing_else(identity: str, other: str, partitions: int) -> None:
    request = take(GOOD | {"to": [{"user": "u1"}, {"user": "u2"}]})
    made = [item.id for item in expand(request, "acme", identity, 1, partitions)]
    assert made == [item.id for item in expand(request, "acme", identity, 2, partitions)]
    assert len(set(made)) == 2
    assert (made == [item.id for item in expand(request, "acme", other, 1, partitions)]) == (identity == other)
    assert not set(made) & {item.id for item in expand(request, "volta", identity, 1, partitions)}


@given(
    st.dictionaries(
        st.sampled_from(["scenario", "to", "fields", "at", "lane", "x"]), st.sampled_from([1, "otp", {}, [], [{}], None, [{"user": 1}]])
    )
)
def test_the_walk_finds_faults_exactly_where_the_decoder_does(document: dict[str, Any]) -> None:
    try:
        msgspec.convert(document, Request)
    except msgspec.ValidationError:
        assert find(document, Request)
    else:
        assert find(document, Request) == []


@given(
    st.binary(max_size=60) | st.recursive(st.none() | st.booleans() | st.text(max_size=5), st.lists, max_leaves=5).map(msgspec.json.encode)
)
def test_nothing_but_a_refusal_is_ever_raised(value: bytes) -> None:
    for headers in (None, STRUCTURED):
        with pytest.raises(InvalidRequestError):
            take(value, headers=headers)


@pytest.mark.parametrize(("path", "pointer"), [("$", ""), ("$.to[0].phone", "/to/0/phone"), ("$.fields[...]", "/fields"), ("", "")])
def test_pointers(path: str, pointer: str) -> None:
    assert pointer_of(path) == pointer


@pytest.mark.parametrize(
    ("at", "taken"), [("1970-01-01T00:00:00Z", True), ("2027-11-22T00:00:00Z", True), ("2036-11-22T00:00:00+01:00", False)]
)
def test_a_time_in_the_past_is_now_and_one_in_ten_years_a_fault(at: str, taken: bool) -> None:
    assert take(GOOD | {"at": at}).at, "nobody says when it is taken"
    if taken:
        assert take(GOOD | {"at": at}, now=1_795_334_400_000).at
        return
    with pytest.raises(InvalidRequestError) as caught:
        take(GOOD | {"at": at}, now=1_795_334_400_000)
    [fault] = caught.value.faults
    assert (fault.pointer, fault.allowed) == ("/at", "within 366 days: until 2027-11-23T08:00:00Z")
