"""Books for tests: documents as they are held, bound."""

from typing import Any

from inm.core.catalogue import Book, bind
from inm.core.documents import path_of
from inm.core.reference import Held

TENANT: dict[str, Any] = {"kind": "tenant", "name": "acme", "title": "Acme", "language": "it", "timezone": "Europe/Rome"}
TENANT |= {"routes": {"sms": "smsc-1", "email": "smtp-1"}}


def held(*documents: dict[str, Any], tenant: str = "acme", revision: int = 3, state: str = "approved") -> dict[str, Held]:
    """Documents by path, beside a tenant and a sender a channel; those of a template are its versions in that order."""
    documents = (TENANT | {"name": tenant}, *senders(tenant), *documents)
    found: dict[str, Held] = {}
    for document in documents:
        own = {"tenant": tenant} if document["kind"] != "tenant" else {}
        path = path_of(document | own)
        if document["kind"] == "template":
            version = 1 + sum(other.rpartition("/")[0] == path for other in found)
            found[f"{path}/{version}"] = Held(f"{path}/{version}", revision, document | own, "ada", 0, state)  # type: ignore[arg-type]
        else:
            found[path] = Held(path, revision, document | own, "ada", 0)
    return found


def senders(tenant: str) -> list[dict[str, Any]]:
    return [
        {"kind": "sender", "name": "by-sms", "channel": "sms", "address": tenant.title()[:11]},
        {"kind": "sender", "name": "by-email", "channel": "email", "address": f"news@{tenant}.example"},
    ]


def book(*documents: dict[str, Any], tenant: str = "acme") -> Book:
    made = bind(held(*documents, tenant=tenant))
    assert made
    return made


def sms(name: str = "text", **variants: str) -> dict[str, Any]:
    """A template; ``it__young`` stands for ``it/young``."""
    texts = variants or {"en": "{{ text }}"}
    return {"kind": "template", "name": name, "channel": "sms", "variants": {_key(key): {"text": text} for key, text in texts.items()}}


def email(name: str = "mail", **variants: str) -> dict[str, Any]:
    texts = variants or {"en": "{{ text }}"}
    made = {_key(key): {"subject": text, "text": text} for key, text in texts.items()}
    return {"kind": "template", "name": name, "channel": "email", "variants": made}


def step(channel: str = "sms", **given: Any) -> dict[str, Any]:
    template = {"sms": "text", "email": "mail"}[channel]
    return {"channel": channel, "template": template, "sender": f"by-{channel}", "after": 60, **given}


def scenario(name: str = "hello", /, **given: Any) -> dict[str, Any]:
    return {"kind": "scenario", "name": name, "validity": 3600, "plan": [step()], **given}


def plan(name: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "plan", "name": name, "steps": [*steps]}


def window(name: str, days: list[str] | None = None, start: str = "08:00", end: str = "20:00", **given: Any) -> dict[str, Any]:
    hours = {"days": days or ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": start, "to": end}
    return {"kind": "window", "name": name, "open": [hours], **given}


def fields(name: str = "request", **types: str | dict[str, Any]) -> dict[str, Any]:
    made = {field: {"type": kind} if isinstance(kind, str) else kind for field, kind in types.items()}
    return {"kind": "fields", "name": name, "fields": made}


def _key(key: str) -> str:
    return key.replace("__", "/").replace("_", "-")
