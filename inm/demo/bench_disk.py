"""What workers have on their disks: rows by table, counted one by one, and bytes. Of stopped workers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inm import topics
from inm.streaming.database import Database


@dataclass(frozen=True)
class Held:
    """Rows, and MiB of files, by table."""

    rows: Mapping[str, int]
    disk_mb: Mapping[str, float]

    def missing(self, filled: Mapping[str, int]) -> dict[str, int]:
        """How many rows fewer than were filled in each table; below 0: more, so some that had been deleted."""
        return {table: count - self.rows[table] for table, count in filled.items()}


def held(folder: Path) -> Held:
    """All rows of a worker, by its folder."""
    partitions = {table: sorted(folder.glob(f"tables/{table}-*")) for table in topics.TABLES}
    sizes = {table: sum(map(_bytes, paths)) for table, paths in partitions.items()}
    return Held(
        {table: sum(map(_rows, paths)) for table, paths in partitions.items()},
        {table: round(size / 2**20, 1) for table, size in sizes.items()},
    )


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _rows(folder: Path) -> int:
    database = Database(folder)
    try:
        # a partition's tallies lie among its journeys
        return sum(1 for key, _ in database.scan() if key[:1] not in (b"#", b"!"))
    finally:
        database.close()
