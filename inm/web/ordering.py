"""Campaigns for somebody who waits: their rows, and orders that the stage carries out, answered when it can be seen here."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from inm import topics
from inm.core import campaigns as core
from inm.core import headway, outreach
from inm.core.campaigns import Act, Campaign, Create, Piece
from inm.core.headway import Progress
from inm.streaming.chunks import now_ms
from inm.streaming.emitter import TooLarge
from inm.tables import campaigns
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

PATIENCE = 10.0
"""Seconds in which an order is carried out, or refused."""
GLANCE = 0.02
"""Seconds between two looks at whether it has been."""

_encode = msgspec.json.Encoder().encode


class Orders:
    """Over the application they belong to. Reading is ``KeyError`` where another worker holds the tenant's partition."""

    def __init__(self, app: "Inm") -> None:
        self._app = app

    # -- rows ---------------------------------------------------------------------------------------

    def partition(self, tenant: str) -> int:
        """Where the tenant's campaigns are."""
        return campaigns.partition_of(tenant, self._app.partitions)

    def all(self, tenant: str) -> list[Progress]:
        """How far each has come, the newest first."""
        found = sorted(campaigns.peek(self.partition(tenant), tenant, now_ms()), key=lambda campaign: -campaign.created)
        return [self.progress(campaign) for campaign in found]

    def row(self, tenant: str, name: str) -> Campaign | None:
        """A campaign, if there is one of that name."""
        return campaigns.campaigns.peek(self.partition(tenant), core.key(tenant, name), now_ms())

    def held(self, tenant: str, name: str) -> Campaign:
        """A campaign; a :class:`Problem` if there is none of that name."""
        campaign = self.row(tenant, name)
        if campaign is None:
            raise Problem("not-found", "There is no such campaign.")
        return campaign

    def progress(self, campaign: Campaign) -> Progress:
        """How far one has come."""
        book = self._app.catalogue.book(campaign.tenant)
        return headway.progress(campaign, now_ms(), self._app.settings.rates(outreach.channels(book, campaign.scenario)))

    # -- orders -------------------------------------------------------------------------------------

    async def act(self, known: Campaign, order: Act) -> Campaign:
        """Have something done with a campaign; a :class:`Problem` if that is not for its state."""
        fault = core.refusal(known, order)
        if fault:
            raise Problem("wrong-state", fault)
        return await self.carried_out(order)

    async def carried_out(self, order: Create | Act) -> Campaign:
        """The campaign as the order has made it; a :class:`Problem` if it was refused, for somebody was faster."""
        await self.send(topics.CAMPAIGNS, order)
        campaign = await self.until(order.tenant, order.name, lambda campaign: core.answer_to(campaign, order.id) is not None)
        answered = core.answer_to(campaign, order.id)
        if answered and answered.fault:
            raise Problem("wrong-state", answered.fault)
        return campaign

    async def send(self, topic: str, item: Create | Act | Piece) -> None:
        """Hand something to the stage: it is in Kafka then."""
        where = self.partition(item.tenant)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._app.emitter.send(topic, where, core.key(item.tenant, item.name).encode(), _encode(item))
        except TooLarge as error:
            raise Problem("too-large", str(error)) from error
        except self._app.kafka_down as error:
            raise Problem("unavailable", "It could not be stored in time.", headers={"Retry-After": "5"}) from error

    async def until(self, tenant: str, name: str, done: Callable[[Campaign], bool]) -> Campaign:
        """The campaign when it is so."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    campaign = self.row(tenant, name)
                    if campaign is not None and done(campaign):
                        return campaign
                    await asyncio.sleep(GLANCE)
        except (KeyError, TimeoutError) as error:
            words = "It has not been carried out in time. It may still be: see what the campaign is then."
            raise Problem("unavailable", words, headers={"Retry-After": "5"}) from error
