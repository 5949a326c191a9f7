"""A worker whose clock can be stepped from outside: ``python -m inm.demo.stepped worker`` is ``inm worker`` with such a clock.

What is stepped is what Python calls the time (``time.time``, ``time.time_ns``); the monotonic clock goes on, as it does when
somebody sets a machine's clock.
"""

import mmap
import os
import runpy
import struct
import time
from collections.abc import Callable
from pathlib import Path

VARIABLE = "INM_DEMO_CLOCK"
_NANOSECONDS = struct.Struct("=q")


class Clock:
    """The clock of a process that is started with ``environment`` as ``module``; right at first."""

    module = "inm.demo.stepped"

    def __init__(self, file: Path) -> None:
        """``file`` tells the process how wrong its clock is."""
        self._file = file
        file.write_bytes(bytes(_NANOSECONDS.size))

    @property
    def environment(self) -> dict[str, str]:
        return {VARIABLE: str(self._file)}

    def step(self, seconds: float) -> None:
        """From now on it is wrong by so much."""
        with self._file.open("r+b") as file:
            file.write(_NANOSECONDS.pack(int(seconds * 1e9)))


def _stepped(file: Path) -> Callable[[], int]:
    with file.open("rb") as opened:
        offset = mmap.mmap(opened.fileno(), _NANOSECONDS.size, access=mmap.ACCESS_READ)
    right = time.time_ns
    return lambda: right() + int(_NANOSECONDS.unpack(offset[:])[0])


def main() -> None:
    """Replace the clock before anything has taken hold of it."""
    time_ns = _stepped(Path(os.environ.pop(VARIABLE)))
    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9
    runpy.run_module("inm", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
