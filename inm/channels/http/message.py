"""One delivery as an HTTP request: method, URL, headers and JSON body, made of a route's templates."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from yarl import URL

from inm.core.faults import child
from inm.core.records import Delivery
from inm.core.rendering import Compiled

METHODS = ("POST", "PUT", "PATCH", "GET", "DELETE")
WITHOUT_BODY = frozenset({"GET", "DELETE"})
VARIABLES = (
    "id", "attempt", "notification", "tenant", "scenario", "lane", "step", "to", "sender", "text", "title", "data", "language", "tone",
    "template", "version", "expires",
)  # fmt: skip
"""What templates of a route may use; headers have ``token`` too."""
DEFAULT_BODY: dict[str, str] = {
    name: f"{{{{ {name} }}}}" for name in ("id", "to", "sender", "text", "title", "data", "language", "tenant", "scenario", "expires")
}

_ALONE = re.compile(r"\{\{\s*([a-z_]+)((?:\.[A-Za-z0-9_]+)*)\s*\}\}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name (RFC 9110 section 5.6.2)."""
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"})
_ORIGIN = re.compile(r"https?://[^/?#{}\s]+(?=[/?#]|$)")

Values = Mapping[str, Any]
_Maker = Callable[[Values], Any]


class UnsendableError(Exception):
    """The URL that came out is none that may be called."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is written to the other side."""

    method: str
    url: URL
    headers: dict[str, str]
    body: bytes | None


def origin(url: str) -> str:
    """The part of a templated URL that says who is called. ``ValueError`` if it is not the same for all messages."""
    found = _ORIGIN.match(url)
    if found is None:
        raise ValueError("url: found no https:// or http:// with a host that is the same for all messages")
    return found[0]


def identity(delivery: Delivery) -> str:
    """What tells a message from all others, and is the same over its attempts: the receiver can tell a repetition by it."""
    return f"{delivery.notification}.{delivery.step}"


def values(delivery: Delivery) -> dict[str, Any]:
    """What templates see of a delivery."""
    content = delivery.content
    seen = {name: getattr(delivery, name, None) for name in VARIABLES}
    return seen | {"id": identity(delivery), "text": content.text, "title": content.title, "data": content.data}


class Templates:
    """The templates of a route, compiled. ``ValueError`` names the first that cannot be, and why."""

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: object, token: str | None) -> None:
        self._method = _text(method, "method", VARIABLES)
        if not self._method.variables and self._method.render({}) not in METHODS:
            raise ValueError(f"method: found {method!r}, allowed: {', '.join(METHODS)}")
        self._url = _text(url, "url", VARIABLES)
        self._headers = {_header(name): _text(text, f"headers/{name}", (*VARIABLES, "token")) for name, text in headers.items()}
        self._headers.setdefault("Content-Type", _text("application/json", "headers", ()))
        named = any("token" in text.variables for text in self._headers.values())
        if named and not token:
            raise ValueError("token: is missing, and headers use it: name the environment variable that holds it in token_env")
        if token and not named:
            self._headers["Authorization"] = _text("Bearer {{ token }}", "headers", ("token",))
        if not isinstance(body, dict | list):
            raise ValueError(f"body: found {type(body).__name__}, allowed: a mapping or a list")  # noqa: TRY004 - as below
        self._body = _maker(body, "body")
        self._token = token

    def render(self, delivery: Delivery) -> Request:
        """The request of a delivery. ``RenderError`` if something that it shows is missing, :class:`UnsendableError`."""
        seen = values(delivery)
        method = self._method.render(seen).strip()
        url = self._url.render({name: _quoted(value) for name, value in seen.items()})
        path = url.partition("://")[2].partition("?")[0].partition("#")[0]
        if method not in METHODS or any(part in (".", "..") for part in path.split("/")) or " " in url:
            raise UnsendableError(f"{method} with this recipient is no request that may be made")
        shown = seen | {"token": self._token}
        # One line each, for a line break in it would begin another header.
        headers = {name: " ".join(text.render(shown).split()) for name, text in self._headers.items()}
        body = None if method in WITHOUT_BODY else msgspec.json.encode(self._body(seen))
        return Request(method, URL(url, encoded=True), headers, body)


def _header(name: str) -> str:
    if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
        raise ValueError(f"headers/{name}: is no header that may be set")
    return "-".join(word.capitalize() for word in name.split("-"))


def _text(source: object, place: str, known: tuple[str, ...]) -> Compiled:
    if not isinstance(source, str):
        raise ValueError(f"{place}: found {type(source).__name__}, allowed: a text")  # noqa: TRY004 - a wrong option is a ValueError
    try:
        compiled = Compiled(source, "en")
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
    for name in sorted(compiled.variables - {*known}):
        raise ValueError(f"{place}: no such variable, found {name}, allowed: {', '.join(known)}")
    return compiled


def _maker(value: object, place: str) -> _Maker:
    """What makes a JSON value of a delivery's. A text that is one variable alone takes its value as it is, be it an object or null."""
    if isinstance(value, dict):
        makers = {str(name): _maker(item, f"{place}{child('', name)}") for name, item in value.items()}
        return lambda seen: {name: make(seen) for name, make in makers.items()}
    if isinstance(value, list):
        items = [_maker(item, f"{place}/{index}") for index, item in enumerate(value)]
        return lambda seen: [make(seen) for make in items]
    if not isinstance(value, str):
        return lambda _: value
    compiled = _text(value, place, VARIABLES)
    alone = _ALONE.fullmatch(value.strip())
    if alone is None:
        return compiled.render
    name, path = alone[1], alone[2].split(".")[1:]
    return lambda seen: _inside(seen[name], path)


def _inside(value: Any, path: list[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _quoted(value: Any) -> Any:
    """Texts as they may stand in any place of a URL."""
    if isinstance(value, str):
        return quote(value, safe="")
    return {name: _quoted(item) for name, item in value.items()} if isinstance(value, dict) else value
