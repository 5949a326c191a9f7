"""What is wrong with a document: every fault with its place, what was found there and what is allowed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import inspect


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fault. ``pointer`` is a JSON pointer (RFC 6901) into the document; ``found`` repeats at most 60 characters of it."""

    pointer: str
    message: str
    found: str | None = None
    allowed: str | None = None

    def __str__(self) -> str:
        found = "" if self.found is None else f", found {self.found}"
        allowed = "" if self.allowed is None else f", allowed: {self.allowed}"
        return f"{self.pointer or '/'}: {self.message}{found}{allowed}"


class MisconfiguredError(Exception):
    """A configuration that INM does not start with. Each sentence names the place, what was found and what is allowed."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = tuple(sentences)


MOST = 100
"""Faults that are named, at most: half a megabyte of nonsense has more, and finding them all would take a worker's whole time."""

LONGEST = 5000
"""Items of a list that are looked at; longer ones are refused for their length."""


def find(value: Any, kind: Any, pointer: str = "") -> list[Fault]:
    """Every fault that keeps ``value`` (plain JSON or YAML data) from being a ``kind``; none if ``msgspec.convert`` takes it.

    msgspec itself stops at the first one. This is the slow path, for what was refused already.
    """
    inner = list(islice(_inner(value, kind, pointer), MOST))
    if inner:
        return inner
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        place = pointer + pointer_of(path.rstrip("`"))
        if isinstance(value, dict | list):
            return [Fault(place, message)]
        if "matching regex" in message:  # what is allowed says it, and in words if the type has them
            message = "is not of the allowed form"
        return [Fault(place, message, shown(value), describe(kind))]
    return []


def child(pointer: str, key: object) -> str:
    """The pointer one level deeper, with ``~`` and ``/`` escaped (RFC 6901, section 3)."""
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"


_STEP = re.compile(r"\.(?P<key>[A-Za-z_]\w*)|\[(?P<index>\d+)\]")


def pointer_of(path: str) -> str:
    """``$.to[0].phone``, as msgspec has it, as ``/to/0/phone``. A key that msgspec does not name (``[...]``) ends the pointer."""
    known = path.removeprefix("$").partition("[...]")[0]
    return "".join(f"/{step['key'] or step['index']}" for step in _STEP.finditer(known))


def shown(value: Any) -> str:
    """A value for a message: at most 60 characters."""
    text = repr(value[:60] if isinstance(value, str) else value) if not isinstance(value, dict | list) else type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."


def _inner(value: Any, kind: Any, pointer: str) -> Iterator[Fault]:
    for option in _options(kind):
        if isinstance(value, dict) and _is_struct(option, value):
            yield from _struct_faults(value, option, pointer)
        elif isinstance(value, dict) and get_origin(option) in (dict, Mapping):
            for key, item in value.items():
                yield from find(item, get_args(option)[1], child(pointer, key))
        elif isinstance(value, list) and get_origin(option) in (list, tuple):
            for index, item in enumerate(value[:LONGEST]):
                yield from find(item, get_args(option)[0], child(pointer, index))


def _options(kind: Any) -> Iterator[Any]:
    """The members of a union, or the type itself; without their constraints."""
    if get_origin(kind) is Annotated:
        yield from _options(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for member in get_args(kind):
            yield from _options(member)
    else:
        yield kind


def _is_struct(option: Any, value: dict[Any, Any]) -> bool:
    if not (isinstance(option, type) and issubclass(option, msgspec.Struct)):
        return False
    config = option.__struct_config__
    return config.tag is None or value.get(config.tag_field) == config.tag


def _struct_faults(value: dict[Any, Any], struct: type[msgspec.Struct], pointer: str) -> Iterator[Fault]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    config = struct.__struct_config__
    for key in value:
        if key not in fields and key != config.tag_field and config.forbid_unknown_fields:
            yield Fault(child(pointer, key), "no such key", shown(key), ", ".join(fields))
    for name, field in fields.items():
        if name in value:
            yield from find(value[name], field.type, child(pointer, name))
        elif field.required:
            yield Fault(child(pointer, name), "is missing", None, describe(field.type))


def describe(kind: Any) -> str:
    """What a type allows, in words."""
    return _describe(inspect.type_info(kind))


_WORDS: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "an RFC 3339 time with its zone",
    inspect.DictType: "an object",
    inspect.ListType: "a list",
    inspect.VarTupleType: "a list",
    inspect.NoneType: "null",
    inspect.StructType: "an object",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "text",
}
_LIMITS = {
    "min_length": "length at least {}",
    "max_length": "length at most {}",
    "ge": "at least {}",
    "gt": "above {}",
    "le": "at most {}",
    "pattern": "matching {}",
}


def _describe(info: inspect.Type) -> str:
    if isinstance(info, inspect.Metadata):
        return (info.extra_json_schema or {}).get("description") or _describe(info.type)
    if isinstance(info, inspect.UnionType):
        return " or ".join(_describe(member) for member in info.types)
    if isinstance(info, inspect.LiteralType):
        return ", ".join(map(str, info.values))
    limits = [words.format(limit) for name, words in _LIMITS.items() if (limit := getattr(info, name, None)) is not None]
    return ", ".join([_WORDS.get(type(info), "another type"), *limits])
