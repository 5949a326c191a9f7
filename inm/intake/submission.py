"""A body of ``POST /v1/requests``: one request or a list, checked as a whole and made into records. Pure."""

from collections.abc import Iterator
from uuid import uuid4

import msgspec
from msgspec import Struct

from inm.core import magic
from inm.core.faults import Fault, child, shown
from inm.core.records import Notification, Request
from inm.core.requests import MAX_REQUEST, InvalidRequestError, Scenarios, expand, parse, recipients
from inm.web.problems import Problem

MAX_ITEMS = 1000

_TELLING = ("invalid-topic", "too-large", "invalid-json", "invalid-request", "unknown-scenario")
"""The reason that a list with several kinds of faults is refused for: the first of these."""

_encode = msgspec.json.Encoder().encode
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Item(Struct, frozen=True):
    """A request that was taken: what identifies it, its record, and the notifications that intake will make of it."""

    identity: str
    record: bytes
    request_id: str | None
    notifications: list[Notification]


def read(body: bytes, tenant: str, scenarios: Scenarios, key: str | None, now: int, partitions: int, *, test: bool = False) -> list[Item]:
    """The requests of ``body``, all of them or, as a :class:`Problem` that names every fault, none. ``test``: asked for under a test key.

    ``key`` is the header's idempotency key: it identifies a single request, and with ``/<index>`` each of a list. A
    request without any identity gets one, so that its notifications' ids are known before Kafka gives it a place.
    """
    items: list[Item] = []
    refused: list[InvalidRequestError] = []
    mismatched: list[Fault] = []
    for pointer, value in _values(body):
        try:
            request = of_key(parse(value, tenant, scenarios, now=now), test=test)
        except InvalidRequestError as error:
            refused.append(
                InvalidRequestError(
                    error.reason, [msgspec.structs.replace(fault, pointer=pointer + fault.pointer) for fault in error.faults]
                )
            )
            continue
        own = request.idempotency_key
        identity = key + pointer if key else own or request.request_id or f"inm-{uuid4()}"
        if key and own not in (None, identity):
            fault = Fault(f"{pointer}/idempotency_key", "not the header's", None, f"{identity}, or leave it out")
            mismatched.append(fault)
        items.append(_item(request, tenant, identity, pointer, now, partitions))
    if refused:
        raise _refusal(refused)
    if mismatched:
        raise Problem("idempotency-mismatch", errors=mismatched)
    return items


def of_key(request: Request, *, test: bool) -> Request:
    """The request as one under a test key or a live one. ``InvalidRequestError`` for a recipient that such a key cannot have.

    A test key reaches magic recipients and nobody else; a live key never the route that answers for them.
    """
    request.test |= test
    faults: list[Fault] = []
    for index, to in enumerate(recipients(request) if request.test else ()):
        place = child("/to", index) if isinstance(request.to, list) else "/to"
        for field, address in (("phone", to.phone), ("email", to.email)):
            if address and magic.is_magic(address) is not test:
                faults.append(Fault(f"{place}/{field}", _WRONG_KEY[test], shown(address), _magic(field) if test else "any other address"))
        if test and not (to.phone or to.email):
            faults.append(Fault(place, _WRONG_KEY[test], None, "a magic phone or email"))
    if faults:
        raise InvalidRequestError("invalid-request", faults)
    return request


_WRONG_KEY = {True: "a test key reaches magic recipients only", False: "magic recipients need a test key"}


def _magic(field: str) -> str:
    channel = {"phone": "sms", "email": "email"}[field]
    return ", ".join(magic.ADDRESSES[channel])


def _values(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Each request with the pointer to it."""
    if not body.lstrip(b" \t\r\n").startswith(b"["):
        yield "", body
        return
    try:
        values = _split(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("invalid-json", errors=[Fault("", str(error))]) from error
    if not 1 <= len(values) <= MAX_ITEMS:
        fault = Fault("", "a list has the wrong length", str(len(values)), f"1 to {MAX_ITEMS}")
        raise Problem("invalid-request", errors=[fault])
    for index, value in enumerate(values):
        yield f"/{index}", bytes(value)


def _item(request: Request, tenant: str, identity: str, pointer: str, now: int, partitions: int) -> Item:
    if identity != request.request_id:
        request.idempotency_key = identity
    record = _encode(request)
    if len(record) > MAX_REQUEST:  # intake would refuse it, after it was accepted here
        raise Problem("too-large", errors=[Fault(pointer, "the request is too large", f"{len(record)} bytes", f"{MAX_REQUEST} bytes")])
    return Item(identity, record, request.request_id, expand(request, tenant, identity, now, partitions))


def _refusal(refused: list[InvalidRequestError]) -> Problem:
    reasons = {error.reason for error in refused}
    telling = next(reason for reason in _TELLING if reason in reasons)
    return Problem(telling, errors=[fault for error in refused for fault in error.faults])


class TakenNotification(Struct, frozen=True, omit_defaults=True):
    """One recipient of a request, as named in it, and the id under which the notification's story is told."""

    id: str
    user: str | None = None
    phone: str | None = None
    email: str | None = None


class TakenRequest(Struct, frozen=True, omit_defaults=True):
    """A request that is with Kafka: one notification a recipient, a recipient named twice once."""

    notifications: list[TakenNotification]
    request_id: str | None = None


class Taken(Struct, frozen=True):
    """The answer to ``POST /v1/requests``, in the order of the requests."""

    requests: list[TakenRequest]


def taken(items: list[Item]) -> Taken:
    """What the sender is told of ``items``."""
    return Taken(
        [TakenRequest([TakenNotification(n.id, n.user, n.phone, n.email) for n in item.notifications], item.request_id) for item in items]
    )
