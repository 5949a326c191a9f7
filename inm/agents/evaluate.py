"""Decides what to say, over which channel: once for each notification, by the ledger of journeys."""

import faust
import msgspec

from inm import topics
from inm.app import app
from inm.core import capping, fanout, journey
from inm.core.capping import Cap
from inm.core.decide import NOTHING, Decision, Refusal, Send, decide
from inm.core.freshness import Ask, Hold, Never, Refreshes, Use, consult
from inm.core.ids import notification_id
from inm.core.ledger import Journey
from inm.core.records import Notification
from inm.core.sources import Source
from inm.core.users import Load, User
from inm.streaming.chunks import Chunk, Record
from inm.streaming.stage import Output
from inm.tables import counters, users
from inm.tables.emitted import emitted
from inm.tables.journeys import PIECE, journeys, keep, tallies
from inm.tables.schedule import later

stage = app.stage("evaluate")
_decode = msgspec.json.Decoder(Notification).decode
_encode = msgspec.json.Encoder().encode
_refreshes: dict[str, Refreshes] = {}

DIGESTED = "digested"
"""The reason of what a digest tells of."""


async def take_up(stream: faust.StreamT[Chunk]) -> None:
    await stage.run(stream, evaluate)


# one a lane, which take turns: what is urgent is not behind a backlog of what is not
agents = [app.agent(app.chunks(topic, at_most=PIECE), name=topic.removeprefix("inm."))(take_up) for topic in topics.NOTIFICATIONS]


def evaluate(record: Record, out: Output) -> None:
    notification = _decode(record.value)
    known = journeys.get(out, notification.id)
    if notification.step > 1:
        if known is not None and journey.asks_for(known, notification):
            _next_step(notification, known, out)
    elif known is None or journey.waits_for(known, notification):
        if (notification.at or 0) > out.now:
            _wait(notification, known, out)
        else:
            _first_step(_told_of(notification, out), known, out)
    else:
        tallies.repeat(out, notification, known)


def _first_step(notification: Notification, known: Journey | None, out: Output) -> None:
    refused = emitted.refusals.get(notification.id)
    if refused and not emitted.goes_on(notification.id, 0):  # its end is out, and whatever is known of the user now, it has no second one
        if refused[0] == DIGESTED:
            _collect(notification, out)
        keep(out, known, *journey.begin(notification, Refusal(*refused, []), out.now, known=known))
        return
    found = _consult(notification, out)
    if isinstance(found, Never):
        keep(out, known, *journey.begin(notification, _unavailable(found), out.now, known=known))
    elif found is not None:
        _begin(notification, found.row, known, out)


def _begin(notification: Notification, user: User | None, known: Journey | None, out: Output) -> None:
    if fanout.is_expanded(notification, user):
        keep(out, known, *journey.expand(notification, fanout.members(notification, user, app.partitions), out.now, known))
        return
    decision = _capped(notification, _decision(notification, user, None, out), out)
    keep(out, known, *journey.begin(notification, decision, out.now, _further(notification, user, decision), known))


def _capped(notification: Notification, decision: Decision, out: Output) -> Decision:
    """The decision within the tenant's cap: what exceeds it is not sent, and told of in a digest if the tenant has one."""
    cap = _cap(notification)
    if cap is None or not isinstance(decision, Send) or decision.delivery.lane == "urgent" or notification.test:
        return decision
    had = counters.had(out, notification.key)
    out_already = emitted.decided(notification.id, notification.step) is not None
    if out_already or notification.id in had.digests or not capping.is_full(had, cap, out.now):
        counters.keep(out, notification.key, capping.counted(had, cap, out.now), cap)
        return decision
    detail = f"{cap.most} within {cap.within} s have been sent"
    reason = DIGESTED if _collect(notification, out) else "capped"
    return Refusal(reason, detail, decision.skipped, decision.grounds, decision.plan)


def _collect(notification: Notification, out: Output) -> bool:
    """Put it into the recipient's digest, and have that made when there is room again. False if the tenant has none."""
    cap = _cap(notification)
    scenario = app.catalogue.scenario(notification.tenant, notification.scenario)
    if cap is None or cap.digest is None or scenario is None:
        return False
    key = notification.key
    had = counters.had(out, key)
    name, due = had.collecting(out.now), 0
    if name is None:
        due = capping.room_at(had, cap, out.now)
        name = notification_id(key, f"digest/{due}", app.partitions)
        made = capping.digest(notification, name, cap.digest, due)
        later(out, f"digest/{name}", due, topics.notifications(made.lane), key, made)
    item = capping.item_of(notification, scenario.title)
    counters.keep(out, key, capping.collected(had, item, name, due, out.now), cap)
    return True


def _told_of(notification: Notification, out: Output) -> Notification:
    """A digest with what it is to tell of."""
    digest = counters.had(out, notification.key).digests.get(notification.id) if _cap(notification) else None
    return msgspec.structs.replace(notification, fields=capping.fields(digest)) if digest else notification


def _cap(notification: Notification) -> Cap | None:
    book = app.catalogue.book(notification.tenant)
    return book.tenant.cap if book else None


def _further(notification: Notification, user: User | None, decision: Decision) -> list[Notification]:
    """Notifications for the user's other addresses; not if the decision would be the same for each of them, or is yet to be made."""
    scenario = app.catalogue.scenario(notification.tenant, notification.scenario)
    sensible = isinstance(decision, Send) or (isinstance(decision, Refusal) and decision.reason == "no-address")
    if scenario is None or scenario.destinations == "first" or not sensible:
        return []
    return fanout.destinations(notification, user, {step.channel for step in decision.plan}, app.partitions)


def _decision(notification: Notification, user: User | None, known: Journey | None, out: Output) -> Decision:
    """``known``: the journey whose further step it is."""
    now = emitted.decided(notification.id, notification.step) or out.now
    book = app.catalogue.book(notification.tenant)
    plan, last = (known.plan, known.pending[:2]) if known and known.pending else ((), NOTHING)
    return decide(notification, book, user, now, app.algorithms, plan, last)


def _next_step(notification: Notification, known: Journey, out: Output) -> None:
    found = _consult(notification, out)
    if found is None:
        return
    decision = _unavailable(found) if isinstance(found, Never) else _decision(notification, found.row, known, out)
    changed, effects = journey.resume(known, notification, decision, out.now)
    if changed is not known:
        keep(out, known, changed, effects)


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
        later(out, name, found.due, topics.notifications(notification.lane), notification.key, found.notification)
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
        keep(out, known, *journey.postpone(notification, out.now))
    later(out, f"at/{notification.id}", notification.at or 0, topics.notifications(notification.lane), notification.key, notification)


app.every_tick(stage, counters.counters.sweep)
