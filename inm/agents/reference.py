"""Decides changes of reference data: the one writer of ``inm.reference``."""

import asyncio
import logging

import faust
import msgspec

from inm import metrics, topics
from inm.app import app
from inm.core.audit import of_change
from inm.core.changes import change
from inm.core.faults import find
from inm.core.reference import Change, tenant_of
from inm.streaming.chunks import Chunk
from inm.streaming.stage import Output
from inm.tables import reference

log = logging.getLogger("inm.reference")
stage = app.stage("reference")
_decode = msgspec.json.Decoder(Change).decode
_encode = msgspec.json.Encoder().encode
_turn = asyncio.Lock()
"""One change at a time, in the order of the topic: the next one builds on what this one has written."""


@app.agent(app.chunks(topics.CHANGES, at_most=1), name="reference")
async def agent(stream: faust.StreamT[Chunk]) -> None:
    await stage.run_batches(stream, decide, lambda _: _turn)


async def decide(chunk: Chunk, out: Output) -> None:
    """Beside the event loop: to check the documents of a large tenant may take a second."""
    [record] = chunk.records
    try:
        asked = _decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        out.bury(record, stage.name, "invalid-request", _told(record.value or b"", error))
        return
    if reference.answered(out, asked):
        return
    held = reference.held(out, {tenant_of(item.path) for item in asked.items})
    changed = await asyncio.to_thread(change, held, asked, app.channels, out.now)
    reference.keep(out, asked, changed)
    for entry in of_change(asked, held, changed):
        out.emit(topics.AUDIT, entry.tenant.encode(), _encode(entry), partition=0)
    metrics.CHANGES.labels("refused" if changed.answer.wrong else "done").inc()
    log.info("change %s: %d documents, %d faults", asked.id, len(changed.rows), len(changed.answer.wrong))


def _told(value: bytes, error: Exception) -> str:
    try:
        return "; ".join(map(str, find(msgspec.json.decode(value), Change))) or str(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return str(error)


app.every_tick(stage, reference.sweep, reference.reference)
