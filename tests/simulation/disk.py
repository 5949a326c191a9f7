"""What survives a worker's death: the folders of its tables, as ``inm.streaming.database.Database`` has them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from inm.streaming.database import MARK, NEVER, Due, marks, parts_of


@dataclass
class Folder:
    """The rows, the changelog offset they stand at, when that was its end (ms), and the marks of what is due."""

    rows: dict[bytes, bytes] = field(default_factory=dict)
    offset: int = -1
    known_at: int = 0
    marks: set[bytes] = field(default_factory=set)

    def copy(self) -> "Folder":
        return replace(self, rows=dict(self.rows), marks=set(self.marks))


class Disks:
    """The folders of all workers, by path."""

    def __init__(self) -> None:
        self.folders: dict[Path, Folder] = {}

    def open(self, path: Path, due_of: Due | None = None) -> "MemoryDatabase":
        return MemoryDatabase(self, path, due_of)

    def lose(self, worker: str) -> None:
        """All folders of a worker are deleted while it is down."""
        for path in [path for path in self.folders if path.parts[0] == worker]:
            del self.folders[path]

    def image(self, worker: str) -> dict[Path, Folder]:
        """A copy of the folders, to be put back later."""
        return {path: folder.copy() for path, folder in self.folders.items() if path.parts[0] == worker}


class MemoryDatabase:
    """The interface of ``Database`` over a folder of :class:`Disks`. A write is all or nothing, and survives the process; of those while
    it is filled none does, which is the worst that can be left of them."""

    def __init__(self, disks: Disks, path: Path, due_of: Due | None = None) -> None:
        self._disks = disks
        self._path = path
        self.due_of = due_of
        self.folder = disks.folders.setdefault(path, Folder())
        self.filling = False

    @property
    def rows(self) -> dict[bytes, bytes]:
        return self.folder.rows

    @property
    def offset(self) -> int:
        return self.folder.offset

    @property
    def known_at(self) -> int:
        return self.folder.known_at

    @property
    def unmarked(self) -> set[bytes]:
        """Marks that its rows should have, and have not."""
        return {*marks(self.rows, self.due_of)} - self.folder.marks

    def get(self, key: bytes) -> bytes | None:
        assert not self.filling
        return self.rows.get(key)

    def write(self, rows: Mapping[bytes, bytes | None], offset: int, known_at: int) -> int:
        for key, value in rows.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        found = marks(rows, self.due_of)
        self.folder.marks.update(found)
        self.folder.offset, self.folder.known_at = offset, known_at
        return min([parts_of(mark)[0] for mark in found], default=NEVER)

    def scan(self, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        assert not self.filling
        for key in sorted(key for key in self.rows if start <= key < MARK):
            yield key, self.rows[key]

    def marks(self, start: int) -> Iterator[bytes]:
        yield from sorted(mark for mark in self.folder.marks if parts_of(mark)[0] >= start)

    def forget(self, marks: Iterable[bytes]) -> None:
        self.folder.marks.difference_update(marks)

    def fill(self) -> None:
        self.filling, self.folder = True, self.folder.copy()

    def serve(self) -> None:
        self.filling, self._disks.folders[self._path] = False, self.folder

    def wipe(self) -> None:
        self.filling, self.folder = False, Folder()
        self._disks.folders[self._path] = self.folder

    def close(self) -> None:
        return
