"""A small application on the streaming layer alone: counts each key once and passes it on. Run as a process by the tests."""

import os
import sys
from pathlib import Path

import faust

from inm.streaming import consumer
from inm.streaming.app import StreamingApp
from inm.streaming.chunks import Chunk, Record
from inm.streaming.stage import Output, Reject
from inm.streaming.tables import Table

# What is repeated here has no further stage to be under way in, and the next test begins at once.
consumer.REMEMBER = 0.0

seen = Table("seen", "echo.seen.changelog")
app = StreamingApp(
    "echo",
    brokers=[os.environ["INM_BROKER"]],
    client={},
    worker=os.environ["WORKER"],
    folder=Path(os.environ["FOLDER"]),
    tables=[seen],
    copartitioned=frozenset({"echo.in"}),
    web_enabled=False,
)
stage = app.stage("echo")


@app.agent(app.chunks("echo.in"), name="echo")
async def agent(stream: faust.StreamT[Chunk]) -> None:
    await stage.run(stream, echo)


def echo(record: Record, out: Output) -> None:
    if record.value == b"poison":
        raise Reject("invalid-request", "poison")
    if record.value == b"bug":
        raise ZeroDivisionError
    key = record.key
    if out.get(seen, key) is None:
        out.put(seen, key, record.value)
        out.emit("echo.out", key, record.value)


if __name__ == "__main__":
    sys.exit(faust.Worker(app, loglevel="info").execute_from_commandline())
