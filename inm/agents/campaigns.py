"""Runs campaigns: takes orders and audiences, releases recipients at the pace of their routes, and learns what became of them."""

from collections import defaultdict
from collections.abc import Collection, Sequence

import faust
import msgspec
from msgspec import structs

from inm import topics
from inm.app import app
from inm.core import campaigns as core
from inm.core.audit import of_order
from inm.core.campaigns import ENDED, Act, Campaign, Counted, Create, Order, Piece, act, count, create, forgotten, recreate, take
from inm.core.ids import partition_of_notification
from inm.core.outreach import channels, notification
from inm.core.pacing import Queue, release, turns
from inm.streaming.chunks import Chunk, Record
from inm.streaming.stage import Output, Reject
from inm.tables import campaigns
from inm.tables.journeys import tallies

PER_TURN = 1000
"""Recipients of one partition released by one tick: a bound on how long a tick holds the event loop."""
LEAD = 5
"""Seconds of its routes' capacity that a tenant's campaigns may have in the lane: what is told of it comes up to two seconds later."""
LEAST_WINDOW, MOST_WINDOW = 500, 5_000
"""Recipients of a tenant that wait for their routes, at least and at most; the latter also if no route says its rate."""

stage = app.stage("campaigns")
_order = msgspec.json.Decoder(Order).decode
_piece = msgspec.json.Decoder(Piece).decode
_encode = msgspec.json.Encoder().encode
_told: dict[tuple[int, str], bytes] = {}
"""What each partition has told last of each campaign."""


@app.agent(app.chunks(topics.CAMPAIGNS, topics.AUDIENCES), name="campaigns")
async def agent(stream: faust.StreamT[Chunk]) -> None:
    await stage.run(stream, on_record)


def on_record(record: Record, out: Output) -> None:
    try:
        if record.topic == topics.AUDIENCES:
            _take(_piece(record.value or b""), out)
        else:
            _follow(_order(record.value or b""), out)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Reject("invalid-request", str(error)) from error


def _follow(order: Order, out: Output) -> None:
    known = campaigns.campaigns.get(out, core.key(order.tenant, order.name))
    if isinstance(order, Counted):
        if known is not None:
            campaigns.put(out, count(known, order, out.now))
        return
    changed = _carried_out(known, order, out.now)
    if changed is not None:
        campaigns.put(out, changed)
        if core.has_done(known, changed, order.id):
            out.emit(topics.AUDIT, order.tenant.encode(), _encode(of_order(order)), partition=0)


def _carried_out(known: Campaign | None, order: Create | Act, now: int) -> Campaign | None:
    if isinstance(order, Create):
        return recreate(known, order, now) if known else create(order, now)
    return act(known, order, now) if known else None


def _take(piece: Piece, out: Output) -> None:
    known = campaigns.campaigns.get(out, core.key(piece.tenant, piece.name))
    if known is None or known.state in ENDED:
        return
    changed = take(known, piece, out.now)
    if piece.number < changed.pieces:  # also if it was taken before: its row may be lost with a worker, and the campaign's not
        campaigns.keep_piece(out, piece)
    if changed is not known:
        campaigns.put(out, changed)


# -- what time brings ------------------------------------------------------------------------------


def on_tick(out: Output) -> None:
    tell(out)
    held = campaigns.held(out)
    numbers = turns(_queues(held), PER_TURN, out.now)
    for campaign in held:
        number = numbers.get(core.key(campaign.tenant, campaign.name), 0)
        if number:
            _release(campaign, number, out)
        elif forgotten(campaign, out.now):
            campaigns.put(out, structs.replace(campaign, state="cancelled", changed=out.now))
        campaigns.erase(out, campaign)
    campaigns.campaigns.sweep(out)


def _queues(held: Sequence[Campaign]) -> list[Queue]:
    """By tenant and channels: a slow route must not hold up campaigns that do not take it."""
    found: dict[tuple[str, frozenset[str]], list[Campaign]] = defaultdict(list)
    for campaign in held:
        taken = frozenset(channels(app.catalogue.book(campaign.tenant), campaign.scenario))
        found[campaign.tenant, taken].append(campaign)
    return [Queue(_window(taken), campaigns) for (_, taken), campaigns in found.items()]


def _window(taken: Collection[str]) -> int:
    """How many recipients may wait for the routes of some channels."""
    rates = app.settings.rates(taken)
    return min(MOST_WINDOW, max(LEAST_WINDOW, int(LEAD * sum(rates.values())))) if rates else MOST_WINDOW


def _release(campaign: Campaign, number: int, out: Output) -> None:
    """The next recipients, and the cursor behind them: outputs first, so that who dies between has them sent again, and known again."""
    piece, row, left = campaign.piece, campaign.row, number
    while left and piece < campaign.pieces:
        held = campaigns.piece(out, campaign, piece)
        if held is None:
            break
        rows = held.rows
        for place, each in enumerate(rows[row : row + left], campaign.released + number - left + 1):
            made = notification(campaign, place, each, out.now, app.partitions)
            out.emit(topics.notifications(made.lane), made.key.encode(), _encode(made), partition_of_notification(made.id))
        gone = min(left, len(rows) - row)
        row, left = row + gone, left - gone
        if row == len(rows):
            piece, row = piece + 1, 0
    campaigns.put(out, release(campaign, piece, row, number - left, out.now))


def tell(out: Output) -> None:
    """Tell the partition of each campaign what this one has counted of it, if that is news."""
    for key, counts in tallies.of_campaigns(out):
        tenant, name = key.split("/")
        value = _encode(Counted(tenant, name, out.partition, counts))
        if _told.get((out.partition, key)) != value:
            _told[out.partition, key] = value
            out.emit(topics.CAMPAIGNS, key.encode(), value, campaigns.partition_of(tenant, app.partitions))


app.every_tick(stage, on_tick)
