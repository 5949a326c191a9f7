"""The Faust app with INM's transport, tables and guards in place."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import faust
from aiokafka import AIOKafkaConsumer
from faust import streams
from faust.types import TP

from inm.streaming import dead
from inm.streaming.assignment import Assignments
from inm.streaming.chunks import Chunk, now_ms
from inm.streaming.consumer import Consumer
from inm.streaming.emitter import MAX_BATCH, Emitter, Linger
from inm.streaming.restore import new_consumer
from inm.streaming.stage import Output, Stage
from inm.streaming.tables import Table
from inm.streaming.transport import Producer, Transport
from inm.streaming.watchdog import Watchdog

log = logging.getLogger("inm.app")

PINNED = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0", "mode-streaming": "0.7.1"}
"""The versions whose inside this layer was read and tested against."""
COMMIT_INTERVAL = 0.1
"""Seconds between commits: what a killed worker's successor repeats reaches back to the last one."""
TICK = 0.5
"""Seconds between two ticks of a partition."""
SESSION_TIMEOUT = 6.0
"""Seconds until the broker gives a silent worker's partitions to others: so long they stand still when a worker dies and nobody starts
it again. Kafka allows no less (``group.min.session.timeout.ms``)."""

Tick = Callable[[Output], None]
Stopper = Callable[[], Awaitable[None]]


def check_versions(found: Callable[[str], str] = version) -> None:
    """Refuse to run on other versions than the pinned ones: their private parts may have moved."""
    wrong = {name: found(name) for name, pinned in PINNED.items() if found(name) != pinned}
    if wrong:
        raise SystemExit(f"INM is tested with {PINNED}, but found {wrong}. Install requirements.lock, or set INM_ANY_VERSIONS=1.")
    if vars(streams)["_CStreamIterator"] is None:
        raise SystemExit("faust-streaming's compiled stream is missing: the pure Python one acks events of an old generation.")


def credentials(client: Mapping[str, Any]) -> Any:
    """Aiokafka's security options as Faust wants them."""
    protocol = client.get("security_protocol", "PLAINTEXT")
    if protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=client["sasl_plain_username"],
            password=client["sasl_plain_password"],
            mechanism=client["sasl_mechanism"],
            ssl_context=client.get("ssl_context"),
        )
    return faust.SSLCredentials(context=client["ssl_context"]) if protocol == "SSL" else None


def kafka_options(brokers: Sequence[str], client: Mapping[str, Any], worker: str) -> dict[str, Any]:
    """How a worker stands to Kafka, in Faust's words. ``brokers`` are host:port; ``client`` are aiokafka's security options."""
    return {
        "broker": [f"kafka://{broker}" for broker in brokers],
        "broker_credentials": credentials(client),
        "broker_commit_interval": COMMIT_INTERVAL,
        "broker_session_timeout": SESSION_TIMEOUT,
        "broker_heartbeat_interval": 1.0,
        "broker_request_timeout": 30.0,
        "consumer_auto_offset_reset": "earliest",
        "consumer_group_instance_id": worker,
    }


