"""Standard Webhooks 1.0 (standardwebhooks.com): signatures of what is posted, by us and to us.

The signature is the HMAC-SHA256 of ``id.timestamp.body``; the id stays the same over retries.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE = 300
"""Seconds by which the time of a signature may differ from ours: what is older may be a recording."""
FORM = "whsec_ and 24 to 64 bytes in base 64"
"""What a secret looks like."""


class SignatureError(ValueError):
    """What was posted is not from who has the secret; says why."""


def secret(text: str) -> bytes:
    """The key of a secret as it is written. ``ValueError`` if it is none; it never says what was found."""
    try:
        key = base64.b64decode(text.strip().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not (text.strip().startswith("whsec_") and 24 <= len(key) <= 64):
        raise ValueError(f"holds no webhook secret, allowed: {FORM}")
    return key


def signature(key: bytes, identity: str, timestamp: int, body: bytes) -> str:
    """``v1,`` and the signature in base 64. ``timestamp`` is in seconds."""
    signed = b"%b.%d.%b" % (identity.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def headers(keys: Sequence[bytes], identity: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers; signed with each key, so that a secret can be changed without a gap."""
    return {ID: identity, TIMESTAMP: str(timestamp), SIGNATURE: " ".join(signature(key, identity, timestamp, body) for key in keys)}


def verify(key: bytes, given: Mapping[str, str], body: bytes, now: int) -> str:
    """The id of what was posted at about ``now`` (seconds). :class:`SignatureError`."""
    identity, stamp, signed = (given.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not (identity and signed and stamp.isascii() and stamp.isdecimal() and len(stamp) < 12):
        raise SignatureError(f"needs the headers {ID}, {TIMESTAMP} and {SIGNATURE}")
    if abs(now - int(stamp)) > TOLERANCE:
        raise SignatureError(f"{TIMESTAMP} is {now - int(stamp)} s from now, allowed are {TOLERANCE}")
    expected = signature(key, identity, int(stamp), body).encode()
    if not any(hmac.compare_digest(expected, one.encode()) for one in signed.split()):
        raise SignatureError("the signature is another one than the secret makes of the body")
    return identity


def verify_plain(key: bytes, given: str, body: bytes) -> None:
    """A header that holds the HMAC-SHA256 of the body alone, in hex or base 64, perhaps behind ``sha256=``. :class:`SignatureError`."""
    text = given.strip().removeprefix("sha256=").encode()
    digest = hmac.digest(key, body, "sha256")
    if not (hmac.compare_digest(digest.hex().encode(), text.lower()) or hmac.compare_digest(base64.b64encode(digest), text)):
        raise SignatureError("the signature is another one than the secret makes of the body")
