"""Custom fields: what a tenant declares of its requests and its users, and values converted by that."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import chain
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct

from inm.core.faults import MOST, Fault, child, shown
from inm.core.records import Email, Name, Phone

FieldName = Annotated[
    str,
    Meta(pattern=r"^[a-z][a-z0-9_]{0,49}$(?!\n)", description="the name of a field: small letters, digits and underscores, a letter first"),
]
FieldType = Literal["string", "integer", "decimal", "boolean", "date", "date-time", "enum", "phone", "email", "list", "object"]


class Field(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One custom field. ``values`` are an enum's; ``of`` is the type of a list's items; ``default`` stands where none is brought."""

    type: FieldType
    description: Annotated[str, Meta(max_length=500)] = ""
    required: bool = False
    default: str | int | float | bool | list[str] | None = None
    values: list[str] = []
    of: FieldType = "string"


class Fields(Struct, frozen=True, forbid_unknown_fields=True, tag="fields", tag_field="kind", omit_defaults=True):
    """The custom fields of a tenant's requests or of its users."""

    tenant: Name
    name: Literal["request", "user"]
    fields: dict[FieldName, Field]


BUILT_IN: dict[str, dict[str, FieldType]] = {
    "request": dict.fromkeys(("scenario", "lane", "language", "role"), "string"),
    "user": dict.fromkeys(("id", "language", "tone", "channel", "name", "phone", "email"), "string"),
}
"""What rules see beside the declared fields."""
RESERVED = frozenset(["and", "else", "false", "for", "has", "if", "in", "is", "loop", "none", "not", "null", "or", "true"])
"""Words of the languages of rules and templates."""
MAX_FIELDS = 500
MAX_ITEMS = 1000
"""Items of a list."""


def _pattern(kind: Any) -> re.Pattern[str]:
    """The pattern of an annotated text type."""
    return re.compile(get_args(kind)[1].pattern)


_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?")
_PHONE, _EMAIL = _pattern(Phone), _pattern(Email)
_PUNCTUATION = re.compile(r"[\s().-]+")
_LOGICAL = dict.fromkeys(("true", "t", "yes", "y", "1"), True) | dict.fromkeys(("false", "f", "no", "n", "0"), False)
_NUMBER = (str, int, float, Decimal)
_LARGEST = 2**63
_LARGEST_DECIMAL = Decimal(10) ** 15
"""What a message can show, and a double holds with two decimals; see :mod:`inm.core.languages`."""


def _string(value: Any) -> str:
    if not isinstance(value, str) and (isinstance(value, bool) or not isinstance(value, int)):
        raise TypeError
    return str(value)


def _integer(value: Any) -> int:
    if isinstance(value, str):
        value = int(value) if _INTEGER.fullmatch(value := value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or value != value // 1 or not -_LARGEST <= value < _LARGEST:
        raise ValueError
    return int(value)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, _NUMBER):
        raise TypeError
    text = str(value).strip()
    exact = Decimal(text if _DECIMAL.fullmatch(text) else "NaN")
    if exact.is_nan() or abs(exact) >= _LARGEST_DECIMAL:
        raise ValueError
    return exact


def _boolean(value: Any) -> bool:
    found = _LOGICAL.get(str(value).strip().lower()) if isinstance(value, str | int) else None
    if found is None:
        raise ValueError
    return found


def _moment(value: Any) -> datetime:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise TypeError
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _phone(value: Any) -> str:
    digits = re.sub("^00", "+", _PUNCTUATION.sub("", value)) if isinstance(value, str) else ""
    if not _PHONE.fullmatch(digits):
        raise ValueError
    return digits


def _email(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not _EMAIL.fullmatch(text) or len(text) > 254:
        raise ValueError
    return text


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "integer": _integer,
    "decimal": _decimal,
    "boolean": _boolean,
    "date": lambda value: _moment(value).date(),
    "date-time": _moment,
    "enum": _string,
    "phone": _phone,
    "email": _email,
    "object": _object,
}
_WRONG = (TypeError, ValueError, ArithmeticError)
"""What these raise for what they cannot convert."""
_ALLOWED = {
    "string": "text or a whole number",
    "integer": "a whole number of 64 bits",
    "decimal": "a number below 10^15, with a decimal point",
    "boolean": "true or false",
    "date": "a date as 2026-11-24",
    "date-time": "a time as 2026-11-24T18:05:00+01:00",
    "phone": "a number as +393331234567",
    "email": "an address as ada@example.org",
    "list": f"a list of at most {MAX_ITEMS} items, or a text with commas",
    "object": "an object",
}