class StreamingApp(faust.App):
    """A Faust app of stages and tables. ``faust.App``'s own options pass through."""

    def __init__(
        self,
        name: str,
        *,
        brokers: Sequence[str],
        client: Mapping[str, Any],
        worker: str,
        folder: Path,
        tables: Sequence[Table],
        copartitioned: frozenset[str],
        lingers: Mapping[str, Linger] = MappingProxyType({}),
        **options: Any,
    ) -> None:
        """``brokers`` and ``client`` as in :func:`kafka_options`; ``worker`` is the static member id; ``lingers`` is how long
        batches of a topic gather, where that is not as usual."""
        self.brokers = brokers
        self.client = client
        self.emitter = Emitter(self._may_send, lambda: self.consumer_generation_id, lingers, sent=self._expect)
        self.chunk_limits: dict[str, int] = {}
        self.ticks: list[tuple[Stage, Tick, Table | None]] = []
        self.openers: list[Stopper] = []
        self.closers: list[Stopper] = []
        self._folder = folder
        self._inm_tables = list(tables)
        self._copartitioned = copartitioned
        self.watchdog: Watchdog | None = None
        super().__init__(
            name,
            **kafka_options(brokers, client, worker),
            datadir=str(folder / "faust"),
            TableManager=Assignments,
            broker_max_poll_records=4000,
            producer_acks=-1,
            producer_max_batch_size=MAX_BATCH,
            stream_wait_empty=True,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_tables_enabled=False,
            web_router_enabled=False,
            **options,
        )

    # -- what Faust asks for ------------------------------------------------------------------------

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        return Transport(self.conf.broker_producer, self)

    async def on_first_start(self) -> None:
        """Faust makes the last folder of its path alone."""
        (self._folder / "faust").mkdir(parents=True, exist_ok=True)
        await super().on_first_start()

    async def on_start(self) -> None:
        """Before the first partition comes: tables know their folder, outputs have a producer, guards watch."""
        await super().on_start()
        assignments = self.assignments
        assignments.tables = self._inm_tables
        assignments.copartitioned = self._copartitioned
        assignments.emitter = self.emitter
        assignments.folder = self._folder / "tables"
        assignments.new_consumer = self.new_consumer
        assignments.recall = self.recall
        assignments.on_held = self.on_held
        assignments.on_leaving = self.on_leaving
        await self.maybe_start_producer()
        self.emitter.start(cast(Producer, self.producer).client, self._bury_refused)
        loop = asyncio.get_running_loop()
        self.watchdog = Watchdog(loop.call_soon_threadsafe, cast(Consumer, self.consumer), assignments.ready.is_set)
        for opener in self.openers:
            await opener()
        self.add_future(self._tick())

    async def on_stop(self) -> None:
        """Finish and commit what has begun, then close what faces the outside, then the rest."""
        if self.watchdog is not None:
            self.watchdog.stopping()
        await self._stop_consumer()
        for closer in self.closers:
            await closer()
        if self._may_send():
            await self.emitter.flush()
        await super().on_stop()

    # -- what stages ask for ------------------------------------------------------------------------

    @property
    def assignments(self) -> Assignments:
        """The tables' partitions on this worker."""
        return cast(Assignments, self.tables)

    @property
    def ready(self) -> bool:
        """Whether this worker has its partitions with their tables restored."""
        return bool(self.assignments.ready.is_set())

    def stage(self, name: str) -> Stage:
        """What runs the handler of one agent."""
        return Stage(
            name,
            self.emitter,
            self._is_current,
            lambda chunk: chunk.generation != self.consumer_generation_id,
            lambda: cast(Consumer, self.consumer).wait_for_lease(),
        )

    def chunks(self, *topics: str, at_most: int | None = None) -> Any:
        """The topic description of an agent that takes chunks, of ``at_most`` so many records, and acks them itself."""
        if at_most is not None:
            self.chunk_limits.update(dict.fromkeys(topics, at_most))
        return self.topic(*topics, value_type=bytes, acks=False)

    async def listen(self, channel: Any, *topics: str) -> None:
        """Let the agent of a :meth:`chunks` take further topics, which exist."""
        before, after = list(channel.topics), [*channel.topics, *topics]
        for each in (channel, *cast(Any, self.topics)):  # streams read clones of their agent's channel
            if list(each.topics) == before:
                each.topics = after
        await cast(Consumer, self.consumer).client.listen(topics)

    async def recall(self, partitions: set[int], since: int) -> None:
        """Learn what a dead owner of these partitions emitted since a time (ms), and forget the rest. For outputs that know their ids."""

    def on_replayed(self) -> None:
        """All that a dead owner may have begun has been processed again, and what that has repeated is no longer under way."""

    def on_held(self, held: int) -> None:
        """So many partitions of the tables are this worker's from now on."""

    def on_leaving(self) -> None:
        """The assignment is about to end: what waits for the outside and was not begun is given back."""

    def every_tick(self, stage: Stage, decide: Tick, table: Table | None = None) -> None:
        """Call ``decide`` twice a second for each partition held, of a table or of the co-partitioned topics, as a record's handler."""
        self.ticks.append((stage, decide, table))

    def new_consumer(self) -> AIOKafkaConsumer:
        """A consumer without a group, for restores and mirrors."""
        return new_consumer(self.brokers, self.client)

    def owner_of(self, topic: str, partition: int) -> str | None:
        """The base URL of the worker that holds a partition; None while nobody does."""
        return cast(str | None, cast(Any, self.assignor)._external_tps_url.get(TP(topic, partition)))

    def _expect(self, topic: str, partition: int) -> None:
        """What this worker has written it may have to read: the next fetch asks for it."""
        cast(Consumer, self.consumer).client.fetches.expect([(topic, partition)])

    async def _bury_refused(self, topic: str, key: bytes | None, value: bytes | None, words: str) -> None:
        log.error("the broker refused a record for %s: %s", topic, words)
        if topic == dead.TOPIC:
            raise RuntimeError(f"a dead letter was refused: {words}")
        await self.emitter.send(dead.TOPIC, 0, *dead.refused(topic, key, value, words, now_ms()))

    def backlog(self) -> dict[TP, tuple[int, int | None]]:
        """As the consumer says it; nothing before there is one."""
        return cast(Consumer, self.consumer).backlog() if self.ready else {}

    def _may_send(self) -> bool:
        """Not while others may have taken this worker's partitions over without its knowing; before the first assignment there are none."""
        return self.consumer_generation_id <= 0 or cast(Consumer, self.consumer).lease

    def _is_current(self, chunk: Chunk) -> bool:
        return cast(Consumer, self.consumer).flow_active and chunk.generation == self.consumer_generation_id

    async def _tick(self) -> None:
        consumer = cast(Consumer, self.consumer)
        while not self.should_stop:
            await self.sleep(TICK)
            for stage, decide, table in self.ticks:
                for partition in list(self.assignments.partitions if table is None else table.partitions):
                    if self.ready and consumer.lease:
                        stage.tick(partition, decide, consumer.ticks)
                        await asyncio.sleep(0)  # each looks at hundreds of rows
