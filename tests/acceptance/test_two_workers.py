"""Two workers share the load, and one that comes or goes loses nothing and sends nothing twice."""

import asyncio
from time import monotonic
from urllib.request import urlopen

from aiokafka import AIOKafkaProducer

from inm.demo.installation import Installation
from tests.support.load import Books, Load
from tests.support.tap import Tap, until_async

PARTITIONS = 6


async def held(installation: Installation, name: str) -> int:
    """How many partitions of the tables a worker holds, by its own word."""

    def ask() -> int:
        with urlopen(f"{installation.url(name)}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return next(int(float(line.split()[1])) for line in lines if line.startswith("inm_table_partitions "))

    return await asyncio.to_thread(ask)


async def holds(installation: Installation, name: str, partitions: int) -> bool:
    return await held(installation, name) == partitions


async def shared(installation: Installation) -> None:
    """Until both workers hold a part, and together all."""

    async def fair() -> bool:
        counts = [await held(installation, name) for name in ("worker-1", "worker-2")]
        return sum(counts) == PARTITIONS and all(counts)

    await until_async(fair)


async def test_both_submit_and_nothing_is_missing_or_double(
    installation: Installation, tap: Tap, books: Books, producer: AIOKafkaProducer, run: str
) -> None:
    await installation.start_worker("worker-2")
    await shared(installation)
    load = Load(producer, run, 600)
    await load.send()
    await load.ended(tap)
    assert len(tap.finals()) == 600
    assert books.doubles() == {}
    assert load.marked(tap) == []


async def test_a_worker_that_is_added_under_load_takes_its_share_without_doubles(
    installation: Installation, tap: Tap, books: Books, producer: AIOKafkaProducer, run: str
) -> None:
    load = Load(producer, run)
    async with load.flowing(rate=150):
        await books.until(100)
        await installation.start_worker("worker-2")
        await shared(installation)
        await books.until(len(books.parts) + 100)
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
        await books.until(200)
        began = monotonic()
        assert await installation.stop_worker("worker-2") == 0
        print("stopped after", monotonic() - began)
        await until_async(lambda: holds(installation, "worker-1", PARTITIONS), 30)
        print("moved after", monotonic() - began)
    await load.ended(tap)
    assert books.doubles() == {}
    assert load.marked(tap) == []
