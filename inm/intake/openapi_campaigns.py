"""The part of the OpenAPI document on campaigns."""

from collections.abc import Callable
from typing import Any, get_args

from inm.core.campaigns import Action
from inm.core.headway import Progress
from inm.intake.campaigns import FORMS, CampaignList, NewCampaign, Ordered

TYPES = (NewCampaign, Ordered, CampaignList, Progress)

_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}, "example": "summer"}
_NUMBER = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}, "example": 0}
_LAST = {"name": "last", "in": "query", "schema": {"type": "boolean"}, "description": "It makes the audience complete."}
_ACTION = {"name": "action", "in": "path", "required": True, "schema": {"enum": list(get_args(Action))}, "example": "start"}
_WANTED = {"name": "summer", "scenario": "data-used-up", "pace": 200}
_REPORT: dict[str, Any] = {"rows": 2, "faulty": 1, "sampled": 2, "parts": 2, "cost": 0.1}
_REPORT |= {"faults": [{"line": 4, "column": "phone", "message": "is not of the allowed form", "found": "'0039'"}]}
_PROGRESS = {
    "name": "summer",
    "tenant": "acme",
    "scenario": "data-used-up",
    "state": "running",
    "author": "key crm",
    "created": 1795440577830,
}
_PROGRESS |= {"recipients": 2, "released": 2, "waiting": 1, "submitted": 1, "open": 1, "finals": {"delivered": 1}, "parts": 1, "pieces": 1}
_PROGRESS |= {"report": _REPORT, "forecast": {"parts": 2, "cost": 0.1, "seconds": 1}, "pace": 200, "rate": 199.5}
_ROWS = {"text/csv": "phone,name\n+393331234567,Anna\n", "application/x-ndjson": '{"to": {"user": "c-2048"}, "fields": {"name": "Anna"}}\n'}


def paths(refusals: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Paths by their URL; ``refusals`` describes answers that are problems, by their kinds."""
    common = ("unauthorized", "forbidden", "unavailable")
    told = {"200": {"description": "How far it has come.", "content": _json("Progress", _PROGRESS)}}
    made = {"201": {"description": "It is created.", "content": _json("Progress", _PROGRESS)}}
    bad = ("invalid-document", "too-large", "unsupported-media-type", "wrong-state")
    pieces = {kind: {"schema": {"type": "string"}, "example": _ROWS[kind]} for kind in FORMS}
    return {
        "/v1/campaigns": {
            "get": {
                "operationId": "listCampaigns",
                "summary": "All campaigns of the tenant, the newest first",
                "responses": {
                    "200": {"description": "All of them.", "content": _json("CampaignList", {"campaigns": [_PROGRESS]})},
                    **refusals("unauthorized", "unavailable"),
                },
            },
            "post": {
                "operationId": "createCampaign",
                "summary": "Create a campaign, without its audience",
                "requestBody": {"required": True, "content": _json("NewCampaign", _WANTED)},
                "responses": made | told | refusals(*bad, "unknown-scenario", *common),
            },
        },
        "/v1/campaigns/{name}": {
            "get": {
                "operationId": "getCampaign",
                "summary": "How far a campaign has come",
                "parameters": [_NAME],
                "responses": told | refusals("not-found", *common),
            },
        },
        "/v1/campaigns/{name}/audience/{number}": {
            "put": {
                "operationId": "putAudience",
                "summary": "Hand in a piece of an audience; the same number again changes nothing",
                "parameters": [_NAME, _NUMBER, _LAST],
                "requestBody": {"required": True, "content": pieces},
                "responses": told | refusals(*bad, "invalid-request", "bad-request", "not-found", *common),
            },
        },
        "/v1/campaigns/{name}/{action}": {
            "post": {
                "operationId": "orderCampaign",
                "summary": "Start, pause, resume or cancel a campaign, or set its pace",
                "parameters": [_NAME, _ACTION],
                "requestBody": {"required": False, "content": _json("Ordered", {"pace": 50})},
                "responses": told | refusals(*bad, "not-found", *common),
            },
        },
    }


def _json(name: str, example: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}, "example": example}}
