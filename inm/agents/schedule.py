"""What must wait: retries, scheduled times, windows. Due items go back to where they are to go on."""

import faust
import msgspec

from inm import topics
from inm.app import app
from inm.core.records import Wait
from inm.streaming.chunks import Chunk, Record
from inm.streaming.stage import Output
from inm.tables import schedule
from inm.tables.emitted import emitted

PER_TICK = 2000
"""Items of one partition released by one tick: a bound on how long a tick holds the event loop."""

stage = app.stage("schedule")
_decode = msgspec.json.Decoder(Wait).decode


@app.agent(app.chunks(topics.SCHEDULE, topics.RETRIES), name="schedule")
async def agent(stream: faust.StreamT[Chunk]) -> None:
    await stage.run(stream, take)


def take(record: Record, out: Output) -> None:
    wait = _decode(record.value)
    if wait.due <= out.now:
        _send_on(wait, out)
    else:
        schedule.hold(out, wait, record.value)


def release(out: Output) -> None:
    for key, wait in list(schedule.due(out, PER_TICK)):
        _send_on(wait, out)
        schedule.release(out, key)


def _send_on(wait: Wait, out: Output) -> None:
    if emitted.may_go(wait.id):
        out.emit(wait.topic, wait.key.encode(), bytes(wait.value))


app.every_tick(stage, release)
