"""The OpenAPI 3.1 document of the REST door, made from the types themselves. ``docs/schemas/openapi.json`` is what this returns."""

import json
from typing import Any

import msgspec

from inm import __version__
from inm.core import schemas
from inm.core.story import Story
from inm.core.trial import Asked, Trial
from inm.intake import openapi_campaigns, openapi_ledger, openapi_reference, openapi_users, openapi_webhooks
from inm.intake.submission import MAX_ITEMS, Taken
from inm.web.problems import KINDS, PROBLEM_JSON, Document

PARTS = (openapi_reference, openapi_users, openapi_campaigns, openapi_ledger, openapi_webhooks)
"""What has a module of its own."""
_REF = "#/components/schemas/{name}"

_REQUEST = {"scenario": "otp", "to": {"phone": "+393331234567", "language": "it"}, "fields": {"code": "482913"}, "request_id": "login-8817"}
_INVOICE = {
    "scenario": "invoice-ready",
    "to": {"user": "c-2048", "email": "anna@example.com"},
    "fields": {"number": "2026/117", "amount": 42.5},
    "idempotency_key": "invoice-2026-117",
}
_ID = "3-5f2d91c07ab348e1d60b72c94f"
_TAKEN = {"requests": [{"notifications": [{"id": _ID, "phone": "+393331234567"}], "request_id": "login-8817"}]}
_STORY = {
    "id": _ID,
    "tenant": "acme",
    "scenario": "otp",
    "lane": "urgent",
    "state": "delivered",
    "received": "2026-11-22T12:00:00.010000Z",
    "plan": 1,
    "steps": [
        {
            "step": 1,
            "channel": "sms",
            "to": "+393331234567",
            "sender": "Acme",
            "template": "otp-sms",
            "version": 1,
            "language": "it",
            "parts": 1,
            "attempts": [
                {
                    "id": f"{_ID}.1.1",
                    "attempt": 1,
                    "route": "smsc-1",
                    "state": "delivered",
                    "decided": "2026-11-22T12:00:00.031000Z",
                    "started": "2026-11-22T12:00:00.044000Z",
                    "submitted": "2026-11-22T12:00:00.060000Z",
                    "delivered": "2026-11-22T12:00:02.500000Z",
                    "parts_delivered": 1,
                    "provider_ids": ["1f4a"],
                }
            ],
            "encoding": "gsm7",
        }
    ],
    "events": [
        {"at": "2026-11-22T12:00:00.031000Z", "event": "accepted", "step": 1, "attempt": 1},
        {"at": "2026-11-22T12:00:00.071000Z", "event": "submitted", "step": 1, "attempt": 1},
        {"at": "2026-11-22T12:00:02.512000Z", "event": "part", "step": 1, "attempt": 1, "detail": "part 1 delivered"},
        {"at": "2026-11-22T12:00:02.512000Z", "event": "delivered", "final": True, "step": 1, "attempt": 1},
    ],
    "expires": "2026-11-29T12:05:00.031000Z",
    "final": True,
    "request_id": "login-8817",
}
_TRIAL = {
    "outcome": "send",
    "message": {
        "step": 1,
        "channel": "sms",
        "to": "+393331234567",
        "sender": "Acme",
        "route": "smsc-1",
        "lane": "urgent",
        "template": "otp-sms",
        "version": 1,
        "language": "it",
        "text": "482913 è il tuo codice Acme Mobile, valido 5 minuti. Non comunicarlo a nessuno: non te lo chiederemo mai.",
        "parts": 1,
        "encoding": "gsm7",
    },
    "plan": 1,
    "decision": {"step": 1, "user": "none", "revision": 1, "language": "it", "request_fields": ["code"]},
}
_ERRORS = {
    "type": "/problems/invalid-request",
    "title": KINDS["invalid-request"].title,
    "status": 400,
    "instance": "/v1/requests",
    "errors": [{"pointer": "/lane", "message": "Invalid enum value 'fast'", "found": "'fast'", "allowed": "bulk, normal, urgent or null"}],
}

_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 190, "pattern": r"^[\x20-\x7e]+$"},
    "description": "Makes repeating the post harmless: the same key with the same body is one request per recipient, on whichever worker, "
    "for at least 7 days after its last event. In a list each request has the key with /<index>. It stands in place of "
    "idempotency_key and request_id.",
    "example": "9f1c0e1e-login-8817",
}
_RETRY_AFTER = {"schema": {"type": "integer"}, "description": "Seconds."}


def document() -> dict[str, Any]:
    """The document, as JSON data."""
    return {
        "openapi": "3.1.1",
        "jsonSchemaDialect": schemas.DIALECT,
        "info": {
            "title": "INM, the notification manager",
            "version": __version__,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
            "description": "Hand in requests for notifications, and follow what becomes of them.",
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "paths": {
            "/v1/requests": {"post": _post_requests()},
            "/v1/notifications/{id}": {"get": _get_notification(), "delete": _delete_notification()},
            "/v1/try": {"post": _post_try()},
            **{path: told for part in PARTS for path, told in part.paths(_refusals).items()},
            "/schemas/request/1": {"get": _open("The JSON Schema of a request", "application/schema+json")},
            "/schemas/edr/1": {"get": _open("The JSON Schema of an event detail record", "application/schema+json")},
            "/o/{delivery}/{signature}": {"get": _read("The picture by which it is known that an e-mail was opened", "200")},
            "/l/{delivery}/{signature}": {"get": _read("A link of an e-mail, on to where it was to lead", "302")},
            "/healthz": {"get": _open("Whether the worker lives")},
            "/readyz": {"get": _open("Whether the worker has its partitions", refusals=("unavailable",))},
            "/metrics": {"get": _open("Metrics for Prometheus", "text/plain")},
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "inm_live_<id>_<secret>: a tenant's API key."}
            },
        },
    }


