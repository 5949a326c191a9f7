"""kill -9: nothing is missing, and what was sent twice is marked in its EDRs."""

import asyncio
import logging
import re
import shutil
from collections import Counter
from time import monotonic

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from inm import topics
from inm.core.users import User
from inm.demo.installation import Installation
from tests.support.load import Books, Load
from tests.support.tap import Tap, until

log = logging.getLogger(__name__)
COUNT = 2000

named = re.compile(rb'"notification":"([^"]+)"').search


def explained(load: Load, books: Books, tap: Tap) -> int:
    """How many parts came double at the SMSC; ``AssertionError`` if one is of a notification that no EDR marks."""
    doubles = books.doubles()
    marked = {edr.to: edr for edr in load.marked(tap)}
    assert doubles.keys() <= marked.keys(), doubles.keys() - marked.keys()
    assert not [edr for number, edr in marked.items() if edr.scenario == "patient" and number in doubles], "wait-for-receipt was sent again"
    return doubles.total()


def mails_explained(installation: Installation, load: Load, tap: Tap) -> int:
    """As :func:`explained`, for mails; their Message-ID begins with the delivery."""
    times = Counter(mail.message_id.strip("<").rpartition("@")[0].rsplit(".", 2)[0] for mail in installation.smtp.ledger.mails)
    marked = {edr.notification for edr in load.marked(tap)}
    mine = {edr.notification for edr in tap.edrs if edr.request_id in load.ids}  # others are of a worker that died before this test
    doubles = {notification: times[notification] - 1 for notification in mine if times[notification] > 1}
    assert doubles.keys() <= marked, doubles.keys() - marked
    return sum(doubles.values())


def tell(installation: Installation, load: Load, books: Books, tap: Tap, more: str = "") -> None:
    """Check that all doubles are explained, and say how many there are (pytest -o log_cli=true)."""
    parts, mails = explained(load, books, tap), mails_explained(installation, load, tap)
    log.warning("sent twice: %d parts, %d mails; marked EDRs: %d; %s", parts, mails, len(load.marked(tap)), more)


async def committed(installation: Installation) -> set[str]:
    """The notifications in deliveries that the group has committed: nothing of them may be sent again."""
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.bootstrap, enable_auto_commit=False)
    await admin.start()
    await consumer.start()
    found: set[str] = set()
    try:
        offsets = await admin.list_consumer_group_offsets("inm")
        ends = {tp: at.offset for tp, at in offsets.items() if tp.topic.startswith("inm.deliveries.sms.") and at.offset > 0}
        consumer.assign(list(ends))
        await consumer.seek_to_beginning()
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                found.update(match[1].decode() for record in records if record.offset < ends[tp] and (match := named(record.value or b"")))
    finally:
        await consumer.stop()
        await admin.close()
    return found


async def test_in_the_middle_of_traffic(installation: Installation, tap: Tap, books: Books, producer: AIOKafkaProducer, run: str) -> None:
    load = Load(producer, run, COUNT)
    sending = asyncio.create_task(load.send(rate=400))
    await books.until(800)
    installation.kill_worker("worker-1")
    killed, taken = monotonic(), len(books.parts)
    done = await committed(installation)
    await installation.start_worker("worker-1")
    await sending
    await load.ended(tap, 90)
    tell(installation, load, books, tap, f"killed after {taken} parts, sent again from {books.reach(killed):.2f} s before that on")
    assert sum(edr.request_id in load.ids for edr in tap.finals().values()) == COUNT  # what was open before may end now too
    mine = {edr.notification for edr in tap.edrs}
    assert len(done & mine) > 200, "no commit for longer than a second"
    assert not [edr for edr in tap.edrs if edr.to in books.doubles() and edr.notification in done]


async def test_twice(installation: Installation, tap: Tap, books: Books, producer: AIOKafkaProducer, run: str) -> None:
    load = Load(producer, run, 1000, seed=2)
    await load.send()
    for parts in (200, 500):
        await books.until(parts)
        installation.kill_worker("worker-1")
        await installation.start_worker("worker-1")
    await load.ended(tap, 90)
    tell(installation, load, books, tap)


async def test_while_tables_are_restored(installation: Installation, tap: Tap, books: Books, producer: AIOKafkaProducer, run: str) -> None:
    row = (2**62).to_bytes(8) + bytes(8) + msgspec.msgpack.encode(User("acme/x", 2**62))
    for number in range(60_000):
        await producer.send(topics.changelog("users"), row, f"acme/{run}-{number}".encode())
    load = Load(producer, run, 600, seed=3)
    await load.send()
    await books.until(200)
    installation.kill_worker("worker-1")
    tables = installation.folder / "data" / "worker-1" / "tables"
    shutil.rmtree(tables)
    said = len(installation.log("worker-1").read_bytes())
    await installation.spawn_worker("worker-1")
    await until(lambda: len(list(tables.glob("outbox-*"))) == 6)
    installation.kill_worker("worker-1")
    assert b"restored" not in installation.log("worker-1").read_bytes()[said:]
    await installation.start_worker("worker-1")
    await load.ended(tap, 90)
    tell(installation, load, books, tap)
