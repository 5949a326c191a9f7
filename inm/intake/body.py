"""The body of a request to the API."""

from collections.abc import Collection
from typing import Any, TypeVar

import msgspec
from aiohttp import hdrs, web

from inm.core.faults import Fault, find
from inm.web.problems import Problem

MAX_BODY = 2 * 1024 * 1024
JSON = ("application/json",)

Kind = TypeVar("Kind")


async def read(request: web.Request, kinds: Collection[str] = JSON, at_most: int = MAX_BODY) -> bytes:
    """The body, decompressed if need be, of one of these kinds and up to its limit."""
    if request.content_type not in kinds or (request.charset or "utf-8").lower() != "utf-8":
        raise Problem("unsupported-media-type", f"taken is {' or '.join(kinds)}", headers={hdrs.ACCEPT: ", ".join(kinds)})
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > at_most:
            raise Problem("too-large", f"a body may have {at_most} bytes")
    return bytes(body)


async def read_as(request: web.Request, kind: type[Kind]) -> Kind:
    """The body as a type; as a :class:`Problem` every fault that keeps it from being that."""
    return decoded(await read(request), kind)


def decoded(body: bytes, kind: type[Kind]) -> Kind:
    """As :func:`read_as`, of a body that was read."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("invalid-json", errors=[Fault("", str(error))]) from error
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Problem("invalid-document", errors=find(value, kind) or [Fault("", str(error))]) from error
