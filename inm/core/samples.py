"""Samples: values that stand in for those of a request and a user where a text is tried out."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from inm.core.fields import Field, FieldSet
from inm.core.masking import shape
from inm.core.users import User

NAME = "Ada Rossi"


class _Whatever(dict[str, Any]):
    """An object of which nothing is declared: each member that a text reads is something that can be written as a text and as an amount."""

    def __missing__(self, _: str) -> str:
        return "12.50"


_OF_TYPE: Mapping[str, Any] = {
    "integer": 3,
    "decimal": "12.50",
    "boolean": True,
    "date": "2026-12-24",
    "date-time": "2026-12-24T18:05:00+01:00",
    "phone": "+447700900001",
    "email": "ada@example.org",
    "object": _Whatever(),
}
"""By the type of a field, before it is converted. A text is the field's own name, so that it is seen where it stands."""


def sample(name: str, field: Field) -> Any:
    """A value of a field: its default if it has one."""
    if field.default is not None:
        return field.default
    if field.type == "list":
        return [_of(name, field, field.of)]
    return _of(name, field, field.type)


def samples(request: FieldSet, user: FieldSet, read: Iterable[str] = ()) -> dict[str, Any]:
    """A value for each declared field, for the user's name, and for whatever else is ``read``."""
    declared = {**user.fields, **request.fields}
    return {name: name for name in read} | {"name": NAME} | {name: sample(name, field) for name, field in declared.items()}


def seen(user: User, fields: FieldSet, *, full: bool) -> dict[str, Any]:
    """What templates see of a user. Unless in ``full``, each text, number and date is another one of the same length and kind."""
    typed, _ = fields.convert(user.fields, "")
    own = {"name": user.name} if user.name else {}
    values = {**typed, **own}
    return values if full else {name: _hidden(name, value, fields.fields.get(name)) for name, value in values.items()}


def _of(name: str, field: Field, kind: str) -> Any:
    if kind == "enum":
        return field.values[0] if field.values else name
    return _OF_TYPE.get(kind, name)


def _hidden(name: str, value: Any, field: Field | None) -> Any:
    if isinstance(value, bool) or (field and field.type == "enum"):
        return value
    if isinstance(value, str):
        return shape(value)
    if isinstance(value, int | float | Decimal):
        return type(value)(shape(str(value))) if str(value).lstrip("-").replace(".", "", 1).isdigit() else type(value)(0)
    if isinstance(value, date):
        return value.replace(year=2000, month=1, day=1)
    if isinstance(value, list):
        return [_hidden(name, item, field) for item in value]
    return {key: _hidden(key, item, None) for key, item in value.items()} if isinstance(value, dict) else value
