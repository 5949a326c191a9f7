"""Whatever a folder on disk has missed: after a restore the rows are those of the table, none too few and none that is long gone."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

from inm.streaming import restore as restoring
from inm.streaming.database import Database
from inm.streaming.restore import LONGEST_AWAY, TOMBSTONES, outdated, restore
from tests.simulation.disk import Disks, Folder, MemoryDatabase

TP = TopicPartition("t.changelog", 0)
HOUR = 3_600_000
BEGIN = 1_795_334_400_000


class Changelog:
    """One partition, compacted as Kafka does: what was superseded goes, a deletion :data:`TOMBSTONES` after it was first compacted."""

    def __init__(self) -> None:
        self.records: dict[int, tuple[bytes, bytes | None]] = {}
        self.begin = self.end = 0
        self._horizons: dict[int, int] = {}

    def append(self, key: bytes, value: bytes | None) -> int:
        self.records[self.end] = key, value
        self.end += 1
        return self.end - 1

    def compact(self, now: int) -> None:
        last = {key: offset for offset, (key, _) in self.records.items()}
        for offset, (key, value) in list(self.records.items()):
            over = value is None and now >= self._horizons.setdefault(offset, now + TOMBSTONES)
            if offset != last[key] or over:
                del self.records[offset]


class Reader:
    """A consumer of the changelog, two records at a time; it fails after so many fetches."""

    def __init__(self, changelog: Changelog, fetches: int = 1_000) -> None:
        self._changelog = changelog
        self._position = 0
        self._fetches = fetches

    async def start(self) -> None:
        return

    stop = start

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        return

    def pause(self, *partitions: TopicPartition) -> None:
        return

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {TP: self._changelog.begin}

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {TP: self._changelog.end}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._position = offset

    async def position(self, tp: TopicPartition) -> int:
        return self._position

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        if not self._fetches:
            raise KafkaConnectionError
        self._fetches -= 1
        fresh = sorted(offset for offset in self._changelog.records if offset >= self._position)[:2]
        self._position = fresh[-1] + 1 if fresh else self._changelog.end
        records = [SimpleNamespace(offset=at, key=row[0], value=row[1]) for at, row in self._changelog.records.items() if at in fresh]
        return {TP: records} if records else {}


def restored(database: Any, changelog: Changelog, now: int, fetches: int = 1_000) -> int:
    return asyncio.run(restore({TP: database}, lambda: Reader(changelog, fetches), now))


# laws


class World:
    """A table, its changelog, a worker's folder that follows it at times, and an old copy of that folder."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.changelog = Changelog()
        self.rows: dict[bytes, bytes] = {}
        self.disks = Disks()
        self.old: dict[Path, Folder] = {}
        self.database = MemoryDatabase(self.disks, Path("w/t-0"))
        self.owns = False

    def put(self, key: bytes) -> None:
        self._write(key, b"%d" % self.changelog.end)

    def delete(self, key: bytes) -> None:
        self._write(key, None)

    def _write(self, key: bytes, value: bytes | None) -> None:
        offset = self.changelog.append(key, value)
        if value is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = value
        if self.owns:
            self.database.write({key: value}, offset, self.now)

    def leave(self, _: bytes) -> None:
        """Another worker has the table now."""
        self.owns = False

    def restore(self, key: bytes) -> None:
        """Take the table over; with two of the keys the broker fails in between, and the worker dies of it, or goes on."""
        try:
            restored(self.database, self.changelog, self.now, fetches=1_000 if key == b"b" else 1)
        except KafkaConnectionError:
            if key == b"a":
                self.owns = False
                self.database = MemoryDatabase(self.disks, Path("w/t-0"))
                return
            restored(self.database, self.changelog, self.now)
        self.owns = True
        assert self.database.rows == self.rows
        assert self.disks.folders[Path("w/t-0")] is self.database.folder

    def copy(self, _: bytes) -> None:
        self.old = self.disks.image("w")

    def put_back(self, _: bytes) -> None:
        self.owns = False
        self.disks.folders.update((path, folder.copy()) for path, folder in self.old.items())
        self.database = MemoryDatabase(self.disks, Path("w/t-0"))

    def wait(self, _: bytes) -> None:
        self.changelog.compact(self.now)
        self.now += 11 * HOUR
        self.changelog.compact(self.now)


DOINGS: list[Callable[[World, bytes], None]] = [
    World.put, World.delete, World.delete, World.leave, World.restore, World.copy, World.put_back, World.wait, World.wait,
]  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(DOINGS), st.sampled_from([b"a", b"b", b"c"])), min_size=40, max_size=60))
def test_a_table_that_was_taken_over_has_the_rows_of_its_history(history: list[tuple[Callable[[World, bytes], None], bytes]]) -> None:
    world = World()
    with patch.object(restoring, "MANY", 3):
        for do, key in history:
            do(world, key)
        world.restore(b"b")


