"""Starts a worker again when it ends itself, for where no container or init system does."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

import click

SHORTEST, LONGEST = 1.0, 30.0
"""Seconds until the next start, doubling from one to the other; back to the first after :data:`STEADY` seconds of life."""
STEADY = 60.0
FINAL = frozenset({0, 2, 78})
"""Exit codes after which a restart would change nothing: done, wrong usage, misconfigured."""


def pause_after(lived: float, pause: float) -> float:
    """Seconds to wait before the next start, by how long the worker lived and the pause before that."""
    return SHORTEST if lived >= STEADY else min(LONGEST, max(SHORTEST, pause * 2))


def supervise(arguments: Sequence[str]) -> int:
    """Run ``inm worker`` with these arguments until it ends for good; SIGTERM and SIGINT stop it. Returns its exit code."""
    child: subprocess.Popen[bytes] | None = None
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()
        if child is not None:
            child.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    pause = 0.0
    while True:
        began = time.monotonic()
        child = subprocess.Popen([sys.executable, "-m", "inm", "worker", *arguments], start_new_session=True)
        code = child.wait()
        if stopping.is_set() or code in FINAL:
            return code
        pause = pause_after(time.monotonic() - began, pause)
        click.echo(f"inm: the worker ended with {code}; it is started again in {pause:.0f} s", err=True)
        if stopping.wait(pause):
            return code
