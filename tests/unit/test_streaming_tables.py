"""Rows are seen when decided, written when their outputs are out, and in the order of the decisions."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inm.streaming.emitter import MAX_BATCH, Batch
from inm.streaming.fatal import EXIT_DISK, EXIT_PRODUCE
from inm.streaming.tables import Database, Table, TablePartition
from tests.simulation.disk import Disks


class Changelog:
    """Stands for the emitter: each record is a batch that the test acknowledges."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes | None, bytes | None]] = []
        self.batches: list[Batch] = []
        self.rooms: list[int] = []

    def make_room(self, topic: str, partition: int, size: int) -> None:
        self.rooms.append(size)

    def emit(self, topic: str, partition: int, key: bytes | None, value: bytes | None, *, essential: bool) -> Batch:
        assert essential
        self.records.append((key, value))
        batch = Batch(None, asyncio.get_running_loop().create_future(), records=[(key, value)])
        self.batches.append(batch)
        return batch

    async def acknowledge(self) -> None:
        for offset, batch in enumerate(self.batches):
            if not batch.acked.done():
                batch.acked.set_result(offset)
        await asyncio.sleep(0)


class Fixture:
    def __init__(self, folder: Path) -> None:
        self.changelog = Changelog()
        self.lost: list[tuple[int, str]] = []
        self.database = Database(folder)
        self.partition = TablePartition("t.changelog", 0, self.database, self.changelog, self._lose)  # type: ignore[arg-type]

    def _lose(self, code: int, why: str) -> None:
        self.lost.append((code, why))


@pytest.fixture
def table(tmp_path: Path) -> Fixture:
    return Fixture(tmp_path / "t-0")


async def test_a_decided_row_is_seen_and_not_yet_written(table: Fixture) -> None:
    table.partition.stage({b"a": b"1"})
    assert table.partition.get(b"a") == b"1"
    assert table.database.get(b"a") is None
    assert table.changelog.records == []


async def test_a_released_row_is_written_after_the_changelog_has_it(table: Fixture) -> None:
    writes = table.partition.stage({b"a": b"1"})
    table.partition.release(writes)
    assert table.changelog.records == [(b"a", b"1")]
    assert table.database.get(b"a") is None
    assert not writes.written.done()
    await table.changelog.acknowledge()
    assert table.database.get(b"a") == b"1"
    assert table.database.offset == 0
    assert writes.written.done()


