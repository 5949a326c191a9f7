"""Hands deliveries to their routes and says what the providers answered. What follows an answer depends on its result alone."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import faust
import msgspec

from inm import metrics, topics
from inm.app import app
from inm.channels.base import Channel
from inm.core.ids import delivery_id, offer_id, receipt_key, retry_id
from inm.core.records import Begun, Delivery, Outcome, Submission, Wait
from inm.core.results import Answer, Result
from inm.core.retry import next_attempt
from inm.streaming.chunks import Chunk, now_ms
from inm.streaming.room import Room
from inm.streaming.stage import Output
from inm.tables.emitted import emitted

PIECE = 50
"""Deliveries a chunk has at most: what is acked, and after a worker's death repeated, together."""

REMEMBERED = 100_000
"""Offers known to have been handed over, the latest ones."""

stage = app.stage("dispatch")
_decode = msgspec.json.Decoder(Delivery).decode
_encode = msgspec.json.Encoder().encode
_lately: dict[str, None] = {}
_generation = 0
_rooms: dict[str, Room] = {}


@app.agent(app.chunks(*topics.DELIVERIES, at_most=PIECE), name="dispatch")
async def agent(stream: faust.StreamT[Chunk]) -> None:
    await stage.run_batches(stream, dispatch, turn)


def turn(chunk: Chunk) -> AbstractAsyncContextManager[None]:
    """Deliveries of one channel and lane in hand at a time: as many as its routes have a use for, so that a rebalance can drain them."""
    topic = chunk.tp.topic
    if topic not in _rooms:
        channel = topic.split(".")[2]
        capacity = sum(route.capacity for route in app.routes.values() if route.name == channel)
        _rooms[topic] = Room(max(2 * PIECE, 2 * capacity))
    return _rooms[topic].take(len(chunk.records))


async def dispatch(chunk: Chunk, out: Output) -> None:
    await _announce(chunk)
    await app.emitter.until_allowed(chunk.generation)
    by_route: dict[str, list[Delivery]] = defaultdict(list)
    for record in chunk.records:
        try:
            delivery = _decode(record.value)
        except msgspec.DecodeError as error:
            out.bury(record, stage.name, "stage-failed", str(error))
            continue
        name = offer_id(delivery.id, delivery.offer)
        if not _first_time(name):
            continue
        answered = emitted.answers.get(name)
        if answered:
            _follow_up(delivery, answered, out)
            continue
        doubtful = record.offset < chunk.suspect_until and emitted.begun(record)
        delivery.redelivered |= doubtful
        if doubtful and delivery.on_unknown == "wait-for-receipt":
            receipts = delivery.route in app.routes and app.routes[delivery.route].receipts
            _answered(delivery, _NOBODY_KNOWS, receipts, now_ms(), out)
        else:
            by_route[delivery.route].append(delivery)
    await asyncio.gather(*(_send(app.routes.get(route), deliveries, out) for route, deliveries in by_route.items()))


def _first_time(offer: str) -> bool:
    """Whether this worker has not handed the offer over in this assignment: an upstream replay may put it on the topic a second time."""
    global _generation  # noqa: PLW0603 - what was handed over in an earlier assignment is for its records to tell
    if app.consumer_generation_id != _generation:
        _generation = app.consumer_generation_id
        _lately.clear()
    if offer in _lately:
        return False
    _lately[offer] = None
    if len(_lately) > REMEMBERED:
        del _lately[next(iter(_lately))]
    return True


async def _announce(chunk: Chunk) -> None:
    """Say what is submitted next before it is: who takes over from a dead worker then knows what may have been, and what has not."""
    begun = Begun(f"{chunk.tp.topic}/{chunk.first}", chunk.tp.topic, chunk.first, chunk.next_offset)
    await app.emitter.send(topics.BEGUN, chunk.tp.partition, None, _encode(begun))


