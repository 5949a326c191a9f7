"""A worker's disk has no room left."""

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from inm.demo.faults.breaker import Breaker, Unable

SIZE = 512
"""MiB of the disk: RocksDB reserves 9 for the log of each of the 24 tables' partitions."""
MUCH = 16
"""MiB of user data that one of its partitions gets: more than was reserved."""


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[None]:
    """A disk of its own at this folder, in memory. :class:`Unable` where nothing may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "inm", str(folder)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise Unable("there is no mount here") from None
    if done.returncode:
        raise Unable(f"nothing may be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Write to a file until there is no room left."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(1 << 16))


def _partition(folder: Path) -> int:
    """One that the worker holds: its disk is a new one."""
    return min(int(path.name.removeprefix("users-")) for path in (folder / "tables").glob("users-*"))


async def fill_disk(breaker: Breaker) -> None:
    """The disk of a worker is full for some seconds, and much user data comes meanwhile."""
    installation, name = breaker.installation, breaker.worker()
    if installation.program != "inm":
        raise Unable("only inm's own workers are known to have their tables there")
    folder = installation.data(name)
    await installation.stop_worker(name)
    try:
        with small_disk(folder, SIZE):
            await installation.start_worker(name)
            await asyncio.to_thread(fill, folder / "filler")
            await breaker.run.send_much(_partition(folder), MUCH)
            await breaker.rest(5, 10)
            (folder / "filler").unlink()
            await installation.settled()
            await installation.stop_worker(name)
    finally:
        await installation.start_worker(name)
