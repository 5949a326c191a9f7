"""Matches what a provider reports with what was submitted, in either order, and says what became of the delivery.

What the worker that takes a receipt has submitted itself lately does not come here: see :mod:`inm.reports`.
"""

import faust
import msgspec

from inm import topics
from inm.app import app
from inm.core.ids import receipt_key
from inm.core.records import Receipt, Submission
from inm.streaming.chunks import Chunk, Record
from inm.streaming.stage import Output, Reject
from inm.tables import outbox
from inm.tables.outbox import Sent
from inm.tables.schedule import later

PATIENCE = 120_000
"""Milliseconds a receipt waits for its submission before it is dead-lettered: a submission follows its submit within a second."""

stage = app.stage("receipts")
_decode = msgspec.json.Decoder(Submission | Receipt).decode


@app.agent(app.chunks(topics.RECEIPTS), name="receipts")
async def agent(stream: faust.StreamT[Chunk]) -> None:
    await stage.run(stream, match)


def match(record: Record, out: Output) -> None:
    item = _decode(record.value)
    key = receipt_key(item.route, item.provider_id)
    row = outbox.outbox.get(out, key) or Sent()
    if isinstance(item, Submission):
        _submitted(item, row, out)
    elif row.submission is not None:
        out.emit(topics.OUTCOMES, *app.reports.outcome_of(item, row.submission, out.now))
        return
    elif item.last_call:
        raise Reject("unknown-receipt", f"route {item.route} reported on a message that was not submitted by it")
    else:
        _keep(item, row, key, out)
    outbox.outbox.put(out, key, row, out.now + outbox.KEEP)


def _submitted(submission: Submission, row: Sent, out: Output) -> None:
    row.submission = submission
    for receipt in row.receipts:
        out.emit(topics.OUTCOMES, *app.reports.outcome_of(receipt, submission, out.now))
    row.receipts = []


def _keep(receipt: Receipt, row: Sent, key: str, out: Output) -> None:
    """It came before its submission: keep it, and look again later whether it still has none."""
    row.receipts.append(receipt)
    again = msgspec.structs.replace(receipt, last_call=True)
    later(out, f"receipt/{key}/{receipt.state}", out.now + PATIENCE, topics.RECEIPTS, key, again)


app.every_tick(stage, outbox.outbox.sweep)
