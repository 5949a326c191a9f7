"""A posted body: made into records as a whole, or refused with every fault."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.requests import MAX_REQUEST, expand, parse
from inm.intake.submission import MAX_ITEMS, Item, read, taken
from inm.web.problems import Problem

GOOD: dict[str, Any] = {"scenario": "otp", "to": {"phone": "+393331234567"}, "fields": {"code": "1"}}


class Known:
    def scenario_names(self, tenant: str) -> list[str] | None:
        return ["otp"]

    def book(self, tenant: str) -> None:
        return None


def take(document: Any, key: str | None = None) -> list[Item]:
    return read(document if isinstance(document, bytes) else json.dumps(document).encode(), "acme", Known(), key, 1000, 6)


def refused(document: Any, key: str | None = None) -> Problem:
    with pytest.raises(Problem) as caught:
        take(document, key)
    return caught.value


def ids(items: list[Item]) -> list[str]:
    return [notification.id for item in items for notification in item.notifications]


@given(
    own=st.none() | st.text("ab/0", min_size=1, max_size=5),
    reference=st.none() | st.text("ab/0", min_size=1, max_size=5),
    key=st.none() | st.text("cd/1", min_size=1, max_size=5),
    users=st.lists(st.sampled_from("uvwxyz"), min_size=1, max_size=6),
    many=st.booleans(),
)
def test_intake_makes_of_each_record_what_the_sender_was_told(
    own: str | None, reference: str | None, key: str | None, users: list[str], many: bool
) -> None:
    request = {"scenario": "otp", "to": [{"user": user} for user in users], "request_id": reference}
    request |= {"idempotency_key": own} if own and not key else {}
    for item in take([request, request] if many else request, key):
        again = expand(parse(item.record, "acme", Known()), "acme", "the record's place", 2000, 6)
        assert [(n.id, n.fingerprint) for n in again] == [(n.id, n.fingerprint) for n in item.notifications]
        assert len(again) == len(set(users))


def test_a_request_without_identity_gets_one_of_its_own() -> None:
    first, second = take([GOOD, GOOD])
    assert first.identity != second.identity
    assert ids([first]) != ids([second])
    assert json.loads(first.record)["idempotency_key"] == first.identity


def test_the_header_identifies_a_request_and_each_of_a_list() -> None:
    assert [item.identity for item in take(GOOD | {"request_id": "r"}, "k")] == ["k"]
    assert [item.identity for item in take([GOOD, GOOD], "k")] == ["k/0", "k/1"]
    assert ids(take([GOOD, GOOD], "k")) == ids(take([GOOD, GOOD], "k"))
    assert [item.identity for item in take(GOOD | {"idempotency_key": "k"}, "k")] == ["k"]
    problem = refused([GOOD | {"idempotency_key": "k/0"}, GOOD | {"idempotency_key": "k"}], "k")
    assert (problem.kind, [fault.pointer for fault in problem.errors]) == ("idempotency-mismatch", ["/1/idempotency_key"])


@pytest.mark.parametrize(
    "change",
    [{"fields": {"code": "2"}}, {"lane": "bulk"}, {"at": "1970-12-01T00:00:00Z"}, {"to": {"phone": "+393331234567", "language": "it"}}],
)
def test_another_request_under_the_same_key_has_another_fingerprint(change: dict[str, Any]) -> None:
    (same,), (other,) = take(GOOD, "k"), take(GOOD | change, "k")
    assert same.notifications[0].id == other.notifications[0].id
    assert same.notifications[0].fingerprint != other.notifications[0].fingerprint


def test_the_spelling_of_a_request_makes_no_other_fingerprint() -> None:
    spelled = b'\n{"fields": {"b": 1.50, "a": "\\u00e8"}, "to": {"user": "u"}, "scenario": "otp", "lane": null}'
    plain = {"scenario": "otp", "to": {"user": "u"}, "fields": {"a": "è", "b": 1.5}}
    assert take(spelled, "k")[0].notifications[0].fingerprint == take(plain, "k")[0].notifications[0].fingerprint


@pytest.mark.parametrize(
    ("document", "kind", "pointers"),
    [
        (b"", "invalid-json", [""]),
        (b"[{]", "invalid-json", [""]),
        (b"[" * 100_000, "invalid-json", [""]),
        ([], "invalid-request", [""]),
        ([GOOD] * (MAX_ITEMS + 1), "invalid-request", [""]),
        (GOOD | {"lane": "x", "to": {}}, "invalid-request", ["/lane"]),
        ([GOOD, GOOD | {"lane": "x"}, GOOD | {"scenario": "otq"}], "invalid-request", ["/1/lane", "/2/scenario"]),
        ([GOOD, 7], "invalid-json", ["/1"]),
        ([GOOD | {"lane": "x"}, GOOD | {"tenant": "volta"}], "invalid-topic", ["/0/lane", "/1/tenant"]),
        (GOOD | {"scenario": "otq"}, "unknown-scenario", ["/scenario"]),
        (GOOD | {"request_id": "x" * MAX_REQUEST}, "too-large", [""]),
    ],
)
def test_what_is_refused_names_every_fault(document: Any, kind: str, pointers: list[str]) -> None:
    problem = refused(document)
    assert (problem.kind, [fault.pointer for fault in problem.errors]) == (kind, pointers)


def test_a_request_that_grows_over_the_limit_by_its_key_is_refused_here_and_not_by_intake() -> None:
    to = [{"user": f"u{number:04}" + "x" * 90} for number in range(4870)]
    body = json.dumps({"scenario": "otp", "to": to, "fields": {}}, separators=(",", ":")).encode()
    padding = MAX_REQUEST - len(body) - len(b'"x":""')
    full = body.replace(b'"fields":{}', b'"fields":{"x":"' + b"y" * padding + b'"}')
    assert len(full) == MAX_REQUEST
    assert refused(full, "k" * 100).kind == "too-large"


def test_the_answer_repeats_the_recipients_as_they_were_named() -> None:
    (item,) = take(GOOD | {"to": [{"user": "u", "email": "A@b.c"}, {"phone": "+393331234567"}], "request_id": "r"})
    (request,) = taken([item]).requests
    assert request.request_id == "r"
    assert [(n.user, n.phone, n.email) for n in request.notifications] == [("u", None, "A@b.c"), (None, "+393331234567", None)]
