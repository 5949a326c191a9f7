"""The bare pipe: what a worker moves, and nothing of what it decides.

The same records of the same sizes through the same topics, the same PDUs over the same binds, batches and commits as a worker
makes them; but no Faust, no tables, no parsing, no guarantee. It shares only the framing of SMPP with INM, so that it stands
still while INM changes: rate ÷ bare pipe says what of the possible is reached.
"""

import asyncio
from collections import deque
from typing import Any, NamedTuple, cast

import click
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from inm import topics
from inm.channels.smpp import wire
from inm.core.records import LANES

REQUESTS = topics.requests("")
SMS = tuple(topics.deliveries("sms", lane) for lane in LANES)
JOURNEYS, OUTBOX = map(topics.changelog, ("journeys", "outbox"))

SIZES = {
    **dict.fromkeys(topics.NOTIFICATIONS, 303),
    topics.RECEIPTS: 162,
    topics.OUTCOMES: 379,
    topics.EDR: 556,
    JOURNEYS: 525,
    OUTBOX: 170,
} | dict.fromkeys(SMS, 550)
"""Mean bytes of a record, key and value, over 1 237 notifications of this load by a worker; they stay, as a yardstick does."""

BINDS, WINDOW = 2, 50
LINGER, BATCH = 0.010, 512 * 1024
COMMIT = 0.1
"""As ``config/inm.yaml`` and :mod:`inm.streaming` have them."""
KEY = b"acme/+393330000000"

SUBMISSION, FIRST, LAST = b"s", b"f", b"l"
"""A record's first byte says what it is, nothing else is read: an answer; the receipt of the first of two parts, of the last part."""
LANE = tuple(b"%d" % number for number in range(len(LANES)))


class Effect(NamedTuple):
    """A record that another one causes."""

    topic: str
    begins: bytes = b""

    @property
    def value(self) -> bytes:
        return self.begins.ljust(SIZES[self.topic] - len(KEY))


def _edr(event: bytes, more: bytes = b"") -> Effect:
    return Effect(topics.EDR, b'{"event":"%s"%s,"times":{"received":0}}' % (event, more))


def _evaluated(lane: str) -> tuple[Effect, ...]:
    return _edr(b"accepted"), Effect(lane), Effect(JOURNEYS)


EFFECTS: dict[tuple[str, bytes], tuple[Effect, ...]] = {
    **{(REQUESTS, lane): (Effect(topic, lane),) for lane, topic in zip(LANE, topics.NOTIFICATIONS, strict=True)},
    **{(topic, lane): _evaluated(sms) for topic, lane, sms in zip(topics.NOTIFICATIONS, LANE, SMS, strict=True)},
    **{(topic, SUBMISSION): (Effect(topics.OUTCOMES, SUBMISSION),) for topic in SMS},
    (topics.RECEIPTS, SUBMISSION): (Effect(OUTBOX),),
    (topics.OUTCOMES, SUBMISSION): (_edr(b"submitted"), Effect(JOURNEYS)),
    (topics.OUTCOMES, FIRST): (Effect(JOURNEYS),),
    (topics.OUTCOMES, LAST): (_edr(b"delivered", b',"final":true'), Effect(JOURNEYS)),
}
"""What a record causes, by its topic and first byte. Between a delivery and what it causes lies the SMSC."""


