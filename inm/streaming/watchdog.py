"""Watchdogs: a worker that stands still ends itself, so that the others take its partitions over."""

import logging
import threading
from collections.abc import Callable
from time import monotonic

from inm.streaming.consumer import Consumer
from inm.streaming.fatal import EXIT_STALL, EXIT_STOP, leave

log = logging.getLogger("inm.watchdog")

STALL_LIMIT = 60.0
"""Seconds with chunks pending and no commit, or with partitions assigned and no fetch returning."""
STOP_LIMIT = 25.0
"""Seconds a stop may take; a SIGTERM while joining a group hung Faust for good."""
LOOP_LIMIT = 1.0
"""Seconds the event loop may be blocked before it is told in the log."""


class Watchdog:
    """A thread of its own: it must see what a blocked event loop cannot."""

    def __init__(self, beat: Callable[[Callable[[], None]], object], consumer: Consumer, ready: Callable[[], bool]) -> None:
        """``beat`` runs a function on the event loop soon; ``ready`` says whether partitions are being read."""
        self._beat = beat
        self._consumer = consumer
        self._ready = ready
        self._beaten_at = monotonic()
        self._stopping_at: float | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stopping(self) -> None:
        """A stop has begun: from now on it must end within :data:`STOP_LIMIT`."""
        if self._stopping_at is None:
            self._stopping_at = monotonic()

    def end(self) -> None:
        """The stop is over."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self._check(monotonic())
            try:
                self._beat(self._mark)
            except RuntimeError:  # the loop is closed
                return

    def _mark(self) -> None:
        self._beaten_at = monotonic()

    def _check(self, now: float) -> None:
        if now - self._beaten_at > LOOP_LIMIT:
            log.warning("the event loop has been blocked for %.1f s", now - self._beaten_at)
        if self._stopping_at is not None:
            if now - self._stopping_at > STOP_LIMIT:
                leave(EXIT_STOP, f"the stop has taken over {STOP_LIMIT:.0f} s")
            return
        if now - self._beaten_at > STALL_LIMIT:
            leave(EXIT_STALL, "the event loop is blocked")
        if self._ready():
            if self._consumer.pending and now - self._consumer.progressed_at > STALL_LIMIT:
                leave(EXIT_STALL, f"{self._consumer.pending} chunks pending and no commit")
            if now - self._consumer.fetched_at > STALL_LIMIT:
                leave(EXIT_STALL, "no fetch has returned")
