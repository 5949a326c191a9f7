"""Keeps the users table: what ``inm.users`` tells of a user, what the tenants' sources say when asked, and what is to be forgotten."""

import asyncio
from collections import defaultdict
from typing import Literal

import faust
import msgspec

from inm import metrics, topics
from inm.app import app
from inm.core import marks
from inm.core.catalogue import Book
from inm.core.faults import Fault
from inm.core.freshness import ends_soon
from inm.core.records import Notification
from inm.core.sources import Kind, asked
from inm.core.users import Invalidate, InvalidUserError, Load, Mark, Upsert, UserRecord, parse
from inm.sources.loader import Found, Result
from inm.sources.registry import Connected
from inm.streaming.chunks import Chunk, Record
from inm.streaming.stage import Output, Reject
from inm.tables import users

PIECE = 500
"""Records a chunk has at most: what is acked together waits for the slowest source among them."""

stage = app.stage("users")
_encode = msgspec.json.Encoder().encode
Said = Literal["known", "unknown", "failed"]
Wanted = dict[str, list[Notification]]
"""The notifications that wait for each key; none for a refresh."""


@app.agent(app.chunks(topics.USERS, at_most=PIECE), name="users")
async def agent(stream: faust.StreamT[Chunk]) -> None:
    await stage.run_batches(stream, take)


async def take(chunk: Chunk, out: Output) -> None:
    """What is told is kept at once, in order; then each source is asked, and none of them waits for another."""
    wanted: dict[tuple[str, Kind], Wanted] = defaultdict(dict)
    for record in chunk.records:
        try:
            load = _keep(record, out)
            out.accept()
        except Reject as error:
            out.bury(record, stage.name, error.reason, error.detail)
            continue
        if load is not None:
            waiting = wanted[load.key.partition("/")[0], asked(load.key)[0]].setdefault(load.key, [])
            waiting += [load.notification] if load.notification else []
    async with asyncio.TaskGroup() as loading:
        for (tenant, kind), keys in wanted.items():
            loading.create_task(_load(tenant, kind, keys, out))


def _keep(record: Record, out: Output) -> Load | None:
    """Take in what a record says; what it wants loaded."""
    item = _parse(record)
    if isinstance(item, Mark):
        users.mark(out, item.tenant, item.where)
        return None
    if isinstance(item, Invalidate) and item.key is None:
        _mark_everywhere(item, out)
        return None
    assert item.key is not None
    home = topics.partition_of_key(item.key, app.partitions)
    if home != out.partition:
        # librdkafka's clients hash keys otherwise than the Java one: such a record is sent home instead of being lost to evaluate
        out.emit(topics.USERS, item.key.encode(), record.value, home)
        return None
    if isinstance(item, Load):
        return item
    if isinstance(item, Upsert):
        user = item.user(out.now)
        users.users.put(out, user.key, user, user.ends)
    else:
        users.forget(out, item.key)
    return None


def _parse(record: Record) -> UserRecord:
    """``Reject`` with every fault, also of the tenant's own fields."""
    try:
        item = parse(record.value or b"")
    except InvalidUserError as error:
        raise Reject("invalid-request", str(error)) from error
    if isinstance(item, Upsert):
        book = _book(item.key.partition("/")[0])
        item.fields, faults = book.user.convert(item.fields)
        item.fields = msgspec.to_builtins(item.fields)
    elif isinstance(item, Invalidate) and item.tenant:
        book = _book(item.tenant)
        faults = marks.faults(item.where, book.user) if item.where else []
    else:
        faults = []
    if faults:
        raise Reject("invalid-request", "; ".join(map(str, faults)))
    return item


def _book(tenant: str) -> Book:
    book = app.catalogue.book(tenant)
    if book is None:
        raise Reject("unknown-tenant", str(Fault("/key", "no such tenant", repr(tenant))))
    return book


def _mark_everywhere(item: Invalidate, out: Output) -> None:
    assert item.tenant is not None
    value = _encode(Mark(item.tenant, item.where))
    for partition in range(app.partitions):
        out.emit(topics.USERS, item.tenant.encode(), value, partition)


async def _load(tenant: str, kind: Kind, wanted: Wanted, out: Output) -> None:
    """Ask for what is not there yet, write what is said, and hand the notifications back."""
    book = app.catalogue.book(tenant)
    source = app.sources.of(book) if book else None
    if book is None or source is None:
        _hand_back(wanted, "unknown", out)
        out.accept()
        return
    missing: dict[str, str] = {}
    for key, waiting in wanted.items():
        row = users.known(out, key, book)
        if row is None or row.expires_at < out.now or (ends_soon(row, out.now) and not waiting):
            missing[asked(key)[1]] = key
        else:
            _hand_back({key: waiting}, "unknown" if row.absent else "known", out)
    out.accept()
    results = await source.loader.load(kind, missing)
    for own, result in results.items():
        key = missing[own]
        _answered(key, result, wanted[key], source, out)
        out.accept()


def _answered(key: str, result: Result, waiting: list[Notification], source: Connected, out: Output) -> None:
    tenant = source.loader.source.tenant
    if not isinstance(result, Found):
        metrics.USER_LOADS.labels(tenant, "failed").inc()
        _hand_back({key: waiting}, "failed", out)
        return
    answer = source.reader.read(key, result.rows, result.began)
    for fault in answer.faults:
        metrics.USER_FAULTS.labels(tenant, fault).inc()
    said: Said = "unknown" if answer.user.absent else "known"
    metrics.USER_LOADS.labels(tenant, said).inc()
    users.write(out, answer.user)
    _hand_back({key: waiting}, said, out)


def _hand_back(wanted: Wanted, said: Said, out: Output) -> None:
    """The notifications go on, to be decided by what the table has now."""
    for key, waiting in wanted.items():
        for notification in waiting:
            out.emit(topics.notifications(notification.lane), key.encode(), _encode(msgspec.structs.replace(notification, loaded=said)))


app.every_tick(stage, users.users.sweep)
