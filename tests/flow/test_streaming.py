"""The streaming layer with nothing on top of it: each key once, none lost, whatever happens to the workers."""

import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import RecordsToDelete

from inm.streaming.database import Database
from inm.streaming.restore import LONGEST_AWAY
from tests.support.echoes import IN, INPUTS, PARTITIONS, Echoes
from tests.support.tap import until, until_async


@pytest.fixture
async def echoes(kafka: str, tmp_path: Path) -> AsyncIterator[Echoes]:
    async with Echoes(kafka, tmp_path) as echoes:
        yield echoes


@pytest.fixture
def keys() -> list[bytes]:
    """Keys of no other test."""
    prefix = uuid4().hex[:8]
    return [f"{prefix}-{number}".encode() for number in range(10_000)]


async def at_the_end(echoes: Echoes) -> None:
    """Until everything fed is committed and counted, and what is at an end without being a record: markers of transactions."""
    ends = await echoes.ends()

    async def all_committed() -> bool:
        committed: int = sum(at.offset for at in (await echoes.committed()).values())
        return committed >= sum(ends.values())

    await until_async(all_committed)
    await echoes.caught_up()


async def stopped_at_the_end(echoes: Echoes) -> None:
    """Then stop: the group stands at the end, and says that nothing was left half done."""
    await at_the_end(echoes)
    assert [await echoes.stop(name) for name in list(echoes.workers)] == [0]
    await echoes.caught_up()
    ends, committed = await echoes.ends(), await echoes.committed()
    assert {at.metadata for at in committed.values()} == {"clean"}
    assert sum(ends[partition] - at.offset for partition, at in committed.items()) == 0


async def test_each_key_comes_out_once_and_a_stop_leaves_no_lag(echoes: Echoes, keys: list[bytes]) -> None:
    await echoes.start()
    await echoes.feed(keys + keys[:500])
    await stopped_at_the_end(echoes)
    assert (await echoes.committed()).keys() == set(INPUTS)
    assert echoes.out == Counter(keys)


