"""YAML as JSON data: what a document needs of it, with the line of everything, and nothing that surprises.

No anchors (a few lines of them make gigabytes), no tags, no key twice; and only ``true``, ``false``, ``null`` and
numbers as JSON writes them are not texts, so that ``no``, ``2026-11-24`` and ``22:30`` stay what they look like.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from inm.core.faults import child

MAX_TEXT = 5_000_000
"""Characters."""
MAX_DEPTH = 30

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][+-]?[0-9]{1,3})?")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}


class YamlError(ValueError):
    """What is wrong, and in which line."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.message = message
        self.line = line


class Read(NamedTuple):
    """A document, its line, and the line of each JSON pointer in it."""

    value: Any
    line: int
    lines: dict[str, int]


def read(text: str) -> Iterator[Read]:
    """The documents of a text, but for empty ones. ``YamlError`` at the first thing that is wrong."""
    if len(text) > MAX_TEXT:
        raise YamlError(f"{len(text)} characters are too many, allowed are {MAX_TEXT}", 1)
    try:
        yield from _documents(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(f"no YAML: {' '.join(str(error.problem).split())}", mark.line + 1 if mark else 1) from error
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise YamlError(f"no YAML: {' '.join(str(error).split())[:200]}", 1) from error


def _documents(events: Iterator[yaml.Event]) -> Iterator[Read]:
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            lines: dict[str, int] = {}
            first = next(events)
            value = _value(first, events, "", lines, 0)
            if value is not None:
                yield Read(value, _line(first), lines)


def _value(event: yaml.Event, events: Iterator[yaml.Event], pointer: str, lines: dict[str, int], depth: int) -> Any:
    """The value that begins with an event; takes the events that belong to it."""
    line = _line(event)
    lines.setdefault(pointer, line)
    if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) or event.anchor:
        raise YamlError("anchors and aliases (& and *) are not allowed", line)
    if event.tag:
        raise YamlError(f"tags are not allowed, found {event.tag[:60]}", line)
    if depth > MAX_DEPTH:
        raise YamlError(f"deeper than {MAX_DEPTH} levels", line)
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event.value, line) if event.implicit[0] else event.value
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_value(event, events, child(pointer, len(items)), lines, depth + 1))
        return items
    return _mapping(events, pointer, lines, depth, in_braces=bool(event.flow_style))


def _mapping(events: Iterator[yaml.Event], pointer: str, lines: dict[str, int], depth: int, *, in_braces: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        line = _line(event)
        if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag:
            raise YamlError("a key must be a text", line)
        if event.value in found:
            raise YamlError(f"the key {event.value[:60]!r} is there twice", line)
        place = child(pointer, event.value)
        lines[place] = line
        value = next(events)
        if in_braces and isinstance(value, yaml.ScalarEvent) and value.implicit[0] and not value.value:
            raise YamlError(f"{event.value[:60]!r} has no value; between braces a text with a comma is written in quotes", line)
        found[event.value] = _value(value, events, place, lines, depth + 1)
    return found


def _scalar(text: str, line: int) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    number = _NUMBER.fullmatch(text)
    if not number:
        return text
    value = float(text)
    whole = number["fraction"] is None and number["exponent"] is None
    if not math.isfinite(value) or (whole and not -(2**63) <= int(text) < 2**63):
        raise YamlError(f"the number {text[:60]} is too large; a text is written in quotes", line)
    return int(text) if whole else value


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
