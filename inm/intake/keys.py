"""What a request's headers say: whose it is, and which idempotency key it has."""

import re
from collections.abc import Mapping

from aiohttp import web

from inm.core import apikeys
from inm.core.apikeys import ApiKey
from inm.web.problems import Problem

IDEMPOTENCY = "Idempotency-Key"
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_KEY = re.compile(r"[\x20-\x7e]{1,190}")
"""An ``Identity`` of records, with room for the place in a list."""


def key_of(request: web.Request, known: Mapping[str, ApiKey], now: int) -> ApiKey:
    """The API key that the request bears. One answer to all that is wrong with a key: 401."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    found = apikeys.find(known, key.strip(), now) if scheme.lower() == "bearer" else None
    if found is None:
        raise Problem("unauthorized", headers={"WWW-Authenticate": 'Bearer realm="inm"'})
    return found


def idempotency_key(request: web.Request) -> str | None:
    """The key, a Structured Field string as in IETF draft httpapi-idempotency-key-header-07, or as it stands without quotes."""
    values = request.headers.getall(IDEMPOTENCY, [])
    if not values:
        return None
    text = values[0].strip()
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    if len(values) > 1 or not _KEY.fullmatch(text):
        raise Problem("invalid-idempotency-key")
    return text
