"""Hands deliveries to their routes and says what the providers answered. What follows an answer depends on its result alone."""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache
from itertools import compress
from operator import not_
from typing import Any

import faust
import msgspec
from aiokafka.errors import KafkaError

from inm import metrics, topics
from inm.app import app
from inm.channels.base import Channel
from inm.core.aftermath import (
    ALL_OUT,
    CLOSED,
    CROWDED,
    EXPIRED,
    MOVING,
    NO_ROUTE,
    NOBODY_KNOWS,
    STOPPED,
    again,
    goes_elsewhere,
    outcome,
)
from inm.core.ids import offer_id, retry_id
from inm.core.latest import Latest
from inm.core.links import tracked
from inm.core.records import Begun, Delivery, Outcome
from inm.core.results import Answer, Result
from inm.core.throttle import slot
from inm.streaming.chunks import Chunk, Record, now_ms
from inm.streaming.emitter import Superseded
from inm.streaming.room import Room, TurnedAway
from inm.streaming.stage import Output
from inm.tables.emitted import emitted
from inm.tables.journeys import is_stopped
from inm.tables.schedule import later

PIECE = 50
"""Deliveries a chunk has at most: what is acked together."""
LINE = 12
"""How many times what a route has in hand may wait for it, before more of it makes way for others: two seconds' worth."""

PATIENCE = 20.0
"""Seconds that a delivery waits for its route before it makes way in any case: its chunk holds up the commit of those behind it."""
LATELY = 600_000
"""Milliseconds for which a route counts as used after its last delivery."""
LONGEST = 60_000
"""Milliseconds for which what makes way is away at most: the route may be faster than it seemed."""

REMEMBERED = 100_000
"""Offers known to have been handed over, the latest ones."""

stage = app.stage("dispatch")
_decode = msgspec.json.Decoder(Delivery).decode
_encode = msgspec.json.Encoder().encode
_lately: Latest[str, None] = Latest(REMEMBERED)
_generation = 0
_turns: dict[str, Room] = {}
_rooms: dict[tuple[str, str], Room] = {}
_slots: dict[tuple[str, str], int] = {}
_used: dict[str, int] = {}
_attempts = cache(metrics.ATTEMPTS.labels)  # which looks at each label anew, every time


@app.agent(app.chunks(*topics.DELIVERIES, at_most=PIECE), name="dispatch")
async def agent(stream: faust.StreamT[Chunk]) -> None:
    await stage.run_batches(stream, dispatch, turn)


def turn(chunk: Chunk) -> AbstractAsyncContextManager[None]:
    """Deliveries of one channel and lane that are taken up at a time: so many that no route runs dry behind another one's queue."""
    topic = chunk.tp.topic
    channel = topic.split(".")[2]
    size = max(2 * PIECE, sum((LINE + 1) * app.routes[name].capacity for name in _in_use(channel)))
    room = _turns.setdefault(topic, Room(size))
    room.resize(size)
    return room.take(len(chunk.records))


async def dispatch(chunk: Chunk, out: Output) -> None:
    by_route: dict[str, list[tuple[int, Delivery]]] = defaultdict(list)
    for record in chunk.records:
        delivery = _taken_up(record, chunk, out)
        out.accept()
        if delivery is not None:
            by_route[delivery.route].append((record.offset, delivery))
    works = [work for route, found in by_route.items() for work in _by_route(chunk, route, found, out)]
    for error in filter(None, await asyncio.gather(*works)):
        raise error


def _taken_up(record: Record, chunk: Chunk, out: Output) -> Delivery | None:
    """The delivery, if it is to be handed to its route now."""
    try:
        delivery = _decode(record.value)
    except msgspec.DecodeError as error:
        out.bury(record, stage.name, "stage-failed", str(error))
        return None
    name = offer_id(delivery.id, delivery.offer)
    if not _first_time(name):
        return None
    answered = emitted.answers.get(name)
    if answered:
        _follow_up(delivery, answered, out)
        return None
    doubtful = record.offset < chunk.suspect_until and emitted.begun(record)
    delivery.redelivered |= doubtful
    route = app.directory.pick(delivery, now_ms())
    delivery.route = route or delivery.route
    if doubtful and delivery.on_unknown == "wait-for-receipt":
        receipts = delivery.route in app.routes and app.routes[delivery.route].receipts
        _answered(delivery, NOBODY_KNOWS, receipts, now_ms(), out)
        return None
    if route is None:
        _answered(delivery, ALL_OUT if app.directory.is_taken_by_any(delivery) else NO_ROUTE, False, now_ms(), out)
        return None
    return delivery


