"""A partition's RocksDB: its rows, where it stands in its changelog, and marks of what is due in it."""

import shutil
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

from rocksdict import AccessType, BlockBasedOptions, Cache, MemtableFactory, Options, Rdict, WriteBatch, WriteBufferManager, WriteOptions

OFFSET_KEY = b"\xff\xffoffset"
"""The row that says where the database stands: written in one WriteBatch with the rows themselves."""
_STAND = struct.Struct(">qq")
"""The last changelog offset in the database, and :attr:`Database.known_at`."""
MARK = b"\xff\xffdue"
"""What the key of a mark begins with; its time and the key of its row follow. Marks put rows in the order of the times at which something
of them is due. They are made of the rows, so the changelog has nothing of them; what is no longer true of its row is deleted when its
time has come. Keys of rows sort before them."""
_TIME = struct.Struct(">Q")
NEVER = 1 << 63
"""Later than any time (ms)."""


Due = Callable[[bytes], int]
"""When (ms) something of a row is due, from the row as it is stored; 0: nothing is."""


def marks(rows: Mapping[bytes, bytes | None], due_of: Due | None) -> list[bytes]:
    """The keys of the marks of rows."""
    if due_of is None:
        return []
    dues = [(due_of(row), key) for key, row in rows.items() if row is not None]
    return [MARK + _TIME.pack(due) + key for due, key in dues if due]


def parts_of(mark: bytes) -> tuple[int, bytes]:
    """The time (ms) of a mark, and the key of its row."""
    return int(_TIME.unpack_from(mark, len(MARK))[0]), mark[len(MARK) + _TIME.size :]


_CACHE = Cache(128 << 20)
_MEMTABLES = WriteBufferManager(128 << 20, False)
"""Shared by all databases of the process: what each had of its own was up to 32 MiB for each partition of each table."""


def _options(filling: bool) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(8 << 20)
    options.set_max_write_buffer_number(2)
    options.set_write_buffer_manager(_MEMTABLES)
    options.set_arena_block_size(64 << 10)  # a memtable's first block: with many partitions, most have little to write
    options.set_max_open_files(256)
    blocks = BlockBasedOptions()
    blocks.set_block_cache(_CACHE)
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_bloom_filter(10, False)
    options.set_block_based_table_factory(blocks)
    if filling:
        options.set_memtable_factory(MemtableFactory.vector())
        options.set_allow_concurrent_memtable_write(False)  # as a vector wants it
        options.set_level_zero_file_num_compaction_trigger(16)  # each time all is put together anew; writes slow down from 20 on
    return options


class Database:
    """One partition's RocksDB folder and where it stands in its changelog."""

    offset: int
    """The last changelog offset in it; -1: none."""
    known_at: int
    """When (ms) the changelog certainly had nothing beyond :attr:`offset`: what is deleted in it was deleted after that."""
    get: Callable[[bytes], bytes | None]
    """The row of a key. RocksDB's own method: it is called several times for each notification."""

    def __init__(self, path: Path, due_of: Due | None = None) -> None:
        self._path = path
        self.due_of = due_of
        self._open()

    def _open(self, *, filling: bool = False) -> None:
        self.filling = filling
        """Whether it is between :meth:`fill` and :meth:`serve`."""
        self._path.mkdir(parents=True, exist_ok=True)
        options = _options(filling)
        # named: for a folder that is there, rocksdict else takes those it was made with, without the cache that all share
        self._db = Rdict(str(self._path), options, {"default": options}, AccessType.read_write())
        writing = WriteOptions()
        writing.disable_wal = filling  # type: ignore[method-assign, assignment] # an attribute, whatever its stub says
        self._db.set_write_options(writing)
        self.get = cast(Callable[[bytes], bytes | None], self._db.get)
        stored = self._db.get(OFFSET_KEY)
        # the first versions kept the offset alone: then nobody knows since when it stands
        self.offset, self.known_at = _STAND.unpack(stored.ljust(_STAND.size, b"\0")) if stored else (-1, 0)

    def write(self, rows: Mapping[bytes, bytes | None], offset: int, known_at: int) -> int:
        """Apply rows, their marks, the offset of the last of them and :attr:`known_at`, all or nothing. Returns the time (ms) of the first
        mark; :data:`NEVER`: there is none."""
        batch = WriteBatch(raw_mode=True)
        for key, value in rows.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        first = NEVER
        for mark in marks(rows, self.due_of):
            batch.put(mark, b"")
            first = min(first, parts_of(mark)[0])
        batch.put(OFFSET_KEY, _STAND.pack(offset, known_at))
        self._db.write(batch)
        self.offset, self.known_at = offset, known_at
        return first

    def scan(self, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Rows in key order from ``start``."""
        for key, value in self._db.items(from_key=start):
            if cast(bytes, key) >= MARK:
                return
            yield cast(bytes, key), value

    def marks(self, start: int) -> Iterator[bytes]:
        """The marks of a time (ms) and later, in their order."""
        for mark in self._db.keys(from_key=MARK + _TIME.pack(start)):
            if not cast(bytes, mark).startswith(MARK):
                return
            yield cast(bytes, mark)

    def forget(self, marks: Iterable[bytes]) -> None:
        """Delete marks."""
        batch = WriteBatch(raw_mode=True)
        for mark in marks:
            batch.delete(mark)
        self._db.write(batch)

    def fill(self) -> None:
        """Take many rows as fast as it can; until :meth:`serve` none is read.

        Rows are put in order when they leave memory, not one by one, and there is no log. What is written in one turn leaves in one
        turn, in the order of the writes: a process that dies meanwhile leaves the first of them, and how far they go.
        """
        self.close()
        self._open(filling=True)

    def serve(self) -> None:
        """All rows of :meth:`fill` are on the disk, and may be read."""
        self._db.flush()
        self.close()
        self._open()

    def wipe(self) -> None:
        """Start from nothing: the changelog cannot tell what has happened since this folder's last row."""
        self.close()
        shutil.rmtree(self._path)
        self._open()

    def close(self) -> None:
        self._db.close()
