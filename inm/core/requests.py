"""Requests: strict decoding with every fault named, CloudEvents unwrapped, one notification a recipient."""

import base64
import binascii
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from inm.core import ids
from inm.core.catalogue import Book
from inm.core.faults import Fault, child, find, pointer_of, shown
from inm.core.records import Notification, Recipient, Request

MAX_REQUEST = 512 * 1024
"""Bytes of one request; a record must fit the topics with room to spare."""
MAX_FIELDS = 64 * 1024
"""Bytes of ``fields``; every recipient's notification carries them through every stage."""
MAX_EXPANDED = 16 * 1024 * 1024
"""Bytes of ``fields`` times recipients: what one record may become."""
MAX_AHEAD = 366
"""Days by which ``at`` may be ahead."""

Reason = Literal["invalid-json", "invalid-request", "invalid-topic", "unknown-tenant", "unknown-scenario", "too-large"]


class InvalidRequestError(ValueError):
    """A request that is refused: the reason (one of ``REASONS``) and every fault found. Faults repeat what the sender wrote."""

    def __init__(self, reason: Reason, faults: list[Fault]) -> None:
        super().__init__(f"{reason}: " + "; ".join(map(str, faults)))
        self.reason = reason
        self.faults = faults


class Scenarios(Protocol):
    """What is known of the tenants; the catalogue."""

    def scenario_names(self, tenant: str) -> Collection[str] | None:
        """The scenarios of a tenant, None if there is no such tenant."""

    def book(self, tenant: str) -> Book | None:
        """The tenant's documents, by which fields are checked and converted."""


class CloudEvent(Struct):
    """The attributes of CloudEvents 1.0.2 that matter here; others are the sender's own."""

    id: str
    source: str
    specversion: Literal["1.0"]
    type: str
    data: msgspec.Raw = msgspec.Raw()
    data_base64: str | None = None


_decode = msgspec.json.Decoder(Request).decode
_canonical = msgspec.json.Encoder(order="sorted").encode
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def parse(
    value: bytes, tenant: str, scenarios: Scenarios, *, headers: Mapping[str, bytes] | None = None, now: int | None = None
) -> Request:
    """The request in a record of ``tenant``: plain JSON, or a CloudEvent if ``headers`` (names in lower case) say so.

    ``now`` (ms) is when it is taken, from which its ``at`` may not be too far; None where that was looked at already.

    ``InvalidRequestError`` names every fault, with pointers into the request itself. A CloudEvent without
    ``idempotency_key`` and ``request_id`` is identified by its source and id.
    """
    if len(value) > MAX_REQUEST:
        raise InvalidRequestError("too-large", [Fault("", "the request is too large", f"{len(value)} bytes", f"{MAX_REQUEST} bytes")])
    body, identity = _unwrapped(value, headers) if headers else (value, None)
    known = scenarios.scenario_names(tenant)
    if known is None:
        raise InvalidRequestError("unknown-tenant", [Fault("", "no such tenant", shown(tenant))])
    try:
        request = _decode(body)
    except msgspec.ValidationError as error:
        raise _refusal(body, tenant, scenarios, error) from error
    except _MALFORMED as error:
        raise InvalidRequestError("invalid-json", [Fault("", str(error))]) from error
    fields, wrong = _converted(request.fields, request.scenario, scenarios.book(tenant))
    faults = [*_rules(request), *_too_far(request, now), *wrong]
    unknown = [*_names(request.tenant, request.scenario, tenant, known)]
    if faults or unknown:
        raise _invalid(faults, unknown)
    request.fields = fields
    if identity and not (request.idempotency_key or request.request_id):
        request.idempotency_key = identity
    return request


def recipients(request: Request) -> list[Recipient]:
    """Its recipients, as a list also where there is one."""
    return request.to if isinstance(request.to, list) else [request.to]


def expand(request: Request, tenant: str, identity: str, received: int, partitions: int) -> list[Notification]:
    """One notification a recipient, with ids that a replay meets again; a recipient named twice is one.

    ``identity`` stands for the request if it brings neither idempotency key nor request id: its place on
    the topic. ``received`` is in ms.
    """
    identity = request.idempotency_key or request.request_id or identity
    at = int(request.at.timestamp() * 1000) if request.at else None
    asked = blake2b(_canonical((request.scenario, request.fields, request.request_id, request.lane, at)), digest_size=8)
    if request.test:
        asked.update(b"test")
    notifications: dict[str, Notification] = {}
    for to in recipients(request):
        key = ids.user_key(tenant, to.user, to.phone, to.email, to.offer)
        if key in notifications:
            continue
        fingerprint = asked.copy()
        fingerprint.update(_canonical(to))
        notifications[key] = Notification(
            id=ids.notification_id(key, identity, partitions),
            key=key,
            tenant=tenant,
            scenario=request.scenario,
            received=received,
            user=to.user,
            phone=to.phone,
            email=to.email,
            language=to.language,
            fields=request.fields,
            request_id=request.request_id,
            lane=request.lane,
            at=at,
            fingerprint=fingerprint.hexdigest(),
            tone=to.tone,
            offer=to.offer,
            role=to.role,
            test=request.test,
        )
    return list(notifications.values())


