"""The public JSON Schemas (2020-12), made from the types themselves. ``docs/schemas`` holds what this returns."""

from typing import Any

import msgspec

from inm.core.edr import Edr
from inm.core.records import Request

DIALECT = "https://json-schema.org/draft/2020-12/schema"

REQUEST = {
    "scenario": "The business reason, by its name in the tenant's catalogue; it decides texts, channels and what happens next.",
    "to": "The recipient, or 1 to 5000 of them; the same one twice is notified once.",
    "fields": "What the templates of the scenario need, by name; at most 64 KiB as JSON.",
    "request_id": "Your own reference. It comes back in every record about the request.",
    "idempotency_key": "Two requests of a tenant with the same key are one, per recipient. Without it, request_id has that role.",
    "lane": "The priority, if not the scenario's own.",
    "at": "Not before this time: RFC 3339 with a zone. A time in the past is now; at most 366 days ahead.",
    "tenant": "May be left out. If it is there, it must be the tenant of the topic or of the API key.",
    "test": "True marks a test in every record. Only addresses in the request are used, and magic recipients end as their name says.",
}
RECIPIENT = {
    "user": "Your id of the user; what INM knows of him completes the recipient.",
    "phone": "E.164 with the plus, as +393331234567. Wins over the address that INM knows.",
    "email": "An address without a display name. Wins over the address that INM knows.",
    "language": "BCP 47, as it or it-CH. Wins over the language that INM knows.",
    "tone": "Tone of voice, as young or senior. Wins over the one that INM knows.",
    "offer": "A shared offer: each of its members is notified, by role. Without user, phone and email.",
    "role": "What the recipient is to what the request is about, as master or slave; rules may ask for it.",
}


def request_schema() -> dict[str, Any]:
    """The schema of a record on ``inm.requests.<tenant>`` and of an item of ``POST /v1/requests``."""
    schema = _schema(Request, "request", "What a producer sends: one scenario for one or several recipients.")
    definitions = schema["$defs"]
    for name, descriptions in (("Request", REQUEST), ("Recipient", RECIPIENT)):
        for field, description in descriptions.items():
            definitions[name]["properties"][field]["description"] = description
    definitions["Recipient"]["description"] = "Whom to notify: a user, or addresses, or both; or the members of an offer."
    # A rule that the type cannot say; requests.parse checks it.
    definitions["Recipient"]["anyOf"] = [
        {"required": [field], "properties": {field: {"type": "string"}}} for field in ("user", "phone", "email", "offer")
    ]
    return schema


def edr_schema() -> dict[str, Any]:
    """The schema of a record on ``inm.edr``. Fields it does not name may be added within a version."""
    return _schema(Edr, "edr", "One event of one notification. A field with its default value is left out.")


def _schema(kind: type[msgspec.Struct], name: str, description: str) -> dict[str, Any]:
    schema = msgspec.json.schema(kind)
    root = kind.__name__
    for definition in schema["$defs"].values():
        definition.pop("title", None)
    schema["$defs"][root]["description"] = description
    return {"$schema": DIALECT, "$id": f"/schemas/{name}/1", "title": f"INM {name}, version 1", **schema}
