"""Standard Webhooks: ours and the reference implementation's signatures are each other's."""

import base64
import hmac
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from inm.core import webhooks
from inm.core.webhooks import SignatureError

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdefghijklmn").decode()
OTHER = "whsec_" + base64.b64encode(b"another-secret-of-24-byte").decode()
KEY = webhooks.secret(SECRET)
names = st.text("abcdefghijklmnop.0123456789-", min_size=1, max_size=60)


def now() -> int:
    return int(datetime.now(UTC).timestamp())


@given(
    names, st.recursive(st.none() | st.text() | st.integers(-1000, 1000), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_the_reference_implementation_takes_ours(name: str, content: Any) -> None:
    body = msgspec.json.encode({"data": content})
    headers = webhooks.headers([webhooks.secret(OTHER), KEY], name, now(), body)
    assert Webhook(SECRET).verify(body, headers) == {"data": content}
    assert Webhook(OTHER).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", headers)


@given(names)
def test_we_take_those_of_the_reference_implementation(name: str) -> None:
    moment = datetime.now(UTC)
    signed = Webhook(SECRET).sign(name, moment, "{}")
    headers = {webhooks.ID: name, webhooks.TIMESTAMP: str(int(moment.timestamp())), webhooks.SIGNATURE: f"v1,bm9uZQ== {signed}"}
    assert webhooks.verify(KEY, headers, b"{}", now()) == name


@pytest.mark.parametrize(
    "change",
    [
        {webhooks.ID: "other"},
        {webhooks.ID: ""},
        {webhooks.TIMESTAMP: "1700000999"},
        {webhooks.TIMESTAMP: "٣"},
        {webhooks.TIMESTAMP: "-1"},
        {webhooks.SIGNATURE: "v1,"},
        {webhooks.SIGNATURE: "v1,é"},
    ],
)
def test_what_is_changed_is_refused(change: dict[str, str]) -> None:
    headers = webhooks.headers([KEY], "m-1", 1_700_000_000, b"{}")
    assert webhooks.verify(KEY, headers, b"{}", 1_700_000_000 + webhooks.TOLERANCE) == "m-1"
    with pytest.raises(SignatureError):
        webhooks.verify(KEY, headers | change, b"{}", 1_700_000_000)
    with pytest.raises(SignatureError):
        webhooks.verify(KEY, headers, b"{ }", 1_700_000_000)


@pytest.mark.parametrize("late", [-webhooks.TOLERANCE - 1, webhooks.TOLERANCE + 1])
def test_recordings_are_refused(late: int) -> None:
    with pytest.raises(SignatureError, match="s from now"):
        webhooks.verify(KEY, webhooks.headers([KEY], "m-1", 1_700_000_000, b""), b"", 1_700_000_000 + late)


@pytest.mark.parametrize("text", ["", "secret", SECRET.removeprefix("whsec_"), "whsec_", "whsec_c2hvcnQ=", "whsec_%%%", "whsec_é"])
def test_a_secret_has_a_form_and_is_never_shown(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: whsec_ and 24 to 64 bytes") as refused:
        webhooks.secret(text)
    assert len(text) < 8 or text not in str(refused.value)


def test_plain_signatures_in_the_usual_forms() -> None:
    digest = hmac.digest(b"any text", b"body", "sha256")
    for given_ in (digest.hex(), f"sha256={digest.hex().upper()}", base64.b64encode(digest).decode()):
        webhooks.verify_plain(b"any text", given_, b"body")
        with pytest.raises(SignatureError):
            webhooks.verify_plain(b"any text", given_, b"BODY")
    for given_ in ("", "sha256=", digest.hex()[:-1], "é"):
        with pytest.raises(SignatureError):
            webhooks.verify_plain(b"any text", given_, b"body")