def _unwrapped(value: bytes, headers: Mapping[str, bytes]) -> tuple[bytes, str | None]:
    """The body and, from a CloudEvent, what identifies it."""
    if "ce_specversion" in headers:
        attributes = {name: headers.get(f"ce_{name}", b"").decode(errors="replace") for name in ("specversion", "source", "id")}
        return value, _event_identity(attributes["source"], attributes["id"])
    if not headers.get("content-type", b"").startswith(b"application/cloudevents+json"):
        return value, None
    try:
        event = msgspec.json.decode(value, type=CloudEvent)
        body = base64.b64decode(event.data_base64, validate=True) if event.data_base64 is not None else bytes(event.data)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        fault = Fault(pointer_of(path.rstrip("`")), f"no CloudEvent 1.0: {message}")
        raise InvalidRequestError("invalid-request", [fault]) from error
    except (*_MALFORMED, binascii.Error, ValueError) as error:
        raise InvalidRequestError("invalid-json", [Fault("", str(error))]) from error
    return body, _event_identity(event.source, event.id)


def _event_identity(source: str, event: str) -> str:
    """Source and id together are unique (CloudEvents 1.0.2, "id"); hashed, for they may be of any length."""
    return "ce-" + blake2b(f"{source}\0{event}".encode(errors="replace"), digest_size=16).hexdigest()


def _converted(fields: Mapping[str, Any], scenario: str, book: Book | None) -> tuple[dict[str, Any], list[Fault]]:
    """The fields as the tenant declares them, and what is wrong; of a scenario, all those that it requires must be there."""
    if book is None:
        return dict(fields), []
    converted, faults = book.request.convert(fields)
    bound = book.scenarios.get(scenario)
    missing = [child("/fields", name) for name in bound.document.requires if name not in converted] if bound else []
    if missing:
        named = {fault.pointer for fault in faults}
        about = f"a value: scenario {scenario} requires it"
        faults += [Fault(pointer, "is missing", None, about) for pointer in missing if pointer not in named]
    return converted, faults


def _refusal(body: bytes, tenant: str, scenarios: Scenarios, error: msgspec.ValidationError) -> InvalidRequestError:
    """All faults of a body that the decoder refused at the first one."""
    try:
        document = msgspec.json.decode(body)
    except _MALFORMED as malformed:
        message, _, path = str(malformed).partition(" - at `")
        # A number out of range is well-formed JSON, but no value; anything else here is no JSON.
        reason: Reason = "invalid-request" if isinstance(malformed, msgspec.ValidationError) else "invalid-json"
        return InvalidRequestError(reason, [Fault(pointer_of(path.rstrip("`")), message)])
    if not isinstance(document, dict):
        return InvalidRequestError("invalid-json", [Fault("", "a request is a JSON object", type(document).__name__, "an object")])
    faults = find(document, Request) or [Fault("", str(error))]
    tenant_named, scenario, fields = document.get("tenant"), document.get("scenario"), document.get("fields", {})
    if isinstance(fields, dict):
        faults += _converted(fields, scenario if isinstance(scenario, str) else "", scenarios.book(tenant))[1]
    unknown = _names(
        tenant_named if isinstance(tenant_named, str) else None,
        scenario if isinstance(scenario, str) else None,
        tenant,
        scenarios.scenario_names(tenant) or [],
    )
    return _invalid(faults, [fault for fault in unknown if all(fault.pointer != other.pointer for other in faults)])


def _invalid(faults: list[Fault], unknown: list[Fault]) -> InvalidRequestError:
    """The most telling reason: another tenant's name, then a wrong shape, then a name that is not known."""
    if any(fault.pointer == "/tenant" for fault in unknown):
        reason: Reason = "invalid-topic"
    else:
        reason = "invalid-request" if faults else "unknown-scenario"
    return InvalidRequestError(reason, faults + unknown)


def _names(named: str | None, scenario: str | None, tenant: str, known: Collection[str]) -> Iterator[Fault]:
    if named not in (None, tenant):
        yield Fault("/tenant", "not the tenant of this topic or key", shown(named), f"{tenant}, or leave it out")
    if scenario is not None and scenario not in known:
        yield Fault("/scenario", "no such scenario", shown(scenario), ", ".join(known))


def _whom(to: Recipient, place: str) -> Iterator[Fault]:
    if not (to.user or to.phone or to.email or to.offer):
        yield Fault(place, "names nobody", None, "at least one of user, phone and email, or an offer")
    if to.offer and (to.user or to.phone or to.email):
        yield Fault(child(place, "offer"), "an offer stands alone", shown(to.offer), "without user, phone and email")


def _too_far(request: Request, now: int | None) -> Iterator[Fault]:
    """A time in the past is now; one that nobody can have meant is a fault."""
    if now is not None and request.at is not None:
        latest = datetime.fromtimestamp(now / 1000, UTC) + timedelta(days=MAX_AHEAD)
        if request.at > latest:
            yield Fault("/at", "is too far ahead", request.at.isoformat(), f"within {MAX_AHEAD} days: until {latest:%Y-%m-%dT%H:%M:%SZ}")


def _rules(request: Request) -> Iterator[Fault]:
    """What types cannot say."""
    everyone = recipients(request)
    for index, to in enumerate(everyone):
        place = child("/to", index) if isinstance(request.to, list) else "/to"
        yield from _whom(to, place)
        if request.test and not (to.phone or to.email):
            yield Fault(place, "a test names no address", None, "at least one of phone and email")
    if request.fields:
        size = len(msgspec.json.encode(request.fields))
        allowed = min(MAX_FIELDS, MAX_EXPANDED // len(everyone))
        if size > allowed:
            yield Fault("/fields", f"too large for {len(everyone)} recipients", f"{size} bytes", f"{allowed} bytes")