async def test_none_is_lost_when_workers_are_killed(echoes: Echoes, keys: list[bytes]) -> None:
    await echoes.start()
    await echoes.feed(keys)
    for share in (4, 2):
        await until(lambda share=share: len(echoes.out) > len(keys) // share)  # type: ignore[misc]
        echoes.kill()
        assert len(echoes.out) < len(keys)
        echoes.begin()
    await at_the_end(echoes)
    assert echoes.out.keys() >= set(keys)
    came = echoes.out.copy()
    await echoes.feed(keys)
    await stopped_at_the_end(echoes)
    assert echoes.out == came, "the ledger does not know what was decided before the kills"


async def test_what_cannot_be_processed_is_buried_with_its_origin_and_delays_nothing(echoes: Echoes, keys: list[bytes]) -> None:
    await echoes.start()
    await echoes.feed(keys[:10], partition=3)
    at = (await echoes.ends())[INPUTS[3]]
    await echoes.feed([b"p" + keys[0]], b"poison", partition=3)
    await echoes.feed([b"b" + keys[0]], b"bug", partition=3)
    await echoes.feed(keys[10:20], partition=3)
    await echoes.all_out(keys[:20])
    await until(lambda: len(echoes.dead) == 2)
    poison, bug = echoes.dead
    assert (poison.reason, poison.detail, poison.stage) == ("invalid-request", "poison", "echo")
    assert (poison.topic, poison.partition, poison.offset) == (IN, 3, at)
    assert (poison.key, poison.value) == ((b"p" + keys[0]).decode(), "poison")
    assert (bug.reason, bug.detail, bug.offset, bug.value) == ("stage-failed", "ZeroDivisionError", at + 1, "bug")


async def test_a_table_whose_folder_is_gone_comes_back_whole(echoes: Echoes, keys: list[bytes]) -> None:
    await echoes.start()
    await echoes.feed(keys)
    await stopped_at_the_end(echoes)
    shutil.rmtree(echoes.folder / "w1")
    await echoes.start()
    await echoes.feed(keys)
    last = [b"last %d " % number + keys[0] for number in range(PARTITIONS)]
    for number, key in enumerate(last):
        await echoes.feed([key], partition=number)
    await stopped_at_the_end(echoes)
    assert echoes.out == Counter([*keys, *last])


async def test_a_table_whose_folder_is_from_long_ago_is_built_anew(echoes: Echoes, keys: list[bytes]) -> None:
    """Ghosts are in the folder alone, as if the changelog had forgotten their deletion."""
    await echoes.start()
    await echoes.feed(keys[:10], partition=1)
    await echoes.feed(keys[10:20], partition=2)
    await stopped_at_the_end(echoes)
    tables, old = echoes.folder / "w1" / "tables", echoes.folder / "old"
    shutil.copytree(tables, old)
    await echoes.start()
    await echoes.feed(keys[20:30], partition=1)
    await echoes.feed(keys[30:40], partition=2)
    await stopped_at_the_end(echoes)
    shutil.rmtree(tables)
    old.rename(tables)
    ghosts = {1: b"young " + keys[0], 2: b"old " + keys[0]}
    for number, age in ((1, LONGEST_AWAY // 2), (2, 2 * LONGEST_AWAY)):
        database = Database(tables / f"seen-{number}")
        database.write({ghosts[number]: b"x"}, database.offset, database.known_at - age)
        database.close()
    await echoes.start()
    for number, ghost in ghosts.items():
        await echoes.feed([ghost, *keys[10 * number - 10 :][:10], *keys[10 * number + 10 :][:10]], partition=number)
    await stopped_at_the_end(echoes)
    assert echoes.out == Counter([*keys[:40], ghosts[2]])
    said = echoes.log("w1").read_text()
    assert "echo.seen.changelog[2]: the table on disk is 24.0 h old" in said
    assert "echo.seen.changelog[1]: the table" not in said


async def test_what_a_transaction_took_back_is_not_read_and_its_holes_are_stepped_over(echoes: Echoes, keys: list[bytes]) -> None:
    await echoes.start()
    committed, aborted = keys[:100], keys[100:200]
    async with AIOKafkaProducer(bootstrap_servers=echoes.bootstrap, transactional_id=uuid4().hex) as producer:
        for number in range(20):
            await producer.begin_transaction()
            for key in (aborted if number % 2 else committed)[number // 2 * 10 :][:10]:
                await producer.send(IN, b"t", key, partition=2)
            await producer.flush()
            await (producer.abort_transaction() if number % 2 else producer.commit_transaction())
    # the last transaction was taken back: ten records and two markers at the end are never read
    await stopped_at_the_end(echoes)
    assert echoes.out == Counter(committed)
    await echoes.start()
    await echoes.feed(keys[200:210], partition=2)
    await stopped_at_the_end(echoes)
    assert echoes.out == Counter(committed + keys[200:210])


async def test_records_that_retention_took_before_they_were_read_are_stepped_over(echoes: Echoes, keys: list[bytes]) -> None:
    await echoes.start()
    await echoes.feed(keys[:10], partition=4)
    await stopped_at_the_end(echoes)
    await echoes.feed(keys[10:20], partition=4)
    end = (await echoes.ends())[INPUTS[4]]
    await echoes.feed(keys[20:30], partition=4)
    await echoes.admin.delete_records({INPUTS[4]: RecordsToDelete(before_offset=end)})
    await echoes.start()
    await stopped_at_the_end(echoes)
    assert echoes.out == Counter(keys[:10] + keys[20:30])


async def test_two_workers_share_and_hand_over_without_doubles(echoes: Echoes, keys: list[bytes]) -> None:
    await echoes.start("w1")
    async with echoes.flowing(keys[0], rate=1000) as sent:
        await until(lambda: len(echoes.out) > 1000)
        await echoes.start("w2")
        await until(lambda: [echoes.shares(name)[-1] for name in ("w1", "w2")] == [PARTITIONS // 2] * 2)
        came = len(echoes.out)
        await until(lambda: len(echoes.out) > came + 1000)
        assert await echoes.stop("w1") == 0
        await until(lambda: echoes.shares("w2")[-1] == PARTITIONS)
    await stopped_at_the_end(echoes)
    assert echoes.out == Counter(sent)
