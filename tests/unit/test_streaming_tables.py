"""Rows are seen when decided, written when their outputs are out, and in the order of the decisions."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inm.streaming.database import Database
from inm.streaming.emitter import MAX_BATCH, Batch
from inm.streaming.fatal import EXIT_DISK, EXIT_PRODUCE
from inm.streaming.tables import Table, TablePartition
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


# what is due


def _due(row: bytes) -> int:
    return int(row or b"0")


def marked(folder: Path | None = None) -> tuple[TablePartition, Changelog]:
    """A table whose rows are the times at which they are due."""
    changelog: Any = Changelog()
    database: Any = Database(folder, _due) if folder else Disks().open(Path("w/t-0"), _due)
    return TablePartition("t", 0, database, changelog, print), changelog


async def write(partition: TablePartition, changelog: Changelog, rows: dict[bytes, bytes | None]) -> None:
    partition.release(partition.stage(rows))
    await changelog.acknowledge()


async def test_rows_are_due_when_they_say_so_and_until_they_say_something_else(tmp_path: Path) -> None:
    partition, changelog = marked(tmp_path / "t-0")
    await write(partition, changelog, {b"a": b"30", b"b": b"10", b"c": b"0", b"d": b"20"})
    assert partition.due(9, 5) == []
    assert partition.due(20, 5) == [b"10", b"20"]
    assert partition.due(20, 1) == [b"10"]
    await write(partition, changelog, {b"b": b"0", b"d": None, b"a": b"15"})
    assert partition.due(20, 5) == [b"15"]
    assert partition.due(40, 5) == [b"15"]
    assert [*partition.scan()] == [(b"a", b"15"), (b"b", b"0"), (b"c", b"0")], "marks are no rows"


async def test_a_row_that_is_being_changed_is_due_when_that_is_stored(tmp_path: Path) -> None:
    partition, changelog = marked(tmp_path / "t-0")
    await write(partition, changelog, {b"a": b"10"})
    writes = partition.stage({b"a": b"12"})
    assert partition.due(20, 5) == []
    partition.release(writes)
    await changelog.acknowledge()
    assert partition.due(20, 5) == [b"12"]


async def test_what_was_due_is_so_for_the_next_worker_of_the_folder(tmp_path: Path) -> None:
    partition, changelog = marked(tmp_path / "t-0")
    await write(partition, changelog, {b"a": b"10"})
    partition.stage({b"a": b"0"})  # and it dies
    assert partition.due(20, 5) == []
    partition.database.close()
    assert marked(tmp_path / "t-0")[0].due(20, 5) == [b"10"]


CHANGE = st.tuples(st.sampled_from(["put", "settle", "look"]), st.integers(0, 3), st.integers(0, 12))


@settings(max_examples=200)
@given(st.lists(CHANGE, max_size=40))
def test_in_the_end_what_is_due_is_what_the_rows_say(changes: list[tuple[str, int, int]]) -> None:
    async def run() -> None:
        partition, changelog = marked()
        rows: dict[bytes, bytes | None] = {}
        for act, key, number in changes:
            if act == "put":
                row = None if number == 12 else b"%d" % number
                rows[b"%d" % key] = row
                partition.release(partition.stage({b"%d" % key: row}))
            elif act == "settle":
                await changelog.acknowledge()
            else:
                assert all(_due(row) <= number for row in partition.due(number, 1 + key))
        await changelog.acknowledge()
        dues = sorted(_due(row) for row in rows.values() if row and _due(row))
        assert [_due(row) for row in partition.due(6, 9)] == [due for due in dues if due <= 6]
        assert [_due(row) for row in partition.due(12, 9)] == dues

    asyncio.run(run())
