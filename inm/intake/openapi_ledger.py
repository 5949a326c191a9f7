"""The part of the OpenAPI document on the ledger."""

from collections.abc import Callable
from typing import Any

from inm.intake.counts import LedgerLines

TYPES = (LedgerLines,)

_SINCE = {"name": "since", "in": "query", "schema": {"type": "integer"}, "description": "Hours from this time on (ms since 1970)."}
_SCENARIO = {"name": "scenario", "in": "query", "schema": {"type": "string"}, "description": "Of this scenario alone."}
_LINE = {"tenant": "acme", "scenario": "otp", "hour": 1795438800000, "accepted": 20, "finals": {"delivered": 19}, "open": 1}
_LINES = {"application/json": {"schema": {"$ref": "#/components/schemas/LedgerLines"}, "example": {"lines": [_LINE]}}}


def paths(refusals: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Paths by their URL; ``refusals`` describes answers that are problems, by their kinds."""
    return {
        "/v1/ledger": {
            "get": {
                "operationId": "getLedger",
                "summary": "How many notifications were accepted in each hour, and how they ended",
                "parameters": [_SCENARIO, _SINCE],
                "responses": {
                    "200": {"description": "The ledger.", "content": _LINES},
                    **refusals("bad-request", "unauthorized", "unavailable"),
                },
            },
        },
    }