def _converted(field: Field, kind: FieldType, value: Any, pointer: str, key: object) -> tuple[Any, list[Fault]]:
    """A value as a ``kind``: the field's, or that of its items. Faults are at ``key`` below ``pointer``."""
    if kind == "list":
        return _list(field, value, child(pointer, key))
    try:
        found = _CONVERT[kind](value)
    except _WRONG:
        found = None
    if found is None or (kind == "enum" and found not in field.values):
        allowed = ", ".join(field.values) if kind == "enum" else _ALLOWED[kind]
        return None, [Fault(child(pointer, key), f"is no {kind}", shown(value), allowed)]
    return found, []


def _list(field: Field, value: Any, pointer: str) -> tuple[Any, list[Fault]]:
    items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or len(items) > MAX_ITEMS:
        return None, [Fault(pointer, "is no list", shown(value), _ALLOWED["list"])]
    found, faults = [], []
    for index, item in enumerate(items):
        converted, wrong = _converted(field, field.of, item, pointer, index)
        found.append(converted)
        faults += wrong
    return found, faults


class FieldSet:
    """The fields of a tenant's requests or users. Without a document, everything passes as it is."""

    def __init__(self, document: Fields | None) -> None:
        self.fields: dict[str, Field] = document.fields if document else {}
        self.declared = document is not None
        self._defaults = {
            name: _converted(field, field.type, field.default, "", name)[0]
            for name, field in self.fields.items()
            if field.default is not None
        }
        self._always = [name for name, field in self.fields.items() if field.required or name in self._defaults]
        self._usual = {name: _CONVERT[field.type] for name, field in self.fields.items() if field.type not in ("enum", "list")}

    def convert(self, values: Mapping[str, Any], pointer: str = "/fields") -> tuple[dict[str, Any], list[Fault]]:
        """The values as their types, defaults filled in, and what is wrong; what is wrong is left out.

        Null is absent, and so is an empty text where no text is declared. Decimals become ``Decimal``, dates ``date``,
        times aware ``datetime`` (UTC if they name no zone). JSON of the result converts to the same again.
        """
        if not self.declared:
            return dict(values), []
        found: dict[str, Any] = {}
        seldom: list[str] = []
        for name, value in values.items():  # of many that are declared, few are there
            try:
                found[name] = self._usual[name](value)
            except (LookupError, *_WRONG):
                seldom.append(name)
        faults: list[Fault] = []
        for name in chain(seldom, [name for name in self._always if name not in values]):
            if name in self.fields:
                faults += self._looked_at(name, values.get(name), pointer, found)
            elif len(faults) < MOST:
                faults.append(Fault(child(pointer, name), "no such field", shown(name), ", ".join(self.fields) or "none is declared"))
        return found, faults[:MOST]

    def _looked_at(self, name: str, value: Any, pointer: str, found: dict[str, Any]) -> list[Fault]:
        """Put a value, or what stands for it, among those ``found``, or tell what is wrong."""
        field = self.fields[name]
        if value is None or (value == "" and field.type != "string"):
            if name in self._defaults:
                found[name] = self._defaults[name]
            elif field.required:
                return [Fault(child(pointer, name), "is missing", allowed=_ALLOWED.get(field.type, ", ".join(field.values)))]
            return []
        converted, wrong = _converted(field, field.type, value, pointer, name)
        if not wrong:
            found[name] = converted
        return wrong


def check(document: Fields) -> Iterator[Fault]:
    """What is wrong with declarations."""
    if len(document.fields) > MAX_FIELDS:
        yield Fault("/fields", "too many fields", str(len(document.fields)), f"at most {MAX_FIELDS}")
    for name, field in document.fields.items():
        pointer = child("/fields", name)
        if name in BUILT_IN[document.name] or name in RESERVED:
            yield Fault(pointer, "this name is taken", name, "any but " + ", ".join(sorted({*BUILT_IN[document.name], *RESERVED})))
        if field.of == "list":
            yield Fault(child(pointer, "of"), "a list of lists cannot be", "list")
        if ("enum" in (field.type, field.of)) != bool(field.values):
            yield Fault(child(pointer, "values"), "an enum has values, and nothing else has", allowed="a list of texts")
        if field.default is not None:
            yield from _converted(field, field.type, field.default, pointer, "default")[1]