def _by_route(chunk: Chunk, name: str, found: Sequence[tuple[int, Delivery]], out: Output) -> list[Coroutine[Any, Any, Exception | None]]:
    """What is to be done for the deliveries of one route: a piece at a time, as it has room. What waits for that is in no doubt."""
    route = app.routes.get(name)
    if route is None:
        _answer_all(found, NO_ROUTE, out)
        return []
    lane = found[0][1].lane
    room = _rooms.setdefault((name, lane), Room(route.capacity))
    room.resize(route.capacity)
    _used[name] = now_ms()
    if len(_in_use(route.name)) > 1:  # what others could send would stand behind
        crowded = room.waiting >= LINE * route.capacity
        some_are_away = _slots.get((name, lane), 0) > now_ms()  # they were here before
        away = [crowded or (some_are_away and not delivery.offer) for _, delivery in found]
        _make_way(name, route, list(compress(found, away)), out)
        found = list(compress(found, map(not_, away)))
    size = max(1, min(PIECE, route.capacity // 4))
    pieces = [found[start : start + size] for start in range(0, len(found), size)]
    return [_in_turn(chunk, name, route, room, piece, out) for piece in pieces]


def _make_way(name: str, route: Channel, found: Sequence[tuple[int, Delivery]], out: Output) -> None:
    """They come back later, each at a time of its own."""
    now = now_ms()
    for _, delivery in found:
        _answered(delivery, CROWDED, False, now, out, _due_back(name, route, delivery, now))
    out.accept()


def _due_back(name: str, route: Channel, delivery: Delivery, now: int) -> int:
    """When (ms) the route will have room for what makes way, for each has its own time to come back; 0 if nobody knows its pace."""
    rate = route.throttle.rate
    if not rate:
        return 0
    due = _slots[name, delivery.lane] = slot(_slots.get((name, delivery.lane), 0), delivery.parts, rate, now)
    return min(due, now + LONGEST)


def _in_use(channel: str) -> list[str]:
    """The routes of a channel that had something to send lately."""
    since = now_ms() - LATELY
    return [name for name, at in _used.items() if at > since and app.routes[name].name == channel]


async def _in_turn(
    chunk: Chunk, name: str, route: Channel, room: Room, piece: Sequence[tuple[int, Delivery]], out: Output
) -> Exception | None:
    """What kept it from being announced: that the assignment is over, or that Kafka does not answer."""
    try:
        async with room.take(len(piece), PATIENCE):
            await _send(chunk, route, piece, out)
    except TimeoutError:
        _make_way(name, route, piece, out)
    except TurnedAway:
        _answer_all(piece, MOVING, out)
    except (Superseded, KafkaError) as error:
        return error
    return None


def _hand_back() -> None:
    """The partitions are about to move: what waits goes on elsewhere, and is offered again there."""
    for room in _rooms.values():
        room.empty()


app.leavers.append(_hand_back)


def _first_time(offer: str) -> bool:
    """Whether this worker has not handed the offer over in this assignment: an upstream replay may put it on the topic a second time."""
    global _generation  # noqa: PLW0603 - what was handed over in an earlier assignment is for its records to tell
    if app.consumer_generation_id != _generation:
        _generation = app.consumer_generation_id
        _lately.clear()
        _slots.clear()
    if offer in _lately:
        return False
    _lately.put(offer, None)
    return True


async def _announce(chunk: Chunk, offsets: list[int]) -> None:
    """Say what is submitted next before it is: who takes over from a dead worker then knows what may have been, and what has not."""
    begun = Begun(f"{chunk.tp.topic}/{offsets[0]}", chunk.tp.topic, offsets)
    await app.emitter.send(topics.BEGUN, chunk.tp.partition, None, _encode(begun))


async def _send(chunk: Chunk, route: Channel, piece: Sequence[tuple[int, Delivery]], out: Output) -> None:
    started = now_ms()
    live = []
    for offset, delivery in piece:
        barred = _barred(delivery, started, out)
        if barred:
            _answer_all([(offset, delivery)], barred, out)
        else:
            live.append((offset, delivery))
    if not live:
        return
    await _announce(chunk, [offset for offset, _ in live])
    await app.emitter.until_allowed(chunk.generation)
    answers = await route.send([tracked(delivery, app.settings.links) for _, delivery in live])
    app.directory.answered(live[0][1].route, answers, now_ms())
    for (_, delivery), answer in zip(live, answers, strict=True):
        _answered(delivery, answer, route.receipts, started, out)
    out.accept()


def _barred(delivery: Delivery, now: int, out: Output) -> Answer | None:
    """Why it is not sent, or not now. Of what may have been sent before, nobody knows whether it was stopped, or ended, in time."""
    if is_stopped(out, delivery):
        return NOBODY_KNOWS if delivery.redelivered else STOPPED
    if delivery.expires <= now:
        return NOBODY_KNOWS if delivery.redelivered else EXPIRED
    return CLOSED if delivery.closes is not None and delivery.closes <= now else None


def _answer_all(found: Sequence[tuple[int, Delivery]], answer: Answer, out: Output) -> None:
    """The same answer for deliveries that no route has seen."""
    now = now_ms()
    for _, delivery in found:
        _answered(delivery, answer, False, now, out)
    out.accept()


def _answered(delivery: Delivery, answer: Answer, receipts: bool, started: int, out: Output, due: int = 0) -> None:
    _attempts(delivery.channel, delivery.route, answer.result).inc()
    now = now_ms()
    several = bool(delivery.routes) and goes_elsewhere(answer)
    other_route = several and app.directory.pick(delivery, now, (delivery.route,)) is not None
    became = outcome(delivery, answer, receipts, started, now, app.settings.retries, other_route, due)
    if answer.result is Result.SENT:
        became.silence_at = app.reports.silent_from(delivery.route, now)
    out.emit(topics.OUTCOMES, delivery.key.encode(), _encode(became))
    _follow_up(delivery, became, out)


def _follow_up(delivery: Delivery, became: Outcome, out: Output) -> None:
    """What else follows; it may be out already, if a worker died before the commit, and is idempotent."""
    for key, value, partition in app.reports.matches(delivery, became):
        out.emit(topics.RECEIPTS, key, value, partition)
    further = again(delivery, became)
    if further is None:
        return
    topic = topics.deliveries(delivery.channel, delivery.lane)
    name = retry_id(offer_id(further.id, further.offer))
    if name not in emitted.retries:
        later(out, name, became.retry_at or 0, topic, delivery.key, further, through=topics.RETRIES)
