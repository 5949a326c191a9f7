"""Advances journeys by what became of their deliveries: the next step, or the end.

Deadlines are of the journeys' own rows. Those that come go to ``inm.outcomes``, behind what has been reported by then: a worker that was
away for an hour does not take for silence what it has not read yet.
"""

import faust
import msgspec

from inm import topics
from inm.app import app
from inm.core import links
from inm.core.audit import of_cancel
from inm.core.journey import advance, is_early
from inm.core.ledger import come
from inm.core.records import Outcome
from inm.streaming.chunks import Chunk, Record
from inm.streaming.stage import Output, Reject
from inm.tables.emitted import emitted
from inm.tables.journeys import PIECE, journeys, keep
from inm.tables.schedule import later

stage = app.stage("journeys")
_decode = msgspec.json.Decoder(Outcome).decode
_encode = msgspec.json.Encoder().encode

LOOKS = 5
FIRST_LOOK = 2_000
"""How often, and after how many ms, an outcome without its journey is looked at again; each wait is twice as long as the one before. A
minute in all: its notification may have to ask a source that is failing before it is decided again."""


@app.agent(app.chunks(topics.OUTCOMES, at_most=PIECE), name="journeys")
async def agent(stream: faust.StreamT[Chunk]) -> None:
    await stage.run(stream, take)


def take(record: Record, out: Output) -> None:
    outcome = _decode(record.value)
    journey = journeys.get(out, outcome.notification)
    if journey is None or is_early(journey, outcome) or (outcome.kind == "cancel" and emitted.goes_on(journey.id, journey.step)):
        _look_again(outcome, out)
        return
    changed, effects = advance(journey, outcome, out.now)
    if changed is not journey:
        keep(out, journey, changed, effects)
        if outcome.kind == "cancel":
            out.emit(topics.AUDIT, journey.tenant.encode(), _encode(of_cancel(outcome, journey.tenant)), partition=0)


def _look_again(outcome: Outcome, out: Output) -> None:
    """A worker died between the outputs of evaluate and its row: the row comes with the replay, perhaps after this outcome."""
    if outcome.early == LOOKS:
        if outcome.kind in ("silence", "deadline", "cancel") or outcome.route == links.ROUTE:  # letters are read years later too
            return
        raise Reject("unknown-receipt", f"notification {outcome.notification} is not, or no longer, in the ledger")
    due = out.now + FIRST_LOOK * 2**outcome.early
    outcome.early += 1
    later(out, f"again/{outcome.early}/{outcome.id}", due, topics.OUTCOMES, outcome.key, outcome)


def on_time(out: Output) -> None:
    """Let deadlines come, and rows that are past their end go."""
    for journey in journeys.due(out, PIECE):
        waiting, outcomes = come(journey, out.now)
        for outcome in outcomes:
            out.emit(topics.OUTCOMES, journey.key.encode(), _encode(outcome))
        journeys.put(out, waiting.id, waiting, waiting.expires, waiting.due)
    journeys.sweep(out)


app.every_tick(stage, on_time)
