"""Records that can be looked at without reading whom they are about: letters and digits become x and 9, the shape stays.

The shape is what is wrong with most dead letters: a phone number without its plus, a comma where a quote should be.
"""

import re
from collections.abc import Mapping, Set
from typing import Any

import msgspec

_REQUEST = {"scenario", "tenant", "lane", "language", "at", "request_id", "idempotency_key"}
_EVENT = {"specversion", "type", "source", "id", "event", "kind", "state", "reason", "received", "decided", "expires", "due", "topic"}
_DELIVERY = {"notification", "delivery", "channel", "route", "template", "version", "step", "attempt", "part", "parts", "encoding", "ttl"}
_OURS: Set[str] = frozenset(_REQUEST | _EVENT | _DELIVERY)
"""Members of requests and of our own records that say nothing of a person."""
_PROVIDERS: Set[str] = _OURS | {"result", "code"}
_OPEN: Mapping[str, Set[str]] = {
    "to": frozenset({"language", "tone", "role"}),
    "data": _OURS,
    "value": _OURS,
    "answer": _PROVIDERS,
    "receipt": _PROVIDERS,
}
"""Members that have such members in their turn: recipients, the request in a CloudEvent, the item that waits, what a provider said."""
_NONE: Set[str] = frozenset()

SHORTEST = 4
"""Characters of a member's text that make it worth looking for in a message: shorter ones are found in every word."""

# A literal as repr() writes it, also one cut at 60 characters. An apostrophe (tenant's) opens and closes none.
_LITERAL = (
    r"""(?<!\w)(?P<quote>['"])(?P<inside>(?:(?!(?P=quote))[^\\]|\\.|(?P=quote)(?=\w))*?)(?:(?P=quote)(?!\w)|\.\.\.(?=, allowed|;|$)|\\?$)"""
)
_NUMBER = r"(?<=found )-?\d[\d.e+-]*"
_ADDRESS = r"[^\s@,;'\"<>]+@[^\s@,;'\"<>]+|(?<![\w-])\+?\d[\d ().-]{5,}\d(?![\w-])"
_SUSPECT = re.compile(f"{_LITERAL}|{_NUMBER}|{_ADDRESS}", re.DOTALL)


def shape(text: str) -> str:
    """The text with each letter as x or X and each digit as 9."""
    return "".join(map(_shape, text))


def _shape(character: str) -> str:
    if character.isnumeric():
        return "9"
    if not character.isalpha():
        return character
    return "X" if character.isupper() else "x"


class Mask:
    """What may be shown of one record: its ``document``, and messages about it by :meth:`words`."""

    def __init__(self, record: bytes) -> None:
        self._plain: set[str] = set()
        self._secret: set[str] = set()
        try:
            self.document = self._masked(msgspec.json.decode(record), _OURS)
            """The record, if it is JSON, with everything masked that may say something of a person; otherwise its shape, as text."""
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.document = shape(record.decode(errors="replace"))

    def words(self, text: str) -> str:
        """A message about the record: what it repeats of it, and whatever looks like a value or an address, by its shape."""
        for secret in sorted(self._secret, key=len, reverse=True):
            text = text.replace(secret, shape(secret))
        return _SUSPECT.sub(lambda found: found[0] if found["inside"] in self._plain else shape(found[0]), text)

    def _masked(self, item: Any, visible: Set[str]) -> Any:
        if isinstance(item, dict):
            return {key: self._member(key, inner, visible) for key, inner in item.items()}
        if isinstance(item, list):
            return [self._masked(inner, visible) for inner in item]
        if isinstance(item, str):
            if len(item) >= SHORTEST:
                self._secret.add(item)
            return shape(item)
        if isinstance(item, bool) or item is None:
            return item
        return type(item)(re.sub(r"\d", "9", str(item)))

    def _member(self, name: str, item: Any, visible: Set[str]) -> Any:
        if name in visible and not isinstance(item, dict | list):
            self._plain.add(str(item))
            return item
        return self._masked(item, _OPEN.get(name, _NONE) if visible else _NONE)