class Batch:
    """Records of one partition that go together; ``acked`` when the broker has them."""

    __slots__ = ("acked", "builders")

    def __init__(self) -> None:
        self.builders: list[Any] = []
        self.acked: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Out:
    """An open batch a partition, sent after :data:`LINGER`, one on its way at a time."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.unacked: set[asyncio.Future[None]] = set()
        self._producer = producer
        self._open: dict[tuple[str, int], Batch] = {}
        self._sending: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def emit(self, topic: str, partition: int, value: bytes) -> "asyncio.Future[None]":
        """Add a record to the open batch of its partition; the future is done when the broker has it."""
        where = (topic, partition)
        batch = self._open.get(where)
        if batch is None:
            batch = self._open[where] = Batch()
            batch.builders.append(self._producer.create_batch())
            self.unacked.add(batch.acked)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(LINGER, self._flush)
        if batch.builders[-1].append(key=KEY, value=value, timestamp=None) is None:
            batch.builders.append(self._producer.create_batch())
            batch.builders[-1].append(key=KEY, value=value, timestamp=None)
        return batch.acked

    def _flush(self) -> None:
        self._timer = None
        for where in self._open.keys() - self._sending.keys():
            self._sending[where] = asyncio.create_task(self._send(where))

    async def _send(self, where: tuple[str, int]) -> None:
        while batch := self._open.pop(where, None):
            for builder in batch.builders:
                await (await self._producer.send_batch(builder, where[0], partition=where[1]))
            self.unacked.discard(batch.acked)
            batch.acked.set_result(None)
        del self._sending[where]


class Link(asyncio.Protocol):
    """A bind with a window; what is answered and reported goes to the pipe."""

    def __init__(self, pipe: "Pipe", password: str) -> None:
        self._pipe = pipe
        self._password = password
        self._rest = b""
        self._sequence = 0
        self._flights: dict[int, list[int]] = {}
        self.bound = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(wire.bind_transceiver(self._next(), "inm", self._password, ""))

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def pump(self) -> None:
        """Write as the window allows."""
        out = []
        while self._pipe.waiting and len(self._flights) < WINDOW:
            bodies, flight = self._pipe.waiting.popleft()
            for body in bodies:
                sequence = self._next()
                self._flights[sequence] = flight
                out.append(wire.pdu(wire.SUBMIT_SM, sequence, body))
        if out:
            self._transport.write(b"".join(out))

    def data_received(self, data: bytes) -> None:
        found, self._rest = wire.pdus(self._rest + data)
        reported: list[int] = []
        durable: set[asyncio.Future[None]] = set()
        for pdu in found:
            if pdu.command == wire.SUBMIT_SM_RESP:
                self._pipe.answered(self._flights.pop(pdu.sequence))
            elif pdu.command == wire.DELIVER_SM:
                durable.add(self._pipe.reported(pdu))
                reported.append(pdu.sequence)
            elif pdu.command == wire.BIND_TRANSCEIVER_RESP:
                self.bound.set_result(pdu.status)
        if reported:
            self._pipe.tasks.create_task(self._acknowledge(reported, durable))
        self.pump()

    async def _acknowledge(self, sequences: list[int], durable: "set[asyncio.Future[None]]") -> None:
        await asyncio.wait(durable)
        self._transport.write(b"".join(wire.pdu(wire.DELIVER_SM_RESP, sequence, b"\0") for sequence in sequences))


def bodies() -> tuple[list[bytes], list[bytes]]:
    """The submit_sm bodies of a message of one part, and of one of two. A receipt repeats the first bytes of its part's text."""
    source, text = wire.source("Acme", None, None), b"0123456789" * 13
    single = wire.submit_sm(source, "393330000000", "gsm7", LAST + text[:100], headed=False, flash=False)
    parts = [bytes([6, 8, 4, 0, 1, 2, number]) + mark + text for number, mark in ((1, FIRST), (2, LAST))]
    return [single], [wire.submit_sm(source, "393330000000", "gsm7", part, headed=True, flash=False) for part in parts]


