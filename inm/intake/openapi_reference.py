"""The part of the OpenAPI document on reference data."""

from collections.abc import Callable
from typing import Any

from inm.intake.reference import KINDS, Batch, Entry, Made, Remark
from inm.intake.submission import MAX_ITEMS

Refusals = Callable[..., dict[str, Any]]
TYPES = (Entry, Made, Batch, Remark)
"""What stands among the schemas of the document."""

_REF = "#/components/schemas/{name}"
_DOCUMENT = {
    "kind": "scenario", "tenant": "acme", "name": "otp", "validity": 300, "lane": "urgent",
    "plan": [{"channel": "sms", "template": "otp-sms", "sender": "acme-sms", "after": 300}],
}  # fmt: skip
_ENTRY = {"path": "acme/scenario/otp", "kind": "scenario", "name": "otp", "revision": 3, "author": "olga", "at": 1790000000000}
_MADE = {"path": "acme/scenario/otp", "result": "configured", "revision": 4}
_BATCH = {"items": [{"action": "apply", "kind": "scenario", "name": "otp", "document": _DOCUMENT}], "dry_run": True}
_ETAG = {"ETag": {"schema": {"type": "string"}, "description": "The revision, or a template's version: what If-Match names."}}


def paths(refusals: Refusals) -> dict[str, Any]:
    """Its operations by path and method. ``refusals`` makes responses of kinds of problems."""
    path = [_parameter("kind", {"enum": list(KINDS)}), _parameter("name", {"type": "string"})]
    return {
        "/v1/reference": {"get": _list(refusals), "post": _post(refusals)},
        "/v1/reference/{kind}/{name}": {"get": _get(path, refusals), "put": _put(path, refusals), "delete": _delete(path, refusals)},
        "/v1/templates/{name}/{version}/{action}": {"post": _moderate(refusals)},
    }


def _list(refusals: Refusals) -> dict[str, Any]:
    kind = _parameter("kind", {"enum": list(KINDS)}, "query")
    state = _parameter("state", {"enum": ["draft", "submitted", "approved", "rejected"]}, "query", "Versions of templates in this state.")
    schema = {"type": "object", "properties": {"documents": {"type": "array", "items": _ref("Entry")}}, "required": ["documents"]}
    return {
        "operationId": "listDocuments",
        "summary": "The tenant's documents, of templates the newest versions",
        "parameters": [kind, state],
        "responses": {"200": _ok("Without what is in them.", schema, {"documents": [_ENTRY]}), **refusals("unauthorized", "unavailable")},
    }


def _post(refusals: Refusals) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"done": {"type": "array", "items": _ref("Made")}}, "required": ["done"]}
    return {
        "operationId": "changeDocuments",
        "summary": f"Change up to {MAX_ITEMS} documents: all of them, or none",
        "requestBody": _body(_ref("Batch"), _BATCH),
        "responses": {"200": _ok("All is done.", schema, {"done": [_MADE]}), **_changing(refusals)},
    }


def _get(path: list[Any], refusals: Refusals) -> dict[str, Any]:
    version = _parameter("version", {"type": "integer"}, "query", "Of a template; the newest if absent.")
    found = _ok("The document.", _ref("Entry"), _ENTRY | {"document": _DOCUMENT}, _ETAG)
    return {
        "operationId": "getDocument",
        "summary": "A document",
        "parameters": [*path, version],
        "responses": {"200": found, **refusals("unauthorized", "not-found", "unavailable")},
    }


def _put(path: list[Any], refusals: Refusals) -> dict[str, Any]:
    made = {
        str(status): _ok(words, _ref("Made"), _MADE, _ETAG) for status, words in ((200, "It is changed, or was so."), (201, "It is new."))
    }
    return {
        "operationId": "putDocument",
        "summary": "Create a document or change it; a new text of a template is its next version, a draft",
        "parameters": [*path, _condition()],
        "requestBody": _body({"type": "object"}, _DOCUMENT),
        "responses": made | _changing(refusals),
    }


def _delete(path: list[Any], refusals: Refusals) -> dict[str, Any]:
    return {
        "operationId": "deleteDocument",
        "summary": "Delete a document that is not in use; a template with all its versions",
        "parameters": [*path, _condition()],
        "responses": {"204": {"description": "It is gone."}, **_changing(refusals)},
    }


def _moderate(refusals: Refusals) -> dict[str, Any]:
    where = [
        _parameter("name", {"type": "string"}),
        _parameter("version", {"type": "string"}),
        _parameter("action", {"enum": ["submit", "withdraw", "approve", "reject"]}),
    ]
    done = _ok("It is done.", _ref("Made"), {"path": "acme/template/otp-sms/4", "result": "approved", "revision": 3})
    return {
        "operationId": "moderateTemplate",
        "summary": "Submit, withdraw, approve or reject a version of a template; its author does not review it",
        "parameters": [*where, _condition()],
        "requestBody": _body(_ref("Remark"), {"comment": "fine"}) | {"required": False},
        "responses": {"200": done, **_changing(refusals)},
    }


def _changing(refusals: Refusals) -> dict[str, Any]:
    kinds = ("invalid-document", "unauthorized", "forbidden", "not-found", "conflict", "too-large", "unsupported-media-type", "unavailable")
    return refusals(*kinds)


def _condition() -> dict[str, Any]:
    words = "The ETag that was seen: if it is another one by now, nothing is changed."
    return _parameter("If-Match", {"type": "string"}, "header", words) | {"example": '"3"'}


def _parameter(name: str, schema: dict[str, Any], place: str = "path", description: str = "") -> dict[str, Any]:
    described = {"description": description} if description else {}
    return {"name": name, "in": place, "required": place == "path", "schema": schema, **described}


def _body(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def _ok(description: str, schema: dict[str, Any], example: Any, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": {"application/json": {"schema": schema, "example": example}}}
    return answer | ({"headers": headers} if headers else {})


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}
