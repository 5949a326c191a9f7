"""API keys: ``inm_live_<id>_<secret>``, and ``inm_test_…``, which sends to magic recipients only. Only their SHA-256 is ever kept."""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from msgspec import Struct

_KEY = re.compile(r"inm_(?P<kind>live|test)_(?P<id>[A-Za-z0-9]{1,32})_(?P<secret>[A-Za-z0-9_-]{32,128})")
FORM = "inm_live_<id: letters and digits>_<secret: at least 32 letters, digits, - or _>, or inm_test_…"


class ApiKey(Struct, frozen=True):
    """A key that is known: whose it is, its public id, and the hash of the whole key in hexadecimal. ``expires`` in ms since 1970."""

    tenant: str
    id: str
    sha256: str
    expires: int | None = None
    test: bool = False
    """It sends to magic recipients only."""

    @property
    def author(self) -> str:
        """Whose deed it is what is done with the key."""
        return f"key {self.id}"


def hashed(tenant: str, key: str) -> ApiKey:
    """What is kept of a key. ``ValueError``, without repeating the key, if it has not the form."""
    match = _KEY.fullmatch(key)
    if not match:
        raise ValueError(f"an API key of tenant {tenant} is not of the form {FORM}")
    return ApiKey(tenant, match["id"], sha256(key.encode()).hexdigest(), test=match["kind"] == "test")


def index(keys: Iterable[ApiKey]) -> dict[str, ApiKey]:
    """By hash, for :func:`find`."""
    return {key.sha256: key for key in keys}


def find(known: Mapping[str, ApiKey], key: str, now: int) -> ApiKey | None:
    """The known key that this is, in force at ``now`` (ms), or None.

    A look-up by hash tells an attacker nothing by its time: he cannot steer the hash.
    """
    found = known.get(sha256(key.encode(errors="replace")).hexdigest()) if len(key) <= 256 else None
    return found if found is not None and (found.expires is None or now < found.expires) else None