async def _send(route: Channel | None, deliveries: list[Delivery], out: Output) -> None:
    started = now_ms()
    live = [delivery for delivery in deliveries if delivery.expires > started]
    answers = await route.send(live) if route is not None else [_NO_ROUTE] * len(live)
    for delivery, answer in zip(live, answers, strict=True):
        _answered(delivery, answer, route is not None and route.receipts, started, out)
    for delivery in deliveries:
        if delivery.expires <= started:
            _answered(delivery, _EXPIRED, False, started, out)
    out.accept()


_EXPIRED = Answer(Result.PERMANENT, reason="expired")
_NOBODY_KNOWS = Answer(Result.UNKNOWN, reason="no-answer", text="the worker died between the submit and its answer")
_NO_ROUTE = Answer(Result.PERMANENT, reason="route-down", text="no such route is configured")


def _answered(delivery: Delivery, answer: Answer, receipts: bool, started: int, out: Output) -> None:
    now = now_ms()
    metrics.ATTEMPTS.labels(delivery.channel, delivery.route, answer.result).inc()
    retry_at = None
    if receipts:
        _expect_receipts(delivery, answer.provider_ids, now, out)
    if answer.result is not Result.SENT and (answer.result is not Result.UNKNOWN or delivery.on_unknown == "resend"):
        retry_at = next_attempt(answer.result, delivery.attempt, now, delivery.expires, delivery.id)
        if retry_at is not None:
            _retry(delivery, answer.result, retry_at, out)
    outcome = Outcome(
        id=f"{delivery.id}/answer/{next(filter(None, answer.provider_ids), now)}",
        kind="answer",
        notification=delivery.notification,
        delivery=delivery.id,
        key=delivery.key,
        at=now,
        step=delivery.step,
        attempt=delivery.attempt,
        route=delivery.route,
        answer=answer,
        parts=delivery.parts,
        started=started,
        retry_at=retry_at,
        receipts=receipts,
        redelivered=delivery.redelivered,
        offer=delivery.offer,
    )
    out.emit(topics.OUTCOMES, delivery.key.encode(), _encode(outcome))


def _follow_up(delivery: Delivery, outcome: Outcome, out: Output) -> None:
    """It was answered, and its worker died before the commit: the outcome is out, what else follows may not be, and is idempotent."""
    if outcome.receipts and outcome.answer:
        _expect_receipts(delivery, outcome.answer.provider_ids, outcome.at, out)
    if outcome.retry_at and outcome.answer:
        _retry(delivery, outcome.answer.result, outcome.retry_at, out)


def _expect_receipts(delivery: Delivery, provider_ids: Sequence[str], now: int, out: Output) -> None:
    for part, provider_id in enumerate(provider_ids, 1):
        if not provider_id:
            continue
        submission = Submission(delivery.route, provider_id, delivery.id, delivery.key, now, part, len(provider_ids))
        key = receipt_key(delivery.route, provider_id)
        out.emit(topics.RECEIPTS, key.encode(), _encode(submission), topics.partition_of_key(key, app.partitions))


_NOT_AN_ATTEMPT = {Result.THROTTLED, Result.ROUTE_FAULT}


def _retry(delivery: Delivery, result: Result, due: int, out: Output) -> None:
    """The next attempt waits in ``inm.retries``; the same one again if the provider never looked at it."""
    held = result in _NOT_AN_ATTEMPT
    attempt = delivery.attempt if held else delivery.attempt + 1
    again = msgspec.structs.replace(
        delivery,
        id=delivery_id(delivery.notification, delivery.step, attempt),
        attempt=attempt,
        offer=delivery.offer + 1 if held else 0,
    )
    name = offer_id(again.id, again.offer)
    topic = topics.deliveries(delivery.channel, delivery.lane)
    wait = Wait(id=retry_id(name), due=due, topic=topic, key=delivery.key, value=msgspec.Raw(_encode(again)))
    if wait.id not in emitted.retries:
        out.emit(topics.RETRIES, delivery.key.encode(), _encode(wait))
