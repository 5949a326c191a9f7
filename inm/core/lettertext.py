"""What people and programs are shown of dead letters, masked unless told otherwise."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from inm.core.deadletters import Count, Letter, kept
from inm.core.masking import Mask, shape
from inm.core.results import REASONS

LINE = 100
"""Characters of the detail in a line."""


def told(letter: Letter, unmask: bool, *, whole: bool = False) -> dict[str, Any]:
    """A letter as JSON: ``at`` as RFC 3339, ``closed`` if it is, key and record with ``whole``."""
    dead = letter.dead
    found: dict[str, Any] = {
        "id": letter.id,
        "at": clock(dead.at),
        "reason": dead.reason,
        "detail": _detail(letter, unmask),
        "stage": dead.stage,
        "topic": dead.topic,
        "partition": dead.partition,
        "offset": dead.offset,
    }
    if whole:
        found |= {"key": _key(letter, unmask), "value": _value(letter, unmask), "binary": dead.binary, "truncated": dead.truncated}
    if letter.closed:
        found["closed"] = msgspec.to_builtins(letter.closed) | {"at": clock(letter.closed.at)}
    return found


def line(letter: Letter, unmask: bool) -> str:
    """A letter as one line."""
    dead = letter.dead
    detail = " ".join(_detail(letter, unmask).split())
    short = detail if len(detail) <= LINE else detail[: LINE - 1] + "…"
    end = f"  [{fate(letter)}]" if letter.closed else ""
    return _printable(f"{letter.id:>6}  {clock(dead.at)}  {dead.reason:16}  {dead.stage:9}  {_origin(letter)}  {short}{end}")


def text(letter: Letter, unmask: bool) -> str:
    """The whole letter for people."""
    dead = letter.dead
    key = _key(letter, unmask)
    return "\n".join(
        [
            f"{letter.id}: {dead.reason}, {fate(letter)}",
            f"{REASONS.get(dead.reason, 'not one of our reasons')}",
            f"{clock(dead.at)} by {_printable(dead.stage)}, {'meant for' if dead.partition < 0 else 'from'} {_printable(_origin(letter))}",
            f"key {_printable(key)}" if key is not None else "no key",
            "",
            _printable(_detail(letter, unmask)),
            "",
            _printable(_pretty(letter, unmask)),
            *(["", "(cut; its origin has the whole, as long as Kafka keeps it)"] if dead.truncated else []),
        ]
    )


def fate(letter: Letter) -> str:
    """Whether it is open; if not, what was done, when, by whom and why."""
    closed = letter.closed
    if closed is None:
        return "open"
    where = f" as {closed.sent}" if closed.sent else ""
    return _printable(f"{closed.action} {clock(closed.at)} by {closed.by}{where}{f': {closed.why}' if closed.why else ''}")


def count_line(count: Count) -> str:
    """How many have a reason, as one line."""
    times = f"{clock(count.oldest)} to {clock(count.newest)}"
    return f"{count.letters:>7}  {_printable(count.reason):16}  {times}  {REASONS.get(count.reason, '')}".rstrip()


def counted(count: Count) -> dict[str, Any]:
    """The same as JSON."""
    return {"reason": count.reason, "letters": count.letters, "oldest": clock(count.oldest), "newest": clock(count.newest)}


def clock(ms: int) -> str:
    """A time as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _origin(letter: Letter) -> str:
    dead = letter.dead
    return f"{dead.topic}/{dead.partition}/{dead.offset}" if dead.partition >= 0 else dead.topic


def _detail(letter: Letter, unmask: bool) -> str:
    return letter.dead.detail if unmask else Mask(kept(letter.dead) or b"").words(letter.dead.detail)


def _key(letter: Letter, unmask: bool) -> str | None:
    return letter.dead.key if unmask or letter.dead.key is None else shape(letter.dead.key)


def _value(letter: Letter, unmask: bool) -> Any:
    """As the letter has it; masked, a JSON document is one here too."""
    if unmask or letter.dead.value is None:
        return letter.dead.value
    return Mask(kept(letter.dead) or b"").document


def _pretty(letter: Letter, unmask: bool) -> str:
    """The record in lines: JSON indented, anything else as it is."""
    value = _value(letter, unmask)
    if value is None:
        return "no value"
    if not isinstance(value, str):
        return json.dumps(value, indent=2, ensure_ascii=False)
    try:
        return msgspec.json.format(value, indent=2)
    except (msgspec.DecodeError, RecursionError):
        return value


def _printable(text: str) -> str:
    """Producers write what they like; a terminal must not obey it."""
    return "".join(character if character.isprintable() or character == "\n" else repr(character)[1:-1] for character in text)
