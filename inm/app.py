"""The application: settings, catalogue, routes, and the Faust app that knows its agents by name."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from aiokafka.errors import KafkaError

from inm import algorithms, metrics, topics
from inm.channels import routes
from inm.channels.directory import Directory
from inm.core.catalogue import Catalogue
from inm.core.changes import seeding
from inm.core.faults import MisconfiguredError
from inm.core.reference import Change, tenant_of
from inm.core.routing import event_key
from inm.core.throttle import share
from inm.documents import load_catalogue, read_seed
from inm.reports import Reports
from inm.settings import Settings, from_environment, kafka_client
from inm.sources.registry import Sources
from inm.streaming import admin
from inm.streaming.app import StreamingApp
from inm.streaming.chunks import now_ms
from inm.streaming.emitter import MAX_RECORD
from inm.streaming.mirror import Mirror
from inm.streaming.restore import tail
from inm.tables import callbacks
from inm.tables.campaigns import audiences, campaigns
from inm.tables.counters import counters
from inm.tables.emitted import SKEW, Emitted, emitted
from inm.tables.journeys import journeys
from inm.tables.library import Library
from inm.tables.outbox import outbox
from inm.tables.reference import reference
from inm.tables.schedule import schedule
from inm.tables.users import users

log = logging.getLogger("inm.app")

AGENTS = ("intake", "evaluate", "dispatch", "receipts", "journeys", "schedule", "users", "reference", "campaigns", "ledger", "callbacks")
MODULES = (*(f"inm.agents.{name}" for name in AGENTS), "inm.intake.web", "inm.console.web")

TABLES = (
    users.table,
    journeys.table,
    counters.table,
    schedule,
    outbox.table,
    reference,
    campaigns.table,
    audiences.table,
    callbacks.table,
)

_encode = msgspec.json.Encoder().encode


class Inm(StreamingApp):
    """One worker: all stages, the doors, and the routes to the providers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.channels = {route.name: route.channel for route in settings.routes.values()}
        self.library = Library(settings.api_keys, self._on_documents, settings.addresses)
        self.mirror = Mirror(topics.REFERENCE, self.new_consumer, self.library.take)
        self.partitions = settings.partitions
        self.served: list[str] = []
        """Tenants whose requests this worker takes."""
        self.has_callbacks = False
        """Whether any tenant has documents of kind callback."""
        self._follows_edrs = False
        self._creates_topics = True
        self._seed: Change | None = None
        self.leavers: list[Callable[[], None]] = []
        """What stages do when their partitions are about to move."""
        self._informed = asyncio.Event()
        self._news = asyncio.Event()
        self.routes = routes.build(settings.routes.values())
        self.directory = Directory(settings.routes.values(), settings.ported, settings.worker_id)
        self.reports = Reports(self)
        self._orders = Mirror(topics.ROUTES, self.new_consumer, self.directory.take)
        self.sources = Sources(os.environ, now_ms)
        self.algorithms = algorithms.installed()
        super().__init__(
            "inm",
            brokers=settings.broker.servers,
            client=kafka_client(settings),
            worker=settings.worker_id,
            folder=settings.data_dir / settings.worker_id,
            tables=TABLES,
            copartitioned=topics.COPARTITIONED,
            lingers=topics.LINGERS,
            origin="inm.app",
            autodiscover=lambda: MODULES,
            web_host=settings.http.host,
            web_bind=settings.http.host,
            web_port=settings.http.port,
            canonical_url=settings.http.url or f"http://{settings.http.host}:{settings.http.port}",
        )
        self.openers += [self._open_routes, self._follow_routes, self._follow_documents]
        self.closers.append(self._close_routes)
        self.closers.append(self.sources.close)

    # -- documents --------------------------------------------------------------------------------

    @property
    def catalogue(self) -> Catalogue:
        """All tenants' documents as they are now: ask again for each decision."""
        return self.library.catalogue

    async def prepare(self, create_topics: bool) -> None:
        """Before the start: learn all documents, so that nothing is decided without. ``MisconfiguredError``, ``KafkaError``."""
        self._creates_topics = create_topics
        await self._ensure(topics.catalogue([], self.partitions))
        if not create_topics and not await admin.exists(topics.REFERENCE, self.brokers, self.client):
            raise MisconfiguredError([f"the cluster has no topic {topics.REFERENCE}: inm topics --create"])
        await self.mirror.load()
        if create_topics or await admin.exists(topics.ROUTES, self.brokers, self.client):
            await self._orders.load()
        if self.library.empty:
            load_catalogue(self.settings)  # says what is wrong with the files
            self._seed = seeding(read_seed(self.settings), now_ms())
            if len(_encode(self._seed)) > MAX_RECORD:
                raise MisconfiguredError(
                    [f"{self.settings.config_dir}/tenants: more than {MAX_RECORD} bytes: begin with less, then inm apply"]
                )
        self.serve(sorted({tenant_of(item.path) for item in self._seed.items}) if self._seed else self.catalogue.tenants)
        await self._ensure(topics.of_requests(self.served, self.partitions))

    def serve(self, tenants: Sequence[str]) -> None:
        """Take the requests of these tenants from the start. Their documents are there, or will be by the seed."""
        self.served += tenants
        if self._seed is None:
            self._informed.set()

    def requests(self) -> Any:
        """What intake listens to: the topics of all tenants, also of those that come while it runs."""
        self._requests = self.chunks(*map(topics.requests, self.served))
        return self._requests

    def callback_topics(self) -> Any:
        """What callbacks listens to: its own topic, and as soon as anybody wants to know of them, EDRs."""
        self._follows_edrs = self.has_callbacks
        self._callbacks = self.chunks(topics.CALLBACKS, *([topics.EDR] if self.has_callbacks else []))
        return self._callbacks

    async def until_informed(self) -> None:
        """Wait until there are documents."""
        await self._informed.wait()

    @property
    def informed(self) -> bool:
        """Whether there are documents to go by: in the first seconds of a new installation there are none."""
        return self._informed.is_set()

    @property
    def ready(self) -> bool:
        """Whether this worker has its partitions with their tables restored, and the documents."""
        return super().ready and self.informed

    def _on_documents(self) -> None:
        if not self.library.empty:
            self._informed.set()
        books = map(self.catalogue.book, self.catalogue.tenants)
        self.has_callbacks = any(book.callbacks for book in books if book)
        self._news.set()

    async def _follow_documents(self) -> None:
        self.add_future(self.mirror.follow())
        self.add_future(self._serve_new_tenants())
        if self._seed is not None:
            self.add_future(self._sow(self._seed))

    async def _sow(self, seed: Change) -> None:
        """Ask for the documents of the first start. Another worker may have done it: then this change is refused, as a whole."""
        log.info("there are no documents yet: applying %d of %s", len(seed.items), self.settings.config_dir)
        await self.assignments.ready.wait()
        await self.emitter.send(topics.CHANGES, 0, seed.id.encode(), _encode(seed))

    async def _serve_new_tenants(self) -> None:
        while not self.should_stop:
            await self._news.wait()
            self._news.clear()
            if self.has_callbacks and not self._follows_edrs:
                await self._follow_edrs()
            new = [tenant for tenant in self.catalogue.tenants if tenant not in self.served]
            if not new:
                continue
            await self.assignments.ready.wait()
            try:
                await self._ensure(topics.of_requests(new, self.partitions))
                await self.listen(self._requests, *map(topics.requests, new))
                self.served += new
                log.info("taking the requests of %d new tenants", len(new))
            except MisconfiguredError as error:
                log.error("the requests of new tenants cannot be taken: %s", error)  # noqa: TRY400 - a sentence, and no defect
            except self.kafka_down as error:
                log.warning("the requests of new tenants cannot be taken yet: %r", error)
                await asyncio.sleep(1.0)
                self._news.set()

    async def _follow_edrs(self) -> None:
        await self.assignments.ready.wait()
        try:
            await self.listen(self._callbacks, topics.EDR)
            self._follows_edrs = True
        except self.kafka_down as error:
            log.warning("callbacks cannot be made yet: %r", error)
            await asyncio.sleep(1.0)
            self._news.set()

    async def _ensure(self, wanted: Sequence[topics.Topic]) -> None:
        if self._creates_topics:
            await admin.ensure(wanted, self.brokers, self.client, self.settings.broker.replication)

    # -- what a takeover needs ----------------------------------------------------------------------

    async def recall(self, partitions: set[int], since: int) -> None:
        """See :mod:`inm.tables.emitted`."""
        emitted.forget()
        ours = {partition for partition in partitions if partition < self.partitions}
        if ours:
            await emitted.learn(tail(Emitted.TOPICS, ours, since - SKEW, self.new_consumer))

    def on_replayed(self) -> None:
        emitted.forget()

    def on_held(self, held: int) -> None:
        """A route's rate is shared by partitions: this worker has the share of those that it holds."""
        for route in self.settings.routes.values():
            self.routes[route.name].throttle.limit(share(route.traffic.rate, held, self.partitions))

    def on_leaving(self) -> None:
        for leaver in self.leavers:
            leaver()
        for route in self.routes.values():
            route.release()

    async def _follow_routes(self) -> None:
        self.add_future(self._orders.follow())
        self.add_future(self._watch_routes())

    async def _watch_routes(self) -> None:
        """Tell how the routes do, and each change of that."""
        while not self.should_stop:
            await self.sleep(1.0)
            now = now_ms()
            for name, health in self.directory.values(now).items():
                metrics.ROUTE_HEALTH.labels(name).set(health)
                metrics.ROUTE_OUT.labels(name).set(self.directory.is_out(name))
                metrics.ROUTE_RATE.labels(name).set(self.routes[name].throttle.rate or 0)
            for change in self.directory.changes(now):
                log.warning("route %s is %s, was %s: %s", change.route, change.level, change.before, change.reason)
                self.emitter.emit(topics.ROUTES, 0, event_key(change), _encode(change))

    async def _open_routes(self) -> None:
        for route in self.routes.values():
            route.late = self.reports.take_late
            await route.open(self.reports.take_receipts)

    async def _close_routes(self) -> None:
        await asyncio.gather(*(route.close() for route in self.routes.values()))

    @property
    def kafka_down(self) -> tuple[type[BaseException], ...]:
        """What an emit raises when the broker is not there."""
        return (KafkaError, OSError, asyncio.TimeoutError)


app = Inm(from_environment())
