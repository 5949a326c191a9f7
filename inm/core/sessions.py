"""Sessions: who is signed in, in a cookie that only we can make. Nothing in it is secret; what it says was true when it was signed."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import sha256

import msgspec
from msgspec import Struct

LASTS = 10 * 3600 * 1000
"""Milliseconds from signing in to the end of a session: a working day."""
LONGEST = 4096
"""Characters of a sealed text: what browsers keep of a cookie."""


class Session(Struct, frozen=True, array_like=True):
    """Somebody signed in. ``at`` in ms since 1970; ``stamp`` is that of the account then: another password makes another one."""

    id: str
    tenant: str
    account: str
    at: int
    stamp: str


def stamp(password: str | None, identity: str | None) -> str:
    """What changes with how somebody proves who he is."""
    return sha256(f"{password}\0{identity}".encode()).hexdigest()[:16]


def seal(secret: bytes, purpose: str, text: str) -> str:
    """A text with its signature, in characters that a cookie may have. What is sealed for one ``purpose`` is nothing for another."""
    body = urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
    return f"{body}.{_signature(secret, purpose, body)}"


def unseal(secret: bytes, purpose: str, sealed: str) -> str | None:
    """The text; None if it was not sealed by us for this."""
    if len(sealed) > LONGEST or not sealed.isascii():  # bytes of a header that are no UTF-8 come as half surrogates
        return None
    body, _, signature = sealed.partition(".")
    if not hmac.compare_digest(_signature(secret, purpose, body), signature):
        return None
    try:
        return urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
    except (Error, UnicodeDecodeError):  # pragma: no cover - we have signed it
        return None


def cookie(secret: bytes, session: Session) -> str:
    """The session as a cookie's value."""
    return seal(secret, "session", msgspec.json.encode(session).decode())


def read(secret: bytes, value: str) -> Session | None:
    """The session of a cookie, be it over or not; None if it is not ours."""
    text = unseal(secret, "session", value)
    try:
        return None if text is None else msgspec.json.decode(text, type=Session)
    except msgspec.DecodeError:
        return None


def is_over(session: Session, now: int) -> bool:
    """Whether its time has passed (ms)."""
    return not session.at <= now < session.at + LASTS


def token(secret: bytes, session: Session) -> str:
    """What every form of the session bears: another site cannot know it."""
    return _signature(secret, "form", session.id)


def is_token(secret: bytes, session: Session, given: str) -> bool:
    """Whether a form is one of the session's."""
    return hmac.compare_digest(token(secret, session).encode(), given.encode())


def _signature(secret: bytes, purpose: str, text: str) -> str:
    return urlsafe_b64encode(hmac.new(secret, f"{purpose}\0{text}".encode(), sha256).digest()).rstrip(b"=").decode()
