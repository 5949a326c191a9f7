"""The part of the OpenAPI document on users."""

from collections.abc import Callable
from typing import Any

from inm.core.users import UserData
from inm.intake.users import Known, Some

TYPES = (UserData, Known, Some)

_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "example": "c-2048", "description": "The tenant's id."}
_PUSHED = {"phone": "+393337654321", "language": "it", "tone": "young", "fields": {"plan": "Flat 100"}, "ttl": 86400}
_KNOWN = {"id": "c-2048", "expires": 1795440577830, "loaded": 1795354177830, "language": "it", "phone": "+393337654321"}


def paths(refusals: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Paths by their URL; ``refusals`` describes answers that are problems, by their kinds."""
    taken = {"202": {"description": "Kafka has it; it is in force some tens of milliseconds later."}}
    common = ("unauthorized", "unavailable")
    bad = ("invalid-document", "too-large", "unsupported-media-type")
    return {
        "/v1/users/{id}": {
            "get": {
                "operationId": "getUser",
                "parameters": [_ID],
                "summary": "What INM knows of a user now",
                "responses": {
                    "200": {"description": "What is cached.", "content": _json("Known", _KNOWN)},
                    **refusals("not-found", *common),
                },
            },
            "put": {
                "operationId": "putUser",
                "parameters": [_ID],
                "summary": "Tell INM all that is known of a user",
                "requestBody": {"required": True, "content": _json("UserData", _PUSHED)},
                "responses": taken | refusals(*bad, "not-found", *common),
            },
            "delete": {
                "operationId": "deleteUser",
                "parameters": [_ID],
                "summary": "Forget a user: the source is asked again",
                "responses": taken | refusals("not-found", *common),
            },
        },
        "/v1/users/invalidate": {
            "post": {
                "operationId": "invalidateUsers",
                "summary": "Forget all users of the tenant, or those that a rule holds of",
                "requestBody": {"required": True, "content": _json("Some", {"where": 'user.segment == "gold"'})},
                "responses": taken | refusals(*bad, *common),
            }
        },
    }


def _json(name: str, example: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}, "example": example}}
