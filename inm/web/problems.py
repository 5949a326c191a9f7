"""Every error that the API answers: RFC 9457 problems, each with a page of its own under ``/problems/``."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
from aiohttp import web
from msgspec import Struct

from inm.core.faults import Fault
from inm.core.results import REASONS

log = logging.getLogger("inm.rest")

PROBLEM_JSON = "application/problem+json"
MAX_ERRORS = 100
"""Errors that one answer names: a body of nothing else would make an answer many times its size."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Kind(Struct, frozen=True):
    """A kind of problem: its HTTP status, and what it means and what to do about it."""

    status: int
    title: str
    help: str


KINDS: dict[str, Kind] = {
    "invalid-json": Kind(400, REASONS["invalid-json"], "Send one JSON object, or a list of 1 to 1000 of them, in UTF-8."),
    "invalid-request": Kind(
        400, REASONS["invalid-request"], "Each of errors names the place, what was found and what is allowed: see /schemas/request/1."
    ),
    "unknown-scenario": Kind(400, REASONS["unknown-scenario"], "Name one of the scenarios that errors lists as allowed."),
    "invalid-idempotency-key": Kind(
        400, "the Idempotency-Key cannot be used", "Send 1 to 190 printable ASCII characters, quoted or not, once."
    ),
    "bad-request": Kind(400, "the HTTP request cannot be read", "Check its headers, encoding and length."),
    "invalid-document": Kind(
        400,
        "the document cannot be taken",
        "Each of errors names the place, what was found and what is allowed.",
    ),
    "unauthorized": Kind(401, "no valid API key", "Send Authorization: Bearer <API key>, with a key that is in force."),
    "invalid-signature": Kind(
        401, "the signature is missing or wrong", "Sign the body as it is posted with the secret of the route, and with the present time."
    ),
    "invalid-topic": Kind(403, "the request names a tenant that is not the API key's", "Use that tenant's key, or leave tenant out."),
    "forbidden": Kind(403, "not allowed", "The server does not allow this."),
    "not-found": Kind(404, "there is nothing here", "Check the path and the id; the paths are in /openapi.json."),
    "method-not-allowed": Kind(405, "the path does not take this method", "Use one of those in the header Allow."),
    "wrong-state": Kind(409, "it is not in a state for this", "The detail says in which state it is: see what it is now."),
    "conflict": Kind(412, "somebody has changed it meanwhile", "Get it again, and send what you want with If-Match of its new ETag."),
    "too-large": Kind(413, "the request is too large", "A body may have 2 MiB, a request in it 512 KiB: send several."),
    "unsupported-media-type": Kind(415, "the body is not application/json", "Send Content-Type: application/json."),
    "idempotency-mismatch": Kind(
        422,
        "the idempotency key was used for another request",
        "Use a new key for each request, and the same one only to repeat it as it was.",
    ),
    "internal": Kind(500, "a defect of INM", "Repeat the request with the same Idempotency-Key; tell the operator if it goes on."),
    "unavailable": Kind(
        503, "cannot be served at the moment", "Repeat the request, with the same Idempotency-Key, after the seconds in Retry-After."
    ),
}
"""All kinds, by the last part of their type URI."""

_BY_STATUS = {
    400: "bad-request",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
}
"""The kind of an error that aiohttp itself raises."""


class Document(Struct, frozen=True, omit_defaults=True):
    """The body of an error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str | None = None
    instance: str | None = None
    errors: list[Fault] = []


class Problem(Exception):
    """Raised by a handler, answered by :func:`middleware`. ``kind`` is one of :data:`KINDS`."""

    def __init__(
        self, kind: str, detail: str | None = None, *, errors: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail
        self.errors = list(errors[:MAX_ERRORS])
        self.headers = dict(headers or {})

    def response(self, path: str) -> web.Response:
        """The answer to a request of ``path``."""
        kind = KINDS[self.kind]
        document = Document(f"/problems/{self.kind}", kind.title, kind.status, self.detail, path, self.errors)
        return web.Response(body=msgspec.json.encode(document), status=kind.status, content_type=PROBLEM_JSON, headers=self.headers)


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer everything that goes wrong, in a handler, the router or the body's transfer, as a problem."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response(request.path)
    except web.HTTPException as error:
        return of_aiohttp(error).response(request.path)
    except web.RequestPayloadError:
        return Problem("bad-request", "the body does not end, or is not encoded, as its headers say").response(request.path)
    except Exception:
        log.exception("%s %s failed", request.method, route_of(request))
        return Problem("internal").response(request.path)


async def page(request: web.Request) -> web.Response:
    """What the type URI of a problem points to."""
    kind = KINDS.get(request.match_info["kind"])
    if kind is None:
        raise Problem("not-found")
    return web.Response(text=f"{request.match_info['kind']}: {kind.title}\n\n{kind.help}\n\nHTTP status {kind.status}\n")


def of_aiohttp(error: web.HTTPException) -> Problem:
    """What aiohttp raises, as a problem."""
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    return Problem(_BY_STATUS.get(error.status, "bad-request"), headers=headers)


def route_of(request: web.Request) -> str:
    """The path as it was registered: what stands in its places may be personal data."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "other"