def _schemas() -> dict[str, Any]:
    definitions = schemas.request_schema()["$defs"]
    _, components = msgspec.json.schema_components(
        (Taken, Story, Document, Asked, Trial, *(kind for part in PARTS for kind in part.TYPES)), ref_template=_REF
    )
    # Request schemas refer into their own document.
    ours: dict[str, Any] = json.loads(json.dumps(definitions).replace("#/$defs/", "#/components/schemas/")) | components
    ours["Problem"] = ours.pop("Document") | {"title": "Problem", "description": "What went wrong (RFC 9457)."}
    return ours


def _post_requests() -> dict[str, Any]:
    one = {"$ref": _REF.format(name="Request")}
    body = {
        "schema": {"oneOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_ITEMS}]},
        "examples": {"one": {"value": _REQUEST}, "list": {"value": [_REQUEST, _INVOICE]}},
    }
    kinds = (
        "invalid-request",
        "unauthorized",
        "invalid-topic",
        "too-large",
        "unsupported-media-type",
        "idempotency-mismatch",
        "unavailable",
    )
    taken = {
        "description": "Kafka has all of the requests.",
        "headers": {
            "Location": {"schema": {"type": "string"}, "description": "Of the notification, if there is just one."},
            "Idempotency-Replayed": {"schema": {"const": "true"}, "description": "All of it was known under this key already."},
        },
        "content": {"application/json": {"schema": {"$ref": _REF.format(name="Taken")}, "example": _TAKEN}},
    }
    return {
        "operationId": "postRequests",
        "summary": "Hand in one request, or a list of which all are taken or none",
        "parameters": [_IDEMPOTENCY],
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {"202": taken, **_refusals(*kinds)},
    }


def _post_try() -> dict[str, Any]:
    content = {"schema": {"$ref": _REF.format(name="Asked")}, "example": {"request": _REQUEST}}
    trial = {"schema": {"$ref": _REF.format(name="Trial")}, "example": _TRIAL}
    return {
        "operationId": "postTry",
        "summary": "What would become of a request: the decision and the message, with nothing sent unless an address is named for it",
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "200": {"description": "What would become of it.", "content": {"application/json": trial}},
            **_refusals(
                "invalid-request", "unauthorized", "not-found", "invalid-topic", "too-large", "unsupported-media-type", "unavailable"
            ),
        },
    }


def _get_notification() -> dict[str, Any]:
    story = {"schema": {"$ref": _REF.format(name="Story")}, "example": _STORY}
    return {
        "operationId": "getNotification",
        "summary": "The status and the whole story of a notification",
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "example": _ID}],
        "responses": {
            "200": {"description": "The story so far.", "content": {"application/json": story}},
            **_refusals("unauthorized", "not-found", "unavailable"),
        },
    }


def _delete_notification() -> dict[str, Any]:
    story = {"application/json": {"schema": {"$ref": _REF.format(name="Story")}}}
    return {
        "operationId": "cancelNotification",
        "summary": "Call a notification back before it is sent; the same again changes nothing",
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "example": _ID}],
        "responses": {
            "200": {"description": "It is cancelled: nothing was sent, and nothing will be.", "content": story},
            "202": {"description": "It is asked for. What may be on its way to a provider is waited for: ask again.", "content": story},
            **_refusals("unauthorized", "not-found", "wrong-state", "unavailable"),
        },
    }


def _open(summary: str, content_type: str = "application/json", refusals: tuple[str, ...] = ()) -> dict[str, Any]:
    """An operation without a key."""
    ok = {"description": "It is so.", "content": {content_type: {"schema": {} if "json" in content_type else {"type": "string"}}}}
    return {"summary": summary, "security": [], "responses": {"200": ok, **_refusals(*refusals)}}


def _read(summary: str, status: str) -> dict[str, Any]:
    """What readers of e-mails ask for, by addresses that we have signed."""
    names = {"delivery": "path", "signature": "path"} | ({"to": "query"} if status == "302" else {})
    parameters = [{"name": name, "in": place, "required": True, "schema": {"type": "string"}} for name, place in names.items()]
    content = {"description": "A picture.", "content": {"image/gif": {}}}
    moved = {"description": "The link's own address.", "headers": {"Location": {"schema": {"type": "string"}}}}
    answer = content if status == "200" else moved
    return {"summary": summary, "security": [], "parameters": parameters, "responses": {status: answer, **_refusals("not-found")}}


def _refusals(*kinds: str) -> dict[str, Any]:
    refusals: dict[str, Any] = {}
    for name in kinds:
        kind = KINDS[name]
        content: dict[str, Any] = {"schema": {"$ref": _REF.format(name="Problem")}}
        if name == "invalid-request":
            content["example"] = _ERRORS
        refusals[str(kind.status)] = {"description": f"{kind.title}. {kind.help}", "content": {PROBLEM_JSON: content}}
        if kind.status == 503:
            refusals["503"]["headers"] = {"Retry-After": _RETRY_AFTER}
    return refusals
