"""Dead letters: what could not be processed, or what the broker would not take, with the reason and where it was."""

import base64

import msgspec

from inm.core.records import Dead
from inm.streaming.chunks import Record

TOPIC = "inm.dead"
LONGEST_VALUE = 64 * 1024
"""Bytes of the original record that a dead letter keeps."""
LONGEST_KEY = 1024
"""Bytes of the original key that a dead letter keeps."""
LONGEST_DETAIL = 2000

_encode = msgspec.json.Encoder().encode


def letter(record: Record, stage: str, reason: str, detail: str, now: int) -> tuple[bytes | None, bytes]:
    """Key and value on ``inm.dead`` of a record that a stage could not process."""
    return _letter(
        record.key, record.value, Dead(reason, detail[:LONGEST_DETAIL], stage, record.topic, record.partition, record.offset, now)
    )


def refused(topic: str, key: bytes | None, value: bytes | None, words: str, now: int) -> tuple[bytes | None, bytes]:
    """Key and value on ``inm.dead`` of an output that the broker refused: the topic is the one it was meant for."""
    return _letter(key, value, Dead("output-refused", words[:LONGEST_DETAIL], "emitter", topic, -1, -1, now))


def _letter(key: bytes | None, value: bytes | None, dead: Dead) -> tuple[bytes | None, bytes]:
    kept = (value or b"")[:LONGEST_VALUE]
    dead.truncated = len(value or b"") > LONGEST_VALUE
    try:
        text = kept.decode()
    except UnicodeDecodeError:
        text, dead.binary = base64.b64encode(kept).decode(), True
    dead.value = text if value is not None else None
    short = key[:LONGEST_KEY] if key is not None else None
    dead.key = short.decode(errors="replace") if short is not None else None
    return short, _encode(dead)
