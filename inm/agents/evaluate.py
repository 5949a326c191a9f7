"""Decides what to say, over which channel: once for each notification, by the ledger of journeys."""

import faust
import msgspec

from inm import topics
from inm.app import app
from inm.core import journey
from inm.core.decide import Decision, decide
from inm.core.ledger import Journey
from inm.core.records import Notification, Wait
from inm.streaming.chunks import Chunk, Record
from inm.streaming.stage import Output
from inm.tables.emitted import emitted
from inm.tables.journeys import journeys, keep
from inm.tables.users import users

stage = app.stage("evaluate")
_decode = msgspec.json.Decoder(Notification).decode
_encode = msgspec.json.Encoder().encode


@app.agent(app.chunks(topics.NOTIFICATIONS), name="evaluate")
async def agent(stream: faust.StreamT[Chunk]) -> None:
    await stage.run(stream, evaluate)


def evaluate(record: Record, out: Output) -> None:
    notification = _decode(record.value)
    known = journeys.get(out, notification.id)
    if notification.step > 1:
        if known is not None:
            _next_step(notification, known, out)
    elif known is None or journey.waits_for(known, notification):
        if (notification.at or 0) > out.now:
            _wait(notification, known, out)
        else:
            keep(out, *journey.begin(notification, _decision(notification, out), out.now))


def _decision(notification: Notification, out: Output) -> Decision:
    now = emitted.decided(notification.id, notification.step) or out.now
    return decide(notification, app.catalogue, users.get(out, notification.key), now)


def _next_step(notification: Notification, known: Journey, out: Output) -> None:
    changed, effects = journey.resume(known, notification, _decision(notification, out), out.now)
    if changed is not known:
        keep(out, changed, effects)


def _wait(notification: Notification, known: Journey | None, out: Output) -> None:
    """Not before its time: the ledger has it already, so that the same request again is not a second one.

    It may come back early, from a worker whose clock is ahead of this one's: then it only waits on.
    """
    if known is None:
        keep(out, *journey.postpone(notification, out.now))
    wait = Wait(f"at/{notification.id}", notification.at or 0, topics.NOTIFICATIONS, notification.key, msgspec.Raw(_encode(notification)))
    out.emit(topics.SCHEDULE, notification.key.encode(), _encode(wait))
