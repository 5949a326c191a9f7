"""Journeys: one row a notification, its state and its story. evaluate creates rows, journeys advances them."""

import msgspec

from inm import topics
from inm.core.ids import offer_id, partition_of_notification
from inm.core.ledger import Effects, Journey
from inm.core.records import Delivery
from inm.streaming.stage import Output
from inm.tables import stopped
from inm.tables.emitted import emitted
from inm.tables.rows import Rows
from inm.tables.schedule import later
from inm.tables.tallies import Tallies

journeys = Rows("journeys", Journey)
tallies = Tallies(journeys)

PIECE = 300
"""Records that a chunk has at most whose stage writes journeys: their rows are to come into the changelog in one batch, with what they add
to the tallies."""

_encode = msgspec.json.Encoder().encode


def keep(out: Output, known: Journey | None, journey: Journey, effects: Effects) -> None:
    """Write the row and emit what its change causes, and count it. ``known``: the row as it was."""
    journey.standing = known.standing if known else 0
    effects.edrs = [told for edr in effects.edrs for told in emitted.agreed(edr)]
    tallies.keep(out, known, journey, effects)
    journeys.put(out, journey.id, journey, journey.expires, journey.due)
    key = journey.key.encode()
    for edr in effects.edrs:
        if edr.id not in emitted.edrs:
            out.emit(topics.EDR, key, _encode(edr))
    for delivery in effects.deliveries:
        if offer_id(delivery.id, 0) not in emitted.offers:
            out.emit(topics.deliveries(delivery.channel, delivery.lane), key, _encode(delivery))
    if effects.again:
        out.emit(topics.notifications(effects.again.lane), key, _encode(effects.again))
    for child in effects.children:
        out.emit(topics.notifications(child.lane), child.key.encode(), _encode(child), partition_of_notification(child.id))
    if effects.later:
        step, held = effects.later.step, effects.later.held
        topic = topics.notifications(effects.later.lane)
        later(out, f"held/{journey.id}/{step}/{held}", held, topic, journey.key, effects.later)
    stopped.mark(effects.stopped)


def is_stopped(out: Output, delivery: Delivery) -> bool:
    """Whether a delivery is not to be handed to its route any more.

    The row is asked only of what has waited for a further attempt, or comes from a worker that died.
    """
    if stopped.marked(delivery):
        return True
    if delivery.attempt == 1 and delivery.offer == 0 and not delivery.redelivered:
        return False
    journey = journeys.get(out, delivery.notification)
    return journey is not None and delivery.step in journey.stopped
