"""Calling back for somebody who waits: asked of the stage that has the journey, and answered when it can be seen here."""

import asyncio

import msgspec

from inm import topics
from inm.core.calling import called, cancel
from inm.core.ids import partition_of_notification
from inm.core.ledger import Journey
from inm.streaming.chunks import now_ms
from inm.tables.journeys import journeys
from inm.web.mailbox import Mailbox
from inm.web.problems import Problem

PATIENCE = 2.0
"""Seconds in which it is usually known whether it was in time; another worker that has been asked waits no longer than a second more."""
LOOK = 0.02
"""Seconds between two looks at the row."""
UNKNOWN = "No such notification. One that was accepted in this moment is known a little later."

_encode = msgspec.json.Encoder().encode


def held(tenant: str, notification: str, unknown: str = UNKNOWN) -> Journey:
    """A row that this worker holds. ``KeyError`` if another one does; a :class:`Problem` in these words if there is none of the tenant."""
    journey = journeys.peek(partition_of_notification(notification), notification, now_ms())
    if journey is None or journey.tenant != tenant:
        raise Problem("not-found", unknown)
    return journey


async def call_back(mailbox: Mailbox, journey: Journey, by: str, why: str | None = None) -> Journey:
    """The row when it is known what has become of the wish, or when the time is up. A :class:`Problem` without Kafka."""
    if called(journey) != "asked":
        return journey
    wish = cancel(journey.id, journey.key, now_ms(), by, why)
    await mailbox.put([(topics.OUTCOMES, partition_of_notification(journey.id), journey.key.encode(), _encode(wish))])
    end = asyncio.get_running_loop().time() + PATIENCE
    while called(journey) == "asked" and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(LOOK)
        journey = held(journey.tenant, journey.id)
    return journey
