"""Copies of documents for people: what is exported, shown and compared."""

from collections.abc import Mapping
from typing import Any

from inm.core.changes import normal
from inm.core.reference import Held, kind_of, versions
from inm.core.yamlwriter import write

SECRET = "password"  # noqa: S105 - the name of a field, and of no password


def newest(held: Mapping[str, Held]) -> dict[str, Held]:
    """Documents by the path that a file of them would have: of each template the newest version."""
    found: dict[str, Held] = {}
    for path, row in held.items():
        if kind_of(path) == "template":
            path = path.rpartition("/")[0]
            row = versions(held, path)[-1]
        found[path] = row
    return dict(sorted(found.items()))


def shown(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document without what is never shown."""
    return {name: value for name, value in document.items() if name != SECRET}


def text(document: Mapping[str, Any]) -> str:
    """As YAML, without what is never shown."""
    return write(shown(document))


def comparable(document: Mapping[str, Any]) -> str:
    """As YAML in which only what matters differs."""
    return write(_ordered(shown(normal(document))))


def file_of(path: str) -> str:
    """Where a document is exported to: ``acme/scenario/otp.yaml``."""
    return f"{path}.yaml"


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value