async def test_sets_come_into_the_changelog_whole_as_many_as_a_batch_holds(table: Fixture) -> None:
    """A journey and what counts it: after a kill both are there, or neither."""
    half = bytes(MAX_BATCH // 2 - 1000)
    sets = [table.partition.stage({b"journey %d" % number: half, b"tally": b"%d" % number}) for number in range(3)]
    for writes in reversed(sets):
        table.partition.release(writes)
    keys = [key for key, _ in table.changelog.records]
    assert keys == [b"journey 0", b"tally", b"journey 1", b"journey 2", b"tally"]
    assert table.changelog.records[1][1] == b"1"
    assert len(table.changelog.rooms) == 2
    assert max(table.changelog.rooms) <= MAX_BATCH
    await table.changelog.acknowledge()
    assert table.database.get(b"tally") == b"2"


async def test_a_later_set_waits_for_an_earlier_one_whose_outputs_are_still_under_way(table: Fixture) -> None:
    """Written first, it would make the earlier one's replay look like a duplicate."""
    first = table.partition.stage({b"a": b"created"})
    second = table.partition.stage({b"a": b"advanced"})
    table.partition.release(second)
    assert table.changelog.records == []
    table.partition.release(first)
    assert table.changelog.records == [(b"a", b"advanced")]
    await table.changelog.acknowledge()
    assert table.database.get(b"a") == b"advanced"
    assert first.written.done()
    assert second.written.done()


async def test_a_newer_decision_outlives_the_writing_of_an_older_one(table: Fixture) -> None:
    first = table.partition.stage({b"a": b"1"})
    table.partition.release(first)
    table.partition.stage({b"a": b"2"})
    await table.changelog.acknowledge()
    assert table.database.get(b"a") == b"1"
    assert table.partition.get(b"a") == b"2"


async def test_a_deleted_row_is_gone_at_once(table: Fixture) -> None:
    table.partition.release(table.partition.stage({b"a": b"1", b"b": b"2"}))
    await table.changelog.acknowledge()
    table.partition.stage({b"a": None})
    assert table.partition.get(b"a") is None
    assert [*table.partition.scan()] == [(b"b", b"2")]


async def test_a_scan_sees_stored_and_decided_rows_in_order(table: Fixture) -> None:
    table.partition.release(table.partition.stage({b"b": b"2", b"d": b"4", b"f": b"6"}))
    await table.changelog.acknowledge()
    table.partition.stage({b"a": b"1", b"d": b"new", b"e": b"5", b"g": b"7"})
    everything = [(b"a", b"1"), (b"b", b"2"), (b"d", b"new"), (b"e", b"5"), (b"f", b"6"), (b"g", b"7")]
    assert [*table.partition.scan()] == everything
    assert [*table.partition.scan(b"b", b"f")] == everything[1:4]


STEP = st.tuples(st.sampled_from(["put", "delete", "settle", "scan"]), st.binary(min_size=1, max_size=1))


@settings(max_examples=100)
@given(st.lists(STEP, max_size=40))
def test_a_scan_sees_every_row_whatever_was_written_and_scanned_before(steps: list[tuple[str, bytes]]) -> None:
    async def run() -> None:
        disks, changelog = Disks(), Changelog()
        partition = TablePartition("t", 0, disks.open(Path("w/t-0")), changelog, print)  # type: ignore[arg-type]
        rows: dict[bytes, bytes] = {}
        for do, key in steps:
            if do == "put":
                partition.release(partition.stage({key: key}))
                rows[key] = key
            elif do == "delete":
                first = min(rows, default=key)
                partition.release(partition.stage({first: None}))
                rows.pop(first, None)
            elif do == "settle":
                await changelog.acknowledge()
            assert list(partition.scan(key if do == "scan" else b"")) == sorted((k, v) for k, v in rows.items() if do != "scan" or k >= key)

    asyncio.run(run())


async def test_a_scan_does_not_look_again_at_what_was_deleted_before_the_first_row(table: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[bytes] = []
    scan = table.database.scan

    def watched(start: bytes) -> Iterator[tuple[bytes, bytes]]:
        started.append(start)
        return scan(start)

    monkeypatch.setattr(table.database, "scan", watched)
    table.partition.release(table.partition.stage({b"%d" % number: b"x" for number in range(5)}))
    await table.changelog.acknowledge()
    for number in range(5):
        assert next(table.partition.scan())[0] == b"%d" % number
        table.partition.release(table.partition.stage({b"%d" % number: None}))
        await table.changelog.acknowledge()
    assert started == [b"", b"0", b"1", b"2", b"3"]


async def test_after_an_assignment_nothing_of_it_writes(table: Fixture) -> None:
    under_way = table.partition.stage({b"a": b"1"})
    table.partition.release(under_way)
    waiting = table.partition.stage({b"b": b"2"})
    table.partition.abandon()
    await table.changelog.acknowledge()
    table.partition.release(waiting)
    assert table.database.get(b"a") is None
    assert under_way.written.cancelled()
    assert waiting.written.cancelled()
    assert len(table.changelog.records) == 1


async def test_a_refused_changelog_record_is_told(table: Fixture) -> None:
    table.partition.release(table.partition.stage({b"a": b"1"}))
    table.changelog.batches[0].acked.set_exception(RuntimeError("refused"))
    await asyncio.sleep(0)
    [(code, why)] = table.lost
    assert code == EXIT_PRODUCE
    assert "refused" in why
    assert table.database.get(b"a") is None


async def test_a_row_that_the_disk_does_not_take_is_told(table: Fixture) -> None:
    writes = table.partition.stage({b"a": b"1"})
    table.partition.release(writes)
    table.database.close()
    await table.changelog.acknowledge()
    [(code, _)] = table.lost
    assert code == EXIT_DISK
    assert not writes.written.done()


async def test_rows_and_offset_survive_a_reopening(table: Fixture, tmp_path: Path) -> None:
    table.database.write({b"a": b"1", b"b": None}, 41, 7)
    table.database.close()
    again = Database(tmp_path / "t-0")
    assert (again.get(b"a"), again.offset, again.known_at) == (b"1", 41, 7)
    assert [*again.scan()] == [(b"a", b"1")]
    again.wipe()
    assert (again.get(b"a"), again.offset, again.known_at) == (None, -1, 0)


def test_a_table_keeps_databases_open_that_it_keeps(tmp_path: Path) -> None:
    table = Table("t", "t.changelog")
    kept, closed = table.database(tmp_path, 0), table.database(tmp_path, 1)
    nothing: Any = defaultdict(list)
    lost: list[int] = []
    table.serve(0, kept, nothing, lambda code, _: lost.append(code), bool)
    table.close(keep={0})
    assert table.partitions == {}
    assert table.database(tmp_path, 0) is kept
    assert table.database(tmp_path, 1) is not closed
