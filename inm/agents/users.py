"""Keeps the users table: what ``inm.users`` tells of a user, and what is to be forgotten."""

import faust

from inm import topics
from inm.app import app
from inm.core.users import InvalidUserError, Upsert, parse
from inm.streaming.chunks import Chunk, Record
from inm.streaming.stage import Output, Reject
from inm.tables.users import users

stage = app.stage("users")


@app.agent(app.chunks(topics.USERS), name="users")
async def agent(stream: faust.StreamT[Chunk]) -> None:
    await stage.run(stream, keep)


def keep(record: Record, out: Output) -> None:
    try:
        item = parse(record.value or b"")
    except InvalidUserError as error:
        raise Reject("invalid-request", str(error)) from error
    home = topics.partition_of_key(item.key, app.partitions)
    if home != out.partition:
        # librdkafka's clients hash keys otherwise than the Java one: such a record is sent home instead of being lost to evaluate
        out.emit(topics.USERS, item.key.encode(), record.value, home)
    elif isinstance(item, Upsert):
        user = item.user(out.now)
        users.put(out, user.key, user, user.expires_at)
    else:
        users.delete(out, item.key)


app.every_tick(stage, users.sweep)