# cases


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Stands at offset 1, at :data:`BEGIN`."""
    database = Database(tmp_path / "t-0")
    database.write({b"a": b"1", b"b": b"2"}, 1, BEGIN)
    return database


@pytest.fixture
def changelog() -> Changelog:
    """After ``database`` left off, a was deleted and c written; then all was compacted, and the deletion forgotten."""
    changelog = Changelog()
    for key, value in ((b"a", b"1"), (b"b", b"2"), (b"a", None), (b"c", b"3")):
        changelog.append(key, value)
    changelog.compact(BEGIN)
    changelog.compact(BEGIN + TOMBSTONES)
    return changelog


def test_a_folder_that_was_away_for_long_is_built_anew(database: Database, changelog: Changelog) -> None:
    now = BEGIN + TOMBSTONES
    assert restored(database, changelog, now) == 2
    assert dict(database.scan()) == {b"b": b"2", b"c": b"3"}
    assert (database.offset, database.known_at) == (3, now)


def test_a_folder_that_was_away_for_a_while_is_continued(database: Database) -> None:
    changelog = Changelog()
    for key, value in ((b"x", b"seen"), (b"y", b"seen"), (b"a", None), (b"c", b"3")):
        changelog.append(key, value)
    assert restored(database, changelog, BEGIN + LONGEST_AWAY) == 2
    assert dict(database.scan()) == {b"b": b"2", b"c": b"3"}


def test_a_quiet_table_is_current_however_old(database: Database) -> None:
    changelog = Changelog()
    changelog.end = 2
    now = BEGIN + 30 * TOMBSTONES
    assert restored(database, changelog, now) == 0
    assert (database.get(b"a"), database.known_at) == (b"1", now)


def test_a_restore_that_was_interrupted_makes_a_folder_no_younger(database: Database) -> None:
    changelog = Changelog()
    for number in range(8):
        changelog.append(b"%d" % number, b"x")
    with pytest.raises(KafkaConnectionError):
        restored(database, changelog, BEGIN + HOUR, fetches=1)
    assert (database.offset, database.known_at) == (3, BEGIN)
    assert restored(database, changelog, BEGIN + 2 * HOUR) == 4
    assert database.known_at == BEGIN + 2 * HOUR


def test_holes_at_the_end_do_not_make_it_seem_behind(database: Database, changelog: Changelog) -> None:
    changelog.append(b"d", None)
    del changelog.records[4]
    restored(database, changelog, BEGIN + HOUR)
    assert database.offset == 4


@pytest.mark.parametrize(
    ("begin", "end", "now", "reason"),
    [
        (0, 2, BEGIN, None),
        (0, 1, BEGIN, "ahead"),
        (0, 0, BEGIN, "ahead"),
        (2, 5, BEGIN, None),
        (3, 5, BEGIN, "began"),
        (0, 5, BEGIN + LONGEST_AWAY, None),
        (0, 5, BEGIN + LONGEST_AWAY + 1, "12.0 h"),
        (0, 5, BEGIN - LONGEST_AWAY - 1, "12.0 h"),  # a clock was wrong, now or then
    ],
)
def test_what_a_folder_can_be_continued_by(database: Database, begin: int, end: int, now: int, reason: str | None) -> None:
    found = outdated(database, begin, end, now)
    assert (found is None) if reason is None else (found is not None and reason in found)


def test_an_empty_folder_is_never_outdated(tmp_path: Path) -> None:
    assert outdated(Database(tmp_path / "t-0"), 7, 9, BEGIN) is None


def test_a_database_that_is_filled_has_the_same_rows_and_is_as_others_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "MANY", 10)
    changelog = Changelog()
    for number in range(100):
        changelog.append(b"%d" % (number % 70), None if number % 9 == 0 else b"%d" % number)
    filled, written = Database(tmp_path / "t-0"), Database(tmp_path / "t-1")
    assert restored(filled, changelog, BEGIN) == 100
    monkeypatch.setattr(restoring, "MANY", 1000)
    assert restored(written, changelog, BEGIN) == 100
    assert not filled.filling
    assert [*filled.scan()] == [*written.scan()]
    assert (filled.offset, filled.known_at) == (written.offset, written.known_at) == (99, BEGIN)
    for database in (filled, written):
        database.write({b"x": b"y"}, 100, BEGIN)
        database.close()
    assert Database(tmp_path / "t-0").get(b"x") == b"y"


FILLING = """
import sys
from pathlib import Path
from inm.streaming.database import Database

database = Database(Path(sys.argv[1]))
database.fill()
for turn in range(10**6):
    database.write({b"%d/%d" % (turn, number): bytes(500) for number in range(200)}, turn, 7)
    print(turn, flush=True)
"""


def test_a_process_that_dies_while_it_fills_leaves_the_first_rows_and_how_far_they_go(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", FILLING, str(tmp_path / "t-0")], stdout=subprocess.PIPE) as filling:
        assert filling.stdout is not None
        for line in filling.stdout:
            if int(line) == 300:  # 30 MB: three times its memory went to the disk
                filling.kill()
                break
    database = Database(tmp_path / "t-0")
    assert database.offset > 100
    assert {key for key, _ in database.scan()} == {
        b"%d/%d" % (turn, number) for turn in range(database.offset + 1) for number in range(200)
    }
    assert database.known_at == 7
