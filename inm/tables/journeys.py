"""Journeys: one row a notification, its state and its story. evaluate creates rows, journeys advances them."""

import msgspec

from inm import topics
from inm.core.ids import offer_id, partition_of_notification
from inm.core.ledger import Effects, Journey
from inm.core.records import Wait
from inm.streaming.stage import Output
from inm.tables.emitted import emitted
from inm.tables.rows import Rows

journeys = Rows("journeys", Journey)

_encode = msgspec.json.Encoder().encode


def keep(out: Output, journey: Journey, effects: Effects) -> None:
    """Write the row and emit what its change causes."""
    journeys.put(out, journey.id, journey, journey.expires)
    key = journey.key.encode()
    for edr in effects.edrs:
        if edr.id not in emitted.edrs:
            out.emit(topics.EDR, key, _encode(edr))
    if effects.delivery and offer_id(effects.delivery.id, 0) not in emitted.offers:
        out.emit(topics.deliveries(effects.delivery.channel, effects.delivery.lane), key, _encode(effects.delivery))
    if effects.again:
        out.emit(topics.NOTIFICATIONS, key, _encode(effects.again))
    for child in effects.children:
        out.emit(topics.NOTIFICATIONS, child.key.encode(), _encode(child), partition_of_notification(child.id))
    if effects.deadline:
        due = effects.deadline.at
        wait = Wait(effects.deadline.id, due, topics.OUTCOMES, journey.key, msgspec.Raw(_encode(effects.deadline)))
        out.emit(topics.SCHEDULE, key, _encode(wait))
