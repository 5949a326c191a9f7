"""Callbacks: what is to be posted to each endpoint, in the order of its time, and how it stands with the endpoint.

Keys are ``<endpoint>/<due>/<id>`` and ``!<endpoint>``. Partitions are those of ``inm.callbacks``: an endpoint is on one worker.
Written by agents/callbacks alone.
"""

from collections.abc import Iterator
from itertools import islice

from inm import topics
from inm.core.callbacks import KEEP, NEVER, Endpoint, Letter
from inm.streaming.stage import Output
from inm.streaming.tables import Table
from inm.tables.rows import Rows

table = Table("callbacks", topics.changelog("callbacks"), topics.CALLBACKS)
_letters = Rows("callbacks", Letter, table)
_endpoints = Rows("callbacks", Endpoint, table)

_LONGEST = 10 * KEEP
"""Milliseconds for which the row of an endpoint stands after its last change."""


def endpoint(out: Output, name: str) -> Endpoint:
    """How it stands with an endpoint."""
    return _endpoints.get(out, f"!{name}") or Endpoint()


def peek(partition: int, name: str, now: int) -> Endpoint:
    """The same, as a view outside of a stage sees it. ``KeyError`` if this worker does not hold the partition."""
    return _endpoints.peek(partition, f"!{name}", now) or Endpoint()


def keep_endpoint(out: Output, name: str, row: Endpoint) -> None:
    """Note how it stands."""
    _endpoints.put(out, f"!{name}", row, out.now + _LONGEST)


def keep(out: Output, name: str, letter: Letter, due: int) -> str:
    """Write a letter; its key. Nobody wants to know of what is older than :data:`KEEP`: it is swept."""
    key = f"{name}/{due:015}/{letter.id}"
    _letters.put(out, key, letter, letter.at + KEEP)
    return key


def at_its_time(key: str, name: str) -> str:
    """Where letters of the same time begin."""
    return key[: len(name) + 16]


def forget(out: Output, key: str) -> None:
    """It was taken, or stands under another time."""
    _letters.delete(out, key)


def due(partition: int, name: str, now: int, start: str = "") -> Iterator[tuple[str, Letter]]:
    """Letters whose time has come, the oldest first, from a key on. Do not write while it runs."""
    return _between(partition, max(start, f"{name}/"), f"{name}/{now + 1:015}", now)


def given_up(partition: int, name: str, since: int, now: int, limit: int) -> list[tuple[str, Letter]]:
    """Letters that are not tried any more, of events since a time."""
    return list(islice(_between(partition, f"{name}/{NEVER + since:015}", f"{name}0", now), limit))


def waiting(partition: int, name: str, now: int, limit: int) -> int:
    """How many letters there are, up to a limit. ``KeyError`` as :func:`peek`."""
    return sum(1 for _ in islice(_between(partition, f"{name}/", f"{name}/{NEVER:015}", now), limit))


def _between(partition: int, start: str, end: str, now: int) -> Iterator[tuple[str, Letter]]:
    for key, stored in table[partition].scan(start.encode(), end.encode()):
        letter = _letters.read(stored, now)
        if letter is not None:
            yield key.decode(), letter


sweep = _letters.sweep
