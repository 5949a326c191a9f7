"""Watchdogs: a worker that stands still ends itself, so that the others take its partitions over."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from inm import metrics
from inm.streaming.consumer import Consumer
from inm.streaming.fatal import EXIT_LOOP, EXIT_STALL, EXIT_STOP, EXIT_UNREAD, leave

log = logging.getLogger("inm.watchdog")

STALL_LIMIT = 60.0
"""Seconds with chunks pending and no commit, or with records to read and none read (faust-streaming #596, #175, #640)."""
CHUNK_LIMIT = 300.0
"""Seconds a stage may take for one chunk: only what is never going to end takes that long, and its partition stands still meanwhile."""
STOP_LIMIT = 25.0
"""Seconds a stop may take: a SIGTERM while joining a group hung Faust for good."""
BLOCKED = 1.0
"""Seconds without a turn of the event loop that are told in the log and counted."""
LOOP_LIMIT = 15.0
"""Seconds without a turn of the event loop that end the process. Not :data:`BLOCKED`, which a busy machine reaches by itself."""


@dataclass(slots=True)
class Vitals:
    """What a watchdog goes by. Times are of the monotonic clock."""

    beaten_at: float
    """The last turn of the event loop."""
    stopping_at: float | None = None
    ready: bool = False
    """Whether the worker has its partitions and reads them."""
    pending: int = 0
    """Chunks fetched and not committed."""
    progressed_at: float = 0.0
    """The last commit that got any further, or the last time that nothing was pending."""
    worked_since: float | None = None
    """Since when the chunk has been under way that has been longest."""
    lagging: int = 0
    """Partitions that have records, and should be read."""
    read_at: float = 0.0
    """The last record read, or the last time that there was none to read."""


def diagnose(vitals: Vitals, now: float) -> tuple[int, str] | None:
    """The exit code and the reason to end the process, or None."""
    if vitals.stopping_at is not None:
        took = now - vitals.stopping_at
        return (EXIT_STOP, f"the stop has taken over {STOP_LIMIT:.0f} s") if took > STOP_LIMIT else None
    if now - vitals.beaten_at > LOOP_LIMIT:
        return EXIT_LOOP, f"the event loop has been blocked for {LOOP_LIMIT:.0f} s"
    if vitals.ready and vitals.pending and now - vitals.progressed_at > STALL_LIMIT:
        return EXIT_STALL, f"{vitals.pending} chunks pending and no commit for {STALL_LIMIT:.0f} s"
    if vitals.ready and vitals.worked_since is not None and now - vitals.worked_since > CHUNK_LIMIT:
        return EXIT_STALL, f"a chunk has been under way for {CHUNK_LIMIT:.0f} s"
    if vitals.ready and vitals.lagging and now - vitals.read_at > STALL_LIMIT:
        return EXIT_UNREAD, f"{vitals.lagging} partitions have records and none was read for {STALL_LIMIT:.0f} s"
    return None


def observe(vitals: Vitals, consumer: Consumer, ready: bool, now: float) -> None:
    """Take the pulse. What begins after idleness has not been late since the idleness began."""
    vitals.beaten_at, vitals.ready = now, ready
    vitals.pending = consumer.pending if ready else 0
    vitals.lagging = consumer.lagging if ready else 0
    vitals.worked_since = consumer.worked_since
    vitals.progressed_at = max(vitals.progressed_at, consumer.progressed_at) if vitals.pending else now
    vitals.read_at = max(vitals.read_at, consumer.read_at) if vitals.lagging else now


class Watchdog:
    """A thread of its own: it must see what a blocked event loop cannot."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], consumer: Consumer, ready: Callable[[], bool]) -> None:
        """``call_soon`` runs a function on the event loop; ``ready`` says whether partitions are being read."""
        self._call_soon = call_soon
        self._consumer = consumer
        self._ready = ready
        self._vitals = Vitals(monotonic(), progressed_at=monotonic(), read_at=monotonic())
        self._blocked = False
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stopping(self) -> None:
        """A stop has begun: from now on it must end within :data:`STOP_LIMIT`."""
        if self._vitals.stopping_at is None:
            self._vitals.stopping_at = monotonic()

    def _watch(self) -> None:
        pause = threading.Event()
        while not pause.wait(0.5):
            now = monotonic()
            self._tell_blocked(now - self._vitals.beaten_at)
            verdict = diagnose(self._vitals, now)
            if verdict:
                leave(*verdict)
            try:
                self._call_soon(self._beat)
            except RuntimeError:  # the loop is closed, and with it the stop is over
                return

    def _tell_blocked(self, seconds: float) -> None:
        blocked = seconds > BLOCKED
        if blocked and not self._blocked:
            metrics.LOOP_BLOCKED.inc()
            log.warning("the event loop has been blocked for %.1f s", seconds)
        self._blocked = blocked

    def _beat(self) -> None:
        """On the event loop: look at what only it may look at."""
        observe(self._vitals, self._consumer, self._ready(), monotonic())
