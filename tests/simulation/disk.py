"""What survives a worker's death: the folders of its tables, as ``inm.streaming.tables.Database`` has them."""

from collections.abc import Iterator
from pathlib import Path

Folder = tuple[dict[bytes, bytes], int, int]
"""The rows, the changelog offset they stand at, and when that was its end (ms)."""


class Disks:
    """The folders of all workers, by path."""

    def __init__(self) -> None:
        self.folders: dict[Path, Folder] = {}

    def open(self, path: Path) -> "MemoryDatabase":
        return MemoryDatabase(self, path)

    def lose(self, worker: str) -> None:
        """All folders of a worker are deleted while it is down."""
        for path in [path for path in self.folders if path.parts[0] == worker]:
            del self.folders[path]

    def image(self, worker: str) -> dict[Path, Folder]:
        """A copy of the folders, to be put back later."""
        return {path: (dict(rows), offset, known_at) for path, (rows, offset, known_at) in self.folders.items() if path.parts[0] == worker}


class MemoryDatabase:
    """The interface of ``Database`` over a folder of :class:`Disks`. A write is all or nothing, and survives the process."""

    def __init__(self, disks: Disks, path: Path) -> None:
        self._disks = disks
        self._path = path
        self.rows, self.offset, self.known_at = disks.folders.get(path, ({}, -1, 0))
        disks.folders[path] = (self.rows, self.offset, self.known_at)

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def write(self, rows: dict[bytes, bytes | None], offset: int, known_at: int) -> None:
        for key, value in rows.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        self.offset, self.known_at = offset, known_at
        self._disks.folders[self._path] = (self.rows, offset, known_at)

    def scan(self, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(key for key in self.rows if key >= start):
            yield key, self.rows[key]

    def wipe(self) -> None:
        self.rows = {}
        self.offset, self.known_at = -1, 0
        self._disks.folders[self._path] = (self.rows, -1, 0)

    def close(self) -> None:
        return
