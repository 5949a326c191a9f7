"""Receipts by webhook: who signed them, where they stand in a body, and what their words mean."""

import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.channels.http.receipts import MOST, Paths, Reader, UnreadableError, compiled, provider_id
from inm.core import webhooks
from inm.core.records import Receipt
from inm.core.webhooks import SignatureError

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u"
NOW = 1_795_334_400_000


def signed(body: bytes) -> dict[str, str]:
    return webhooks.headers([webhooks.secret(SECRET)], "post-1", NOW // 1000, body)


def read(reader: Reader, content: Any) -> tuple[list[Receipt], int]:
    body = json.dumps(content).encode()
    return reader.read(signed(body), body, NOW)


OURS = Reader("crm", SECRET, None, Paths(), {})


def test_receipts_in_our_own_words() -> None:
    assert read(OURS, {"id": "m-1", "state": "delivered", "at": 1_795_334_300}) == (
        [Receipt("crm", "m-1", "delivered", 1_795_334_300_000)],
        0,
    )
    found, others = read(
        OURS, [{"id": 7, "state": "read"}, {"id": "m-2", "state": "failed", "code": 31, "text": "off"}, {"id": "m-3"}, None]
    )
    assert found == [Receipt("crm", "7", "read", NOW), Receipt("crm", "m-2", "failed", NOW, code="31", text="off")]
    assert others == 2


def test_receipts_in_a_providers_words() -> None:
    paths = Paths(
        items="entry[].changes[].value.statuses[]", id="id", state="status", at="timestamp", code="errors[0].code", text="errors[0].title"
    )
    reader = Reader("chat", SECRET, None, paths, {"delivered": "delivered", "seen": "read", "undeliverable": "failed"})
    statuses = [
        {"id": "wamid.1", "status": "seen", "timestamp": "2026-11-22T10:00:00+01:00"},
        {"id": "wamid.2", "status": "undeliverable", "errors": [{"code": 470, "title": "window closed"}]},
        {"id": "wamid.3", "status": "typing"},
    ]
    found, others = read(reader, {"entry": [{"changes": [{"value": {"statuses": statuses}}]}, {"changes": []}]})
    assert [(one.provider_id, one.state, one.at, one.code, one.text) for one in found] == [
        ("wamid.1", "read", 1_795_338_000_000, None, None),
        ("wamid.2", "failed", NOW, "470", "window closed"),
    ]
    assert others == 1
    assert read(reader, {"entry": []}) == ([], 0)


def test_nobody_else_is_believed() -> None:
    body = b'{"id":"m-1","state":"delivered"}'
    for headers in ({}, signed(b"{}"), signed(body) | {webhooks.ID: "other"}):
        with pytest.raises(SignatureError):
            OURS.read(headers, body, NOW)
    with pytest.raises(SignatureError):
        OURS.read(signed(body), body, NOW + 3_600_000)


def test_another_signature() -> None:
    reader = Reader("crm", "any words", "X-Signature", Paths(), {})
    body = b'{"id":"m-1","state":"delivered"}'
    headers = {"X-Signature": "sha256=" + hmac.digest(b"any words", body, "sha256").hex()}
    assert reader.read(headers, body, NOW)[0]
    for wrong in ({}, {"X-Signature": "sha256=00"}, signed(body)):
        with pytest.raises(SignatureError):
            reader.read(wrong, body, NOW)


@pytest.mark.parametrize("body", [b"", b"no", b"\xff", b"[" * 100_000, b"[" + b"1," * MOST + b"1]"])
def test_what_cannot_be_read(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        OURS.read(signed(body), body, NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "state", "at", "code", "text"]), inner),
    max_leaves=10,
)


@given(json_values)
def test_any_json_is_receipts_or_none(content: Any) -> None:
    found, others = read(OURS, content)
    assert all(one.provider_id and one.at for one in found)
    assert len(found) + others == (len(content) if isinstance(content, list) else content is not None)


@pytest.mark.parametrize(
    ("body", "found"),
    [(b'{"messages":[{"id":"a"}]}', "a"), (b'{"messages":[{"id":12}]}', "12"), (b'{"messages":[]}', None), (b"no", None), (b"", None)],
)
def test_the_id_in_an_answer(body: bytes, found: str | None) -> None:
    assert provider_id(compiled("message_id", "messages[0].id"), body) == found
