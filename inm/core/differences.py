"""Differences between two versions of a template, by variant and part, word by word where that can be read."""

import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, Literal, NamedTuple

NEAR = 2
"""Lines that are shown before and after a change."""
MOST_WORDS = 2_000
"""Words of two texts that are compared one by one: the work grows with their product."""

_WORD = re.compile(r"\w+|\s+|.", re.DOTALL)


class Piece(NamedTuple):
    """A stretch of text that is the same, gone or new; ``skip`` stands for lines that are the same and left out."""

    kind: Literal["same", "gone", "new", "skip"]
    text: str


class PartDifference(NamedTuple):
    """A part of a variant that differs: ``text``, ``subject``, ``html``, …; ``variant`` is empty for what is of the whole."""

    variant: str
    part: str
    pieces: list[Piece]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[PartDifference]:
    """What differs between two documents of templates."""
    old, new = _parts(before), _parts(after)
    places = dict.fromkeys([*new, *old])
    return [
        PartDifference(*place, compared(old.get(place, ""), new.get(place, "")))
        for place in places
        if old.get(place, "") != new.get(place, "")
    ]


def compared(before: str, after: str) -> list[Piece]:
    """The pieces of two texts, in order."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    found: list[Piece] = []
    for kind, first, last, begin, end in SequenceMatcher(None, old, new).get_opcodes():
        if kind == "equal":
            found += _shortened(old[first:last], at_start=first == 0, at_end=last == len(old))
        else:
            found += _changed("".join(old[first:last]), "".join(new[begin:end]))
    return found


def _parts(document: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for key, variant in document.get("variants", {}).items():
        for part, text in variant.items():
            items = {f"data/{name}": inner for name, inner in text.items()} if isinstance(text, dict) else {part: text}
            found |= {(key, name): inner for name, inner in items.items() if inner is not None}
    if document.get("flash"):
        found["", "flash"] = "flash"
    return found


def _shortened(lines: list[str], *, at_start: bool, at_end: bool) -> Iterator[Piece]:
    head, tail = (0 if at_start else NEAR), (0 if at_end else NEAR)
    if len(lines) <= head + tail + 1:
        yield Piece("same", "".join(lines))
        return
    if head:
        yield Piece("same", "".join(lines[:head]))
    yield Piece("skip", str(len(lines) - head - tail))
    if tail:
        yield Piece("same", "".join(lines[-tail:]))


def _changed(before: str, after: str) -> Iterator[Piece]:
    old, new = _WORD.findall(before), _WORD.findall(after)
    if len(old) + len(new) > MOST_WORDS:
        yield from (Piece("gone", before), Piece("new", after))
        return
    for kind, first, last, begin, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield Piece("same", "".join(old[first:last]))
            continue
        if first < last:
            yield Piece("gone", "".join(old[first:last]))
        if begin < end:
            yield Piece("new", "".join(new[begin:end]))
