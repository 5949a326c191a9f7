"""Typed rows: they end, are due, and are swept as fast as they end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from inm.streaming.database import Database
from inm.streaming.emitter import Batch
from inm.streaming.stage import Output
from inm.tables.rows import SWEEP, SWEEP_ON, Rows

NOW = 1_800_000_000_000
END = NOW + 1000


class Thing(msgspec.Struct, array_like=True):
    name: str


class Taking:
    """Stands for the emitter: the broker has everything at once."""

    def make_room(self, topic: str, partition: int, size: int) -> None:
        """There is."""

    def emit(self, topic: str, partition: int, key: bytes | None, value: bytes | None, *, essential: bool = False) -> Batch:
        acked: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        acked.set_result(0)
        return Batch(None, acked, records=[(key, value)])


class Shelf:
    """A table of things in one partition."""

    def __init__(self, folder: Path) -> None:
        self.rows = Rows("things", Thing)
        self._emitter = cast(Any, Taking())
        self.rows.table.serve(0, Database(folder / "things-0", self.rows.table.due_of), self._emitter, print, lambda: True)

    def at(self, now: int) -> Output:
        return Output(self._emitter, 0, now)

    async def put(self, things: dict[str, int], due: int = 0) -> None:
        """Things by name, with their ends."""
        out = self.at(NOW)
        for name, end in things.items():
            self.rows.put(out, name, Thing(name), end, due)
        await self._settle(out)

    async def sweep(self, now: int) -> None:
        out = self.at(now)
        self.rows.sweep(out)
        await self._settle(out)

    @property
    def names(self) -> set[str]:
        return {key.decode() for key, _ in self.rows.table[0].scan()}

    async def _settle(self, out: Output) -> None:
        out.accept()
        await out.settle()


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.rows.table.close()


async def test_a_row_past_its_end_is_none_and_swept(shelf: Shelf) -> None:
    await shelf.put({"a": END, "b": END + 1})
    assert shelf.rows.get(shelf.at(END), "a") == Thing("a")
    assert shelf.rows.get(shelf.at(END + 1), "a") is None
    await shelf.sweep(END + 1)
    assert shelf.names == {"b"}


async def test_a_sweep_looks_at_a_few_rows_and_goes_on_where_it_stopped(shelf: Shelf) -> None:
    await shelf.put({f"{number:05}": END + number // SWEEP for number in range(3 * SWEEP)})
    ended = {f"{number:05}" for number in range(SWEEP, 2 * SWEEP)}
    await shelf.put(dict.fromkeys(ended, NOW - 1))
    await shelf.sweep(END)
    assert shelf.names >= ended, "the first ones have not ended: the next sweep looks further"
    await shelf.sweep(END)
    assert not shelf.names & ended


async def test_a_sweep_goes_on_while_much_has_ended(shelf: Shelf) -> None:
    await shelf.put({f"{number:05}": NOW - 1 if number % 4 == 0 else END for number in range(2 * SWEEP_ON)})
    await shelf.sweep(NOW)
    assert len(shelf.names) == 2 * SWEEP_ON - SWEEP_ON // 4
    await shelf.sweep(NOW)
    await shelf.sweep(NOW)
    assert all(int(name) % 4 for name in shelf.names)


async def test_rows_are_due_when_their_time_has_come(shelf: Shelf) -> None:
    await shelf.put({"a": END}, due=NOW + 5)
    assert shelf.rows.due(shelf.at(NOW + 4), 9) == []
    assert shelf.rows.due(shelf.at(NOW + 5), 9) == [Thing("a")]
