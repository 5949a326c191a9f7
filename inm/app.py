"""The application: settings, catalogue, routes, and the Faust app that knows its agents by name."""

import asyncio
from collections.abc import Sequence

import msgspec
from aiokafka.errors import KafkaError

from inm import topics
from inm.channels import routes
from inm.core.ids import receipt_key
from inm.core.records import Receipt
from inm.core.scenarios import Catalogue
from inm.documents import load_catalogue
from inm.settings import Settings, from_environment, kafka_client
from inm.streaming.app import StreamingApp
from inm.streaming.emitter import Batch
from inm.streaming.restore import tail
from inm.tables.emitted import SKEW, Emitted, emitted
from inm.tables.journeys import journeys
from inm.tables.outbox import outbox
from inm.tables.schedule import schedule
from inm.tables.users import users

AGENTS = ("intake", "evaluate", "dispatch", "receipts", "journeys", "schedule", "users")
MODULES = (*(f"inm.agents.{name}" for name in AGENTS), "inm.intake.web")

_encode = msgspec.json.Encoder().encode


class Inm(StreamingApp):
    """One worker: all stages, the doors, and the routes to the providers."""

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.partitions = settings.partitions
        self.routes = routes.build(settings.routes.values())
        super().__init__(
            "inm",
            brokers=settings.broker.servers,
            client=kafka_client(settings),
            worker=settings.worker_id,
            folder=settings.data_dir / settings.worker_id,
            tables=[users.table, journeys.table, schedule, outbox.table],
            copartitioned=topics.COPARTITIONED,
            origin="inm.app",
            autodiscover=lambda: MODULES,
            web_host=settings.http.host,
            web_bind=settings.http.host,
            web_port=settings.http.port,
            canonical_url=settings.http.url or f"http://{settings.http.host}:{settings.http.port}",
        )
        self.openers.append(self._open_routes)
        self.closers.append(self._close_routes)

    async def recall(self, partitions: set[int], since: int) -> None:
        """See :mod:`inm.tables.emitted`."""
        emitted.forget()
        ours = {partition for partition in partitions if partition < self.partitions}
        if ours:
            await emitted.learn(tail(Emitted.TOPICS, ours, since - SKEW, self.new_consumer))

    def on_replayed(self) -> None:
        emitted.forget()

    async def _open_routes(self) -> None:
        for route in self.routes.values():
            await route.open(self._take_receipts)

    async def _close_routes(self) -> None:
        await asyncio.gather(*(route.close() for route in self.routes.values()))

    async def _take_receipts(self, receipts: Sequence[Receipt]) -> None:
        """Durable before the provider is told that we have them."""
        batches: dict[Batch, None] = {}
        for receipt in receipts:
            key = receipt_key(receipt.route, receipt.provider_id)
            partition = topics.partition_of_key(key, self.partitions)
            batches[self.emitter.emit(topics.RECEIPTS, partition, key.encode(), _encode(receipt))] = None
        for batch in batches:
            await batch.acked

    @property
    def kafka_down(self) -> tuple[type[BaseException], ...]:
        """What an emit raises when the broker is not there."""
        return (KafkaError, OSError, asyncio.TimeoutError)


def _build() -> Inm:
    settings = from_environment()
    return Inm(settings, load_catalogue(settings))


app = _build()
