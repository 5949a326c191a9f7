"""The part of the OpenAPI document on what is posted with signatures: receipts, to us, and callbacks, by us."""

from collections.abc import Callable
from typing import Any

from inm.intake.callbacks import Since, Standing
from inm.intake.receipts import TakenReceipts

TYPES = (TakenReceipts, Standing, Since)

_ROUTE = {
    "name": "route", "in": "path", "required": True, "schema": {"type": "string"}, "example": "inbox-1",
    "description": "A configured route of channel rest that has receipts.",
}  # fmt: skip
_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}, "example": "crm"}
_RECEIPTS = [{"id": "3-5f2d91c07ab348e1d60b72c94f.1", "state": "delivered", "at": 1795354177.83}]
_STANDING = {"name": "crm", "url": "https://crm.acme.example/inm", "state": "working", "waiting": 0}


def paths(refusals: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Paths by their URL; ``refusals`` describes answers that are problems, by their kinds."""
    bad = ("invalid-json", "invalid-signature", "not-found", "too-large", "unsupported-media-type", "unavailable")
    return {
        "/v1/receipts/{route}": {
            "post": {
                "operationId": "postReceipts",
                "summary": "Report what became of messages, one or many, signed with the secret of the route; the route says where what is",
                "security": [],
                "parameters": [_ROUTE],
                "requestBody": {"required": True, "content": {"application/json": {"schema": {}, "example": _RECEIPTS}}},
                "responses": {
                    "200": {"description": "Kafka has them.", "content": _json("TakenReceipts", {"taken": 1, "ignored": 0})},
                    **refusals(*bad),
                },
            }
        },
        "/v1/callbacks/{name}": {
            "get": {
                "operationId": "getCallback",
                "summary": "How it stands with an endpoint that results are posted to",
                "parameters": [_NAME],
                "responses": {
                    "200": {"description": "As it is now.", "content": _json("Standing", _STANDING)},
                    **refusals("unauthorized", "not-found", "unavailable"),
                },
            }
        },
        "/v1/callbacks/{name}/resend": {
            "post": {
                "operationId": "resendCallbacks",
                "summary": "Call an endpoint again, suspended or not, and post what was given up since a time",
                "parameters": [_NAME],
                "requestBody": {"required": True, "content": _json("Since", {"since": "2026-11-22T10:00:00Z"})},
                "responses": {
                    "202": {"description": "Kafka has the order."},
                    **refusals(
                        "invalid-document", "unauthorized", "forbidden", "not-found", "too-large", "unsupported-media-type", "unavailable"
                    ),
                },
            }
        },
    }


def _json(name: str, example: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}, "example": example}}
