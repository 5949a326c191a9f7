"""Conditions taken apart, so that they can be told in plain words: what is simple enough to be."""

import re
from collections.abc import Callable
from typing import NamedTuple

from inm.core.expressions import Source

_PATH = re.compile(r"(request|user|last|tenant)\.([a-z_]\w*)")
_HAS = re.compile(r"has\((request|user)\.(\w+)\)")
_SPAN = re.compile(r"""["']([0-9]+)([hms])["']""")
_NUMBER = re.compile(r"[0-9][0-9.]*")
_COMPARED = ("==", "!=", "<", "<=", ">", ">=", "in")


class Node(NamedTuple):
    """A part of a condition: ``and``, ``or``, ``not``, ``has``, ``true``; a comparison by its sign; or a value.

    Values are ``field`` (of ``request``, ``user``, … by name), ``text``, ``number``, ``now``, ``hour`` (in a zone),
    ``span`` (a number of h, m or s), ``+`` and ``-``.
    """

    kind: str
    words: tuple[str, ...] = ()
    inner: tuple["Node", ...] = ()


class _UnclearError(Exception):
    """There is something in it that has no plain words here."""


def read(condition: str) -> Node | None:
    """The condition as a tree; None if it is beyond plain words, and better shown as it is written."""
    reader = _Reader(Source(condition).words)
    try:
        found = reader.either()
        return found if reader.done else None
    except (_UnclearError, RecursionError):
        return None


class _Reader:
    """Goes through the words of a condition once."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._at = 0

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._words)

    def either(self) -> Node:
        """Conditions of which one must hold."""
        return self._several("or", "||", self._all)

    def _all(self) -> Node:
        return self._several("and", "&&", self._one)

    def _several(self, kind: str, sign: str, part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self._take(sign):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Node(kind, (), tuple(parts))

    def _one(self) -> Node:
        if self._take("!"):
            return Node("not", (), (self._negated(),))
        if self._take("("):
            return self._bracketed()
        left = self._sum()
        sign = self._peek()
        if sign in _COMPARED:
            self._at += 1
            return Node(sign, (), (left, self._sum()))
        if left.kind not in ("field", "has"):
            raise _UnclearError
        return left if left.kind == "has" else Node("true", (), (left,))

    def _bracketed(self) -> Node:
        found = self.either()
        self._need(")")
        return found

    def _negated(self) -> Node:
        """What ``!`` binds: not the comparison behind it."""
        if self._take("("):
            found = self._bracketed()
        else:
            found = self._value()
            found = found if found.kind == "has" else Node("true", (), (found,))
            if found.kind == "true" and found.inner[0].kind != "field":
                raise _UnclearError
        if self._peek() in _COMPARED:
            raise _UnclearError
        return found

    def _sum(self) -> Node:
        found = self._value()
        while (sign := self._peek()) in ("+", "-"):
            self._at += 1
            found = Node(sign, (), (found, self._value()))
        return found

    def _value(self) -> Node:
        if self._take("-"):
            word = self._next()
            if not _NUMBER.fullmatch(word):
                raise _UnclearError
            return Node("number", (f"-{word}",))
        word = self._next()
        if match := _HAS.fullmatch(word):
            return Node("has", (), (Node("field", (match[1], match[2])),))
        if match := _PATH.fullmatch(word):
            return self._whole(Node("field", (match[1], match[2])))
        if word in ("now", "true", "false"):
            return Node(word)
        return self._timed(word) or _literal(word)

    def _timed(self, word: str) -> Node | None:
        if word == "duration":
            return self._span()
        return Node("hour", (self._argument(),)) if word == "now.getHours" else None

    def _whole(self, node: Node) -> Node:
        """A field that nothing is asked of: no method, and no item."""
        if self._peek() in ("(", "["):
            raise _UnclearError
        return node

    def _span(self) -> Node:
        match = _SPAN.fullmatch(f'"{self._argument()}"')
        if match is None:
            raise _UnclearError
        return Node("span", (match[1], match[2]))

    def _argument(self) -> str:
        self._need("(")
        word = self._next()
        self._need(")")
        if word[:1] not in ("'", '"') or len(word) < 2:
            raise _UnclearError
        return word[1:-1]

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _next(self) -> str:
        word = self._peek()
        if not word:
            raise _UnclearError
        self._at += 1
        return word

    def _take(self, sign: str) -> bool:
        found = self._peek() == sign
        self._at += found
        return found

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise _UnclearError


def _literal(word: str) -> Node:
    if _NUMBER.fullmatch(word):
        return Node("number", (word,))
    if len(word) > 1 and word[0] in "\"'" and "\\" not in word:
        return Node("text", (word.strip(word[0]),))
    raise _UnclearError
