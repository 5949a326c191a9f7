"""Routes of the console: every path says which right it takes, so that one law can walk over all of them."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

from aiohttp import web

from inm.core.roles import Right

if TYPE_CHECKING:
    from inm.console.visit import Visit

PREFIX = "/console"

Handler = Callable[["Visit"], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    """A path below :data:`PREFIX`. ``right`` None: everybody, also who is not signed in."""

    method: Literal["GET", "POST"]
    path: str
    right: Right | None
    handler: Handler


def get(path: str, right: Right | None, handler: Handler) -> Route:
    """A page, or a part of one: it changes nothing."""
    return Route("GET", path, right, handler)


def post(path: str, right: Right | None, handler: Handler) -> Route:
    """What a form does."""
    return Route("POST", path, right, handler)