class Pipe:
    """All hops of the partitions ``share``, ``share + of``, … in one process."""

    def __init__(self, bootstrap: str, share: int, of: int) -> None:
        self.tasks = asyncio.TaskGroup()
        self.waiting: deque[tuple[list[bytes], list[int]]] = deque()
        """Messages to submit: the bodies of their parts; their partition and how many parts are unanswered."""
        self._share, self._of = share, of
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_batch_size=BATCH)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id="inm-bench-pipe", enable_auto_commit=False)
        self._out = Out(self._producer)
        self._links: list[Link] = []
        self._effects = {origin: [(effect.topic, effect.value) for effect in effects] for origin, effects in EFFECTS.items()}
        self._submission = Effect(topics.RECEIPTS, SUBMISSION).value
        self._reports = {kind: Effect(topics.OUTCOMES, kind).value for kind in (FIRST, LAST)}
        self._bodies = bodies()
        self._turn = 0

    async def start(self, host: str, port: int, password: str, tenants: list[str]) -> None:
        """Bind, and stand at the end of every topic. ``RuntimeError`` if the SMSC refuses."""
        await self._producer.start()
        await self._consumer.start()
        consumed = [*map(topics.requests, tenants), *(topic for topic, _ in EFFECTS if topic != REQUESTS), *SMS]
        self._partitions = len(await self._producer.partitions_for(topics.OUTCOMES))
        held = range(self._share, self._partitions, self._of)
        self._consumer.assign([TopicPartition(topic, number) for topic in {*consumed} for number in held])
        await self._consumer.seek_to_end()
        for tp in self._consumer.assignment():
            await self._consumer.position(tp)
        for _ in range(BINDS):
            _, link = await asyncio.get_running_loop().create_connection(lambda: Link(self, password), host, port)
            if status := await link.bound:
                raise RuntimeError(f"the SMSC refused the bind with {status:#x}")
            self._links.append(link)

    async def run(self) -> None:
        """Move records until the process ends."""
        async with self.tasks:
            self.tasks.create_task(self._commit())
            while True:
                fetched = await self._consumer.getmany(timeout_ms=200, max_records=4000)
                for (topic, partition), records in fetched.items():
                    if topic in SMS:
                        self._submit(partition, len(records))
                    elif topic.startswith(REQUESTS):
                        for record in records:
                            self._effect(REQUESTS, LANE[record.offset % len(LANE)], record.offset % self._partitions)
                    else:
                        for record in records:
                            self._effect(topic, record.value[:1], partition)

    def _effect(self, topic: str, kind: bytes, partition: int) -> None:
        for target, value in self._effects[topic, kind]:
            self._out.emit(target, partition, value)

    def _submit(self, partition: int, count: int) -> None:
        for _ in range(count):
            self._turn += 1
            parts = self._bodies[self._turn % 10 == 0]
            self.waiting.append((parts, [partition, len(parts)]))
        for link in self._links:
            link.pump()

    def answered(self, flight: list[int]) -> None:
        """A part was taken; the answer is an outcome when it was the last."""
        self._spread(topics.RECEIPTS, self._submission)
        flight[1] -= 1
        if not flight[1]:
            self._effect(SMS[0], SUBMISSION, flight[0])

    def reported(self, pdu: wire.Pdu) -> "asyncio.Future[None]":
        """A receipt came, of the first of two parts or of the last: an outcome, for the same process has submitted it."""
        return self._spread(topics.OUTCOMES, self._reports[FIRST if b"text:" + FIRST in pdu.body else LAST])

    def _spread(self, topic: str, value: bytes) -> "asyncio.Future[None]":
        """Provider ids, and the notifications that they are of, are of all partitions."""
        self._turn += 1
        return self._out.emit(topic, self._turn % self._partitions, value)

    async def _commit(self) -> None:
        """The positions of before, when all that was emitted until then is with the broker."""
        while True:
            await asyncio.sleep(COMMIT)
            positions = {tp: await self._consumer.position(tp) for tp in self._consumer.assignment()}
            if self._out.unacked:
                await asyncio.wait(set(self._out.unacked))
            await self._consumer.commit(positions)


async def _serve(bootstrap: str, smsc: str, password: str, share: int, of: int, tenants: list[str]) -> None:
    pipe = Pipe(bootstrap, share, of)
    host, _, port = smsc.partition(":")
    await pipe.start(host, int(port), password, tenants)
    click.echo("ready")
    await pipe.run()


@click.command()
@click.argument("bootstrap")
@click.argument("smsc")
@click.argument("share", type=int)
@click.argument("of", type=int)
@click.argument("tenants", nargs=-1, required=True)
@click.option("--password", envvar="INM_SMSC_PASSWORD", required=True)
def main(bootstrap: str, smsc: str, share: int, of: int, tenants: tuple[str, ...], password: str) -> None:
    """Move the records of partitions SHARE, SHARE + OF, … of BOOTSTRAP and the PDUs of SMSC until killed."""
    asyncio.run(_serve(bootstrap, smsc, password, share, of, [*tenants]))


if __name__ == "__main__":
    main()
