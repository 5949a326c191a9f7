"""Decides what to say, over which channel: once for each notification, by the ledger of journeys."""

from collections.abc import Sequence

import faust
import msgspec

from inm import topics
from inm.app import app
from inm.core import fanout, journey
from inm.core.decide import Decision, Refusal, Send, decide
from inm.core.freshness import Ask, Hold, Never, Refreshes, Use, consult
from inm.core.ledger import Journey
from inm.core.records import Notification, Wait
from inm.core.scenarios import Step
from inm.core.sources import Source
from inm.core.users import Load, User
from inm.streaming.chunks import Chunk, Record
from inm.streaming.stage import Output
from inm.tables import users
from inm.tables.emitted import emitted
from inm.tables.journeys import journeys, keep

stage = app.stage("evaluate")
_decode = msgspec.json.Decoder(Notification).decode
_encode = msgspec.json.Encoder().encode
_refreshes: dict[str, Refreshes] = {}


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
            _first_step(notification, out)


def _first_step(notification: Notification, out: Output) -> None:
    refused = emitted.refusals.get(notification.id)
    if refused:  # its end is out, and whatever is known of the user now, it has no second one
        keep(out, *journey.begin(notification, Refusal(*refused, []), out.now))
        return
    found = _consult(notification, out)
    if isinstance(found, Never):
        keep(out, *journey.begin(notification, _unavailable(found), out.now))
    elif found is not None:
        _begin(notification, found.row, out)


def _begin(notification: Notification, user: User | None, out: Output) -> None:
    if fanout.is_expanded(notification, user):
        keep(out, *journey.expand(notification, fanout.members(notification, user, app.partitions), out.now))
        return
    decision = _decision(notification, user, (), out)
    keep(out, *journey.begin(notification, decision, out.now, _further(notification, user, decision)))


def _further(notification: Notification, user: User | None, decision: Decision) -> list[Notification]:
    """Notifications for the user's other addresses; not if the decision would be the same for each of them."""
    scenario = app.catalogue.scenario(notification.tenant, notification.scenario)
    sensible = isinstance(decision, Send) or decision.reason == "no-address"
    if scenario is None or scenario.destinations == "first" or not sensible:
        return []
    return fanout.destinations(notification, user, {step.channel for step in decision.plan}, app.partitions)


def _decision(notification: Notification, user: User | None, plan: Sequence[Step], out: Output) -> Decision:
    now = emitted.decided(notification.id, notification.step) or out.now
    return decide(notification, app.catalogue.book(notification.tenant), user, now, app.algorithms, plan)


def _next_step(notification: Notification, known: Journey, out: Output) -> None:
    if known.pending is None:
        return
    found = _consult(notification, out)
    if found is None:
        return
    decision = _unavailable(found) if isinstance(found, Never) else _decision(notification, found.row, known.plan, out)
    changed, effects = journey.resume(known, notification, decision, out.now)
    if changed is not known:
        keep(out, changed, effects)


def _unavailable(found: Never) -> Refusal:
    return Refusal("user-data-unavailable", found.detail, [])


def _consult(notification: Notification, out: Output) -> Use | Never | None:
    """What is known of the user; None if the notification has gone to have the source asked, or waits to be tried again."""
    book = app.catalogue.book(notification.tenant)
    bound = book.scenarios.get(notification.scenario) if book else None
    if book is None or bound is None:
        return Use(None)
    row = users.known(out, notification.key, book)
    if row is not None and emitted.decided(notification.id, notification.step):
        return Use(row)  # its delivery is out: it is decided again by what it was decided by, in time or not
    found = consult(notification, row, book.source, bound.document, out.now)
    key = notification.key.encode()
    if isinstance(found, Ask):
        out.emit(topics.USERS, key, _encode(Load(notification.key, found.notification)))
    elif isinstance(found, Hold):
        name = f"user/{notification.id}/{notification.step}/{notification.asked}"
        wait = Wait(name, found.due, topics.NOTIFICATIONS, notification.key, msgspec.Raw(_encode(found.notification)))
        out.emit(topics.SCHEDULE, key, _encode(wait))
    else:
        if isinstance(found, Use) and found.refresh and found.row and book.source:
            _refresh(found.row, book.source, out)
        return found
    return None


def _refresh(row: User, source: Source, out: Output) -> None:
    if _refreshes.setdefault(source.tenant, Refreshes()).allow(row, source.refresh_rate, out.now):
        out.emit(topics.USERS, row.key.encode(), _encode(Load(row.key)))


def _wait(notification: Notification, known: Journey | None, out: Output) -> None:
    """Not before its time: the ledger has it already, so that the same request again is not a second one.

    It may come back early, from a worker whose clock is ahead of this one's: then it only waits on.
    """
    if known is None:
        keep(out, *journey.postpone(notification, out.now))
    wait = Wait(f"at/{notification.id}", notification.at or 0, topics.NOTIFICATIONS, notification.key, msgspec.Raw(_encode(notification)))
    out.emit(topics.SCHEDULE, notification.key.encode(), _encode(wait))
