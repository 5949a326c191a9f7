"""Reference: every document and, for a day, the answer to every change. Its changelog, ``inm.reference``, is what everybody reads.

Written by agents/reference alone, in one partition. Rows are JSON: a :class:`Held` by its path, an ``Answer`` by its change.
"""

from itertools import islice

import msgspec

from inm import topics
from inm.core.changes import Changed
from inm.core.reference import Change, Held, answer_key
from inm.streaming.stage import Output
from inm.streaming.tables import Table
from inm.tables.rows import SWEEP

reference = Table("reference", topics.REFERENCE, topics.CHANGES)

KEEP = topics.DAY
"""Milliseconds, from the time of the change, for which its answer is kept: until then it is known as done if it comes again."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Held).decode
_decoded: dict[bytes, tuple[bytes, Held]] = {}


def answered(out: Output, asked: Change) -> bool:
    """Whether this change has been decided already."""
    return out.get(reference, answer_key(asked.at, asked.id)) is not None


def held(out: Output, tenants: set[str]) -> dict[str, Held]:
    """All documents of some tenants, by path."""
    found: dict[str, Held] = {}
    for tenant in tenants:
        for key, value in reference[out.partition].scan(f"{tenant}/".encode(), f"{tenant}0".encode()):  # 0 follows /
            known = _decoded.get(key)
            if known is None or known[0] != value:
                known = _decoded[key] = (value, _decode(value))
            found[key.decode()] = known[1]
    return found


def keep(out: Output, asked: Change, changed: Changed) -> None:
    """Write what a change does, and behind it the answer."""
    for path, row in changed.rows.items():
        out.put(reference, path.encode(), None if row is None else _encode(row))
        if row is None:
            _decoded.pop(path.encode(), None)
    out.put(reference, answer_key(asked.at, asked.id), _encode(changed.answer))


def sweep(out: Output) -> None:
    """Delete answers past their time."""
    past = reference[out.partition].scan(answer_key(0), answer_key(out.now - KEEP))
    for key, _ in islice(past, SWEEP):
        out.put(reference, key, None)
