"""Two workers share the load, and one that comes or goes loses nothing and sends nothing twice."""

import asyncio
from urllib.request import urlopen

from aiokafka import AIOKafkaProducer

from inm.demo.installation import Installation
from inm.streaming.app import SESSION_TIMEOUT
from tests.support.load import Books, Load
from tests.support.tap import Tap, until_async

PARTITIONS = 6


async def metric(installation: Installation, worker: str, name: str) -> float:
    """The sum of a metric over its labels, by the worker's own word."""

    def ask() -> float:
        with urlopen(f"{installation.url(worker)}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    return await asyncio.to_thread(ask)


async def shared(installation: Installation) -> None:
    """Until both workers hold a part, and together all."""

    async def fair() -> bool:
        counts = [await metric(installation, worker, "inm_table_partitions") for worker in ("worker-1", "worker-2")]
        return sum(counts) == PARTITIONS and all(counts)

    await until_async(fair)


async def test_a_worker_that_is_added_under_load_takes_its_share_without_doubles(
    installation: Installation, tap: Tap, books: Books, producer: AIOKafkaProducer, run: str
) -> None:
    load = Load(producer, run)
    async with load.flowing(rate=150):
        await books.until(100)
        await installation.start_worker("worker-2")
        await shared(installation)
        before = await metric(installation, "worker-1", "inm_attempts_total")

        async def both_send() -> bool:
            more = await metric(installation, "worker-1", "inm_attempts_total") - before
            return more > 20 and await metric(installation, "worker-2", "inm_attempts_total") > 20

        await until_async(both_send)
    await load.ended(tap)
    assert books.doubles() == {}
    assert load.marked(tap) == []


async def test_a_worker_that_is_stopped_hands_its_partitions_over_without_doubles(
    installation: Installation, tap: Tap, books: Books, producer: AIOKafkaProducer, run: str
) -> None:
    await installation.start_worker("worker-2")
    await shared(installation)
    load = Load(producer, run)
    async with load.flowing(rate=150):
        await books.until(100)
        assert await installation.stop_worker("worker-2") == 0

        async def all_here() -> bool:
            return await metric(installation, "worker-1", "inm_table_partitions") == PARTITIONS

        # It said good-bye: nobody waits for its session to time out.
        await until_async(all_here, SESSION_TIMEOUT / 2)
        await books.until(len(books.parts) + 100)
    await load.ended(tap)
    assert books.doubles() == {}
    assert load.marked(tap) == []
