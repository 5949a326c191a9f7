"""Tells those who want to know what became of notifications: copies EDRs to endpoints, and posts them until they are taken.

What is to be posted lies in a table by endpoint, so that one that does not answer holds up nobody else.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Iterator

import faust
import msgspec

from inm import metrics, topics
from inm.app import app
from inm.channels.http.poster import Poster
from inm.core.callbacks import (
    FAILING,
    NEVER,
    BoundCallback,
    Endpoint,
    Glimpse,
    Letter,
    Posting,
    Resend,
    Tried,
    allowance,
    concerns,
    resumed,
    settle,
)
from inm.core.networks import Network, parse
from inm.core.records import Dead
from inm.streaming import dead
from inm.streaming.chunks import Chunk, Record
from inm.streaming.stage import Output
from inm.tables import callbacks

PER_TICK = 500
"""Letters of one endpoint in hand, or taken up again by a tick: a bound on how long it holds the event loop."""

log = logging.getLogger("inm.callbacks")
stage = app.stage("callbacks")
_glimpse = msgspec.json.Decoder(Glimpse).decode
_decode = msgspec.json.Decoder(Posting | Resend).decode
_encode = msgspec.json.Encoder().encode
_poster = Poster(os.environ)
app.closers.append(_poster.close)


class Desk:
    """What this worker has in hand for one endpoint in one assignment."""

    def __init__(self) -> None:
        self.flying: set[str] = set()
        """Keys of letters that are posted, or are about to be."""
        self.tried: list[tuple[str, Letter, Tried]] = []
        self.cursor = ""
        """No letter stands before it: where the last scan began to find some, for RocksDB is slow to pass over deleted ones."""
        self._waiting: deque[tuple[str, Letter]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = 0

    def post(self, bound: BoundCallback, networks: list[str], letters: list[tuple[str, Letter]], at_once: int) -> None:
        """Begin to post letters; what comes of them is in ``tried`` then."""
        self.flying.update(key for key, _ in letters)
        self._waiting += letters
        for _ in range(min(at_once - len(self._tasks), len(letters))):
            task = asyncio.create_task(self._work(bound, parse(networks)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, bound: BoundCallback, networks: tuple[Network, ...]) -> None:
        while self._waiting:
            key, letter = self._waiting.popleft()
            try:
                tried = await _poster.post(bound.document, networks, letter)
            except Exception as error:
                log.exception("callback %s could not be posted to %s", letter.id, bound.endpoint)
                tried = Tried("failed", repr(error))
            self.tried.append((key, letter, tried))
            self._failures = 0 if tried.result == "taken" else self._failures + 1
            if self._failures >= FAILING or tried.result == "gone" or tried.rest:
                self._put_back()

    def _put_back(self) -> None:
        """What was not begun is not to be tried in vain: the next turn says how it goes on."""
        self.flying.difference_update(key for key, _ in self._waiting)
        self._waiting.clear()


_desks: dict[str, Desk] = {}
_generation = 0


@app.agent(app.callback_topics(), name="callbacks")
async def agent(stream: faust.StreamT[Chunk]) -> None:
    await stage.run(stream, take)


def take(record: Record, out: Output) -> None:
    if record.topic == topics.EDR:
        _copy(record, out)
        return
    order = _decode(record.value)
    if isinstance(order, Posting):
        key = callbacks.keep(out, order.endpoint, order.letter(), order.at)
        desk = _desks.get(order.endpoint)
        if desk is not None:
            desk.cursor = min(desk.cursor, key)
    else:
        callbacks.keep_endpoint(out, order.endpoint, resumed(callbacks.endpoint(out, order.endpoint), order.since))


def _copy(record: Record, out: Output) -> None:
    if not app.has_callbacks:
        return
    edr = _glimpse(record.value)
    book = app.catalogue.book(edr.tenant)
    for bound in book.callbacks.values() if book else ():
        if concerns(edr, bound):
            posting = Posting(bound.endpoint, edr.id, edr.event, edr.at, msgspec.Raw(record.value))
            partition = topics.partition_of_key(bound.endpoint, app.partitions)
            out.emit(topics.CALLBACKS, bound.endpoint.encode(), _encode(posting), partition)


def turn(out: Output) -> None:
    """What has come of posts is written down, and further ones begin."""
    global _generation  # noqa: PLW0603 - what was in hand in an earlier assignment is not ours any more
    if app.consumer_generation_id != _generation:
        _generation = app.consumer_generation_id
        _desks.clear()
    for bound, networks in _held(out.partition):
        desk = _desks.setdefault(bound.endpoint, Desk())
        before = callbacks.endpoint(out, bound.endpoint)
        after = before if before.at == bound.at else Endpoint(bound.at, resend=before.resend)
        after, passed = _write(bound, after, desk, out)
        after = _take_up(bound, after, out)
        if after != before:
            callbacks.keep_endpoint(out, bound.endpoint, after)
            _tell(bound, before, after, out)
        _begin(bound, networks, after, desk, passed, out)


def _held(partition: int) -> Iterator[tuple[BoundCallback, list[str]]]:
    """The endpoints that are in this partition, and the private networks that they may be in."""
    for name in app.catalogue.tenants if app.has_callbacks else ():
        book = app.catalogue.book(name)
        for bound in book.callbacks.values() if book else ():
            if book and topics.partition_of_key(bound.endpoint, app.partitions) == partition:
                yield bound, book.tenant.networks


def _write(bound: BoundCallback, endpoint: Endpoint, desk: Desk, out: Output) -> tuple[Endpoint, set[str]]:
    """How it stands with the endpoint after what was tried, and the keys that stand no longer."""
    tried, desk.tried = desk.tried, []
    for key, letter, result in tried:
        endpoint, due = settle(endpoint, letter, result, out.now)
        metrics.CALLBACKS.labels(bound.document.tenant, "given-up" if (due or 0) >= NEVER else result.result).inc()
        callbacks.forget(out, key)
        if due is not None:
            again = msgspec.structs.replace(letter, attempts=letter.attempts + 1)
            desk.cursor = min(desk.cursor, callbacks.keep(out, bound.endpoint, again, due))
        desk.flying.discard(key)
    return endpoint, {key for key, _, _ in tried}


def _take_up(bound: BoundCallback, endpoint: Endpoint, out: Output) -> Endpoint:
    """Letters that were given up, and are wanted again."""
    if endpoint.resend is None:
        return endpoint
    found = callbacks.given_up(out.partition, bound.endpoint, endpoint.resend, out.now, PER_TICK)
    for key, letter in found:
        callbacks.forget(out, key)
        callbacks.keep(out, bound.endpoint, msgspec.structs.replace(letter, attempts=0), out.now)
    return endpoint if len(found) == PER_TICK else msgspec.structs.replace(endpoint, resend=None)


def _begin(bound: BoundCallback, networks: list[str], endpoint: Endpoint, desk: Desk, passed: set[str], out: Output) -> None:
    at_once = allowance(endpoint, out.now)
    room = (PER_TICK if at_once > 1 else at_once) - len(desk.flying)
    if room <= 0:
        return
    chosen: list[tuple[str, Letter]] = []
    for looked_at, (key, letter) in enumerate(callbacks.due(out.partition, bound.endpoint, out.now, desk.cursor)):
        if looked_at == 0:
            desk.cursor = callbacks.at_its_time(key, bound.endpoint)
        if key not in desk.flying and key not in passed:
            chosen.append((key, letter))
        if len(chosen) == room:
            break
    desk.post(bound, networks, chosen, at_once)


def _tell(bound: BoundCallback, before: Endpoint, after: Endpoint, out: Output) -> None:
    """Its owner is told that an endpoint is given up: by a dead letter which, sent back, takes it up again."""
    metrics.CALLBACKS_SUSPENDED.labels(bound.document.tenant, bound.document.name).set(after.suspended is not None)
    if after.suspended is None or before.suspended is not None:
        return
    said = "it answered 410 Gone" if after.suspended == "gone" else f"nothing was taken since {after.failing_since}"
    detail = f"callback {bound.endpoint} is suspended: {said}; the last failure: {after.error}"
    log.error("%s", detail)
    metrics.DEAD_LETTERS.labels(stage.name, "callback-suspended").inc()
    order = _encode(Resend(bound.endpoint, after.failing_since)).decode()
    letter = Dead(
        "callback-suspended", detail, stage.name, topics.CALLBACKS, -1, -1, out.now, key=bound.endpoint, value=order
    )  # fmt: skip
    out.emit(dead.TOPIC, bound.endpoint.encode(), _encode(letter), 0)


app.every_tick(stage, turn, callbacks.table)
app.every_tick(stage, callbacks.sweep, callbacks.table)
