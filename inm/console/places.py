"""Places in tables, as addresses of pages name them: so that an address tells nobody a phone number that the page itself masks."""

from hashlib import sha256

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

SIGN = "~"
"""What a hidden place begins with."""
LONGEST = 2000

_HEADER = {"alg": "dir", "enc": "A128GCM"}


def hide(secret: bytes, purpose: str, place: str) -> str:
    """A place in characters of an address, that only we can read. What is hidden for one ``purpose`` is nothing for another."""
    return SIGN + jwe.encrypt_compact(_HEADER, f"{purpose}\0{place}".encode(), _key(secret))


def seek(secret: bytes, purpose: str, hidden: str) -> str | None:
    """The place; None if we have not hidden it for this."""
    if not hidden.startswith(SIGN) or len(hidden) > LONGEST:
        return None
    try:
        text = (jwe.decrypt_compact(hidden[len(SIGN) :], _key(secret)).plaintext or b"").decode()
    except (JoseError, ValueError):
        return None
    found, _, place = text.partition("\0")
    return place if found == purpose else None


def _key(secret: bytes) -> OctKey:
    return OctKey.import_key(sha256(b"place\0" + secret).digest()[:16])
