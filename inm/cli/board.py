"""Where commands read campaigns and order them: the table's changelog, ``inm.campaigns`` and ``inm.audiences``."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Self

import click
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from inm import topics
from inm.core import campaigns as core
from inm.core.audience import Report, Row
from inm.core.campaigns import Act, Campaign, Create, Piece
from inm.settings import Settings, kafka_client
from inm.streaming import admin
from inm.streaming.chunks import now_ms
from inm.streaming.emitter import MAX_BATCH, MAX_RECORD
from inm.tables import campaigns

PATIENCE = 15.0
"""Seconds in which a worker carries out an order, if one runs."""
AHEAD = 8
"""Pieces of an audience that are under way at a time: what bounds the memory."""

_encode = msgspec.json.Encoder().encode


class Board:
    """All campaigns of one tenant, as they are and as they become."""

    def __init__(self, settings: Settings, tenant: str) -> None:
        self.tenant = tenant
        self.rows: dict[str, Campaign] = {}
        """By name."""
        self._partition = campaigns.partition_of(tenant, settings.partitions)
        self._place = TopicPartition(topics.changelog("campaigns"), self._partition)
        self._settings = settings
        client = {"bootstrap_servers": settings.broker.servers, **kafka_client(settings)}
        self._consumer = AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset="earliest", **client)
        self._producer = AIOKafkaProducer(
            acks="all", enable_idempotence=True, max_request_size=MAX_RECORD + 4096, max_batch_size=MAX_BATCH, **client
        )

    async def __aenter__(self) -> Self:
        """Reads what there is. ``ClickException`` if the cluster knows no campaigns yet."""
        if not await admin.exists(self._place.topic, self._settings.broker.servers, kafka_client(self._settings)):
            raise click.ClickException(f"the cluster has no topic {self._place.topic}: start a worker, or: inm topics --create")
        await self._consumer.start()
        await self._producer.start()
        self._consumer.assign([self._place])
        end = (await self._consumer.end_offsets([self._place]))[self._place]
        while await self._consumer.position(self._place) < end:
            await self._read()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._producer.stop()
        await self._consumer.stop()

    async def _read(self) -> None:
        for record in (await self._consumer.getmany(self._place, timeout_ms=250)).get(self._place, []):
            tenant, _, name = record.key.decode().partition("/")
            row = campaigns.campaigns.read(record.value, now_ms())
            if tenant != self.tenant:
                continue
            if row is None:
                self.rows.pop(name, None)
            else:
                self.rows[name] = row

    def held(self, name: str) -> Campaign:
        """A campaign. ``ClickException`` if there is none of that name."""
        if name not in self.rows:
            raise click.ClickException(f"{self.tenant} has no campaign {name}: inm campaign list --tenant {self.tenant}")
        return self.rows[name]

    async def changes(self, name: str) -> AsyncIterator[Campaign]:
        """The campaign as it is, and then four times a second as it has become."""
        while True:
            yield self.held(name)
            await self._read()

    async def order(self, order: Create | Act) -> Campaign:
        """Have an order carried out. ``ClickException`` if it is refused, or no worker answers."""
        await self._send(topics.CAMPAIGNS, order)
        campaign = await self._until(order.name, lambda campaign: core.answer_to(campaign, order.id) is not None)
        answered = core.answer_to(campaign, order.id)
        if answered and answered.fault:
            raise click.ClickException(f"{order.name}: {answered.fault}")
        return campaign

    async def load(self, name: str, pieces: Iterable[tuple[list[Row], Report]]) -> Campaign:
        """Hand on an audience; the campaign when workers have all of it."""
        acks: list[asyncio.Future[object]] = []
        held: Piece | None = None
        for number, (rows, report) in enumerate(pieces):
            if held is not None:
                acks.append(await self._put(held))
            held = Piece(self.tenant, name, number, rows, report)
            if len(acks) >= AHEAD:
                await acks.pop(0)
        assert held is not None  # an audience has at least one piece
        acks.append(await self._put(msgspec.structs.replace(held, last=True)))
        await asyncio.gather(*acks)
        return await self._until(name, lambda campaign: campaign.state != "loading")

    async def _put(self, piece: Piece) -> "asyncio.Future[object]":
        sent: asyncio.Future[object] = await self._producer.send(
            topics.AUDIENCES, _encode(piece), core.key(piece.tenant, piece.name).encode(), self._partition
        )
        return sent

    async def _send(self, topic: str, item: Create | Act) -> None:
        await self._producer.send_and_wait(topic, _encode(item), core.key(item.tenant, item.name).encode(), self._partition)

    async def _until(self, name: str, done: Callable[[Campaign], bool]) -> Campaign:
        """The campaign when it is so; as long as it goes on changing there is patience."""
        loop = asyncio.get_running_loop()
        end, known = loop.time() + PATIENCE, self.rows.get(name)
        while loop.time() < end:
            campaign = self.rows.get(name)
            if campaign is not None and done(campaign):
                return campaign
            if campaign is not known:
                end, known = loop.time() + PATIENCE, campaign
            await self._read()
        raise click.ClickException(
            f"no worker has answered in {PATIENCE:.0f} s. The order stays on {topics.CAMPAIGNS}, and is carried out when one runs"
        )
