"""Dead letters as operators handle them: which are open, which are meant, and what goes back to where it came from.

A letter is known by its offset on ``inm.dead``. What became of it is a record of its own behind it, a :class:`Closing`:
nothing is ever taken off the topic.
"""

import base64
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from inm.core.records import Dead

Headers = Sequence[tuple[str, bytes]]


class Closing(Struct, omit_defaults=True):
    """The end of a letter, on ``inm.dead`` under the letter's id: what was done, when (ms since 1970), by whom and why."""

    closes: int
    """Offset of the letter."""
    action: Literal["retried", "dropped"]
    at: int
    by: str
    why: str | None = None
    sent: str | None = None
    """``topic/partition/offset`` that a retry went to."""


class Letter(Struct):
    """A dead letter: its offset on ``inm.dead``, its key (cut as the record's was), what it says, and its end if it has one."""

    id: int
    key: bytes | None
    dead: Dead
    closed: Closing | None = None


_closing = msgspec.json.Decoder(Closing).decode
_dead = msgspec.json.Decoder(Dead).decode


def read(offset: int, key: bytes | None, value: bytes | None) -> Letter | Closing | None:
    """A record of ``inm.dead``; None if it is neither a letter nor the end of one."""
    for decode in (_closing, _dead):
        try:
            item = decode(value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        return item if isinstance(item, Closing) else Letter(offset, key, item)
    return None


class Selection(Struct, frozen=True):
    """Which letters are meant: these, or all that fit. ``since`` is in ms."""

    ids: frozenset[int] = frozenset()
    reason: str | None = None
    stage: str | None = None
    topic: str | None = None
    since: int | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether the letter, open or closed, is one of them."""
        dead = letter.dead
        return (
            (not self.ids or letter.id in self.ids)
            and self.reason in (None, dead.reason)
            and self.stage in (None, dead.stage)
            and self.topic in (None, dead.topic)
            and (self.since is None or dead.at >= self.since)
        )


class Letters:
    """The letters among the records of ``inm.dead``, read in order, without what they hold: there may be a million."""

    def __init__(self) -> None:
        self._letters: dict[int, Letter] = {}

    def add(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        """Take the next record. Of two ends of a letter the first counts: two operators were at it."""
        item = read(offset, key, value)
        if isinstance(item, Letter):
            item.dead.key = item.dead.value = item.key = None
            self._letters[offset] = item
        elif item is not None and item.closes in self._letters:
            letter = self._letters[item.closes]
            letter.closed = letter.closed or item

    def get(self, number: int) -> Letter | None:
        """The letter of this id."""
        return self._letters.get(number)

    def chosen(self, selection: Selection, *, closed: bool = False) -> list[Letter]:
        """Those meant that are open, or with ``closed`` all; the oldest first."""
        return [letter for letter in self._letters.values() if (closed or not letter.closed) and selection.takes(letter)]


class Count(Struct):
    """How many letters have a reason, and when the first and the last came (ms)."""

    reason: str
    letters: int
    oldest: int
    newest: int


def summary(letters: Iterable[Letter]) -> list[Count]:
    """Letters by reason, the most frequent first."""
    times: dict[str, list[int]] = {}
    for letter in letters:
        times.setdefault(letter.dead.reason, []).append(letter.dead.at)
    most = Counter({reason: len(found) for reason, found in times.items()}).most_common()
    return [Count(reason, count, min(times[reason]), max(times[reason])) for reason, count in most]


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


def moment(text: str, now: int) -> int:
    """``90s``, ``30m``, ``24h`` or ``7d`` before ``now``, or an RFC 3339 time, in ms. ``ValueError`` if it is neither."""
    if ago := re.fullmatch(r"(\d{1,6})([smhd])", text):
        return now - int(ago[1]) * _UNITS[ago[2]] * 1000
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no zone: end it with Z")
    return int(at.timestamp() * 1000)


class DeadLetterError(Exception):
    """What cannot be done with dead letters; the words say why and what can be done."""


class Original(NamedTuple):
    """A record as it is at the place it came from."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Resend(NamedTuple):
    """A record to send; the partition by its key if None."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers


def kept(dead: Dead) -> bytes | None:
    """What the letter has of the record's value."""
    if dead.value is None:
        return None
    return base64.b64decode(dead.value) if dead.binary else dead.value.encode()


def original(letter: Letter, found: Original | None, longest_key: int, mended: bytes | None = None) -> Original:
    """The whole record: as ``found`` at its origin, or as the letter has it, which then has no headers; or with a ``mended`` value.

    ``DeadLetterError`` if the origin has another record by now, or none, and the letter only a part of it. A key of
    ``longest_key`` bytes may have been cut.
    """
    value = kept(letter.dead)
    if found is None or not _same(found, letter.key, value, letter.dead.truncated):
        if letter.dead.truncated and mended is None:
            raise DeadLetterError(f"{_lost(letter)}; the letter has its first {len(value or b'')} bytes: mend it with --value, or drop it")
        if len(letter.key or b"") >= longest_key:
            raise DeadLetterError(f"{_lost(letter)}; the letter has the first {longest_key} bytes of its key: drop it")
        found = Original(letter.key, value)
    return found if mended is None else found._replace(value=mended)


def _lost(letter: Letter) -> str:
    return f"{place(letter)} has the record no more" if letter.dead.partition >= 0 else "nothing else has the record"


def _same(found: Original, key: bytes | None, value: bytes | None, truncated: bool) -> bool:
    """Whether it is the record of the letter: a topic that was made anew has others at the same offsets."""
    if (found.value is None) != (value is None) or not (found.key or b"").startswith(key or b""):
        return False
    head, whole = value or b"", found.value or b""
    return whole.startswith(head) if truncated else whole == head


def place(letter: Letter) -> str:
    """Where the record was, as intake names it; where the letter is, if the record never was anywhere."""
    dead = letter.dead
    return f"{dead.topic}/{dead.partition}/{dead.offset}" if dead.partition >= 0 else f"inm.dead/0/{letter.id}"


def resend(letter: Letter, record: Original, *, request: bool) -> Resend:
    """What goes back: the record, to its topic and partition.

    A ``request`` without any identity is known by its place on the topic. Sent again it has another one, so it gets
    the first as its ``idempotency_key``: its notifications keep their ids. ``DeadLetterError`` if nothing tells the partition.
    """
    dead = letter.dead
    if dead.partition < 0 and record.key is None:
        raise DeadLetterError("it has no key, and nothing else tells the partition it was meant for: drop it")
    value = record.value
    if request and value and not is_cloud_event(record.headers):
        value = _identified(value, place(letter))
    return Resend(dead.topic, dead.partition if dead.partition >= 0 else None, record.key, value, record.headers)


def is_cloud_event(headers: Headers) -> bool:
    """Whether the headers make the record a CloudEvent, which brings its own identity (binary or structured mode)."""
    names = {name.lower(): value for name, value in headers}
    return "ce_specversion" in names or names.get("content-type", b"").startswith(b"application/cloudevents+json")


def _identified(value: bytes, identity: str) -> bytes:
    """The request with an ``idempotency_key`` if it has no identity; every other byte stays, for JSON does not survive decoding."""
    try:
        request: Any = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return value
    if not isinstance(request, dict) or not all(request.get(name) is None for name in ("idempotency_key", "request_id")):
        return value
    comma = b"," if request else b""
    return value.rstrip(b" \t\r\n")[:-1] + comma + b'"idempotency_key":' + msgspec.json.encode(identity) + b"}"
