"""Runs plug-ins: what is installed under the entry-point group ``inm.algorithms``, each in a thread of its own and within its time.

The decision waits for a plug-in, but never longer than its limit, and a plug-in that is late again and again is left
out for a while. What hangs holds up its own thread only. This is no sandbox: a plug-in is code of the installation.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from copy import deepcopy
from importlib.metadata import entry_points
from queue import SimpleQueue
from typing import Any, Literal, TypeVar

import msgspec

from inm import metrics
from inm.core.algorithms import Candidate, Context
from inm.core.fields import FieldName
from inm.core.grounds import Called, Report
from inm.core.scenarios import Algorithm

__all__ = ["GROUP", "Candidate", "Context", "Installed", "installed"]

log = logging.getLogger("inm.algorithms")

GROUP = "inm.algorithms"
STRIKES = 5
"""Calls in a row that may be late; then the plug-in rests."""
REST = 30.0
"""Seconds that it rests. Late again after that, it rests again."""
MAX_ADDED = 16 * 1024
"""Bytes of what ``enrich`` may add, as JSON."""

Hook = Literal["choose", "enrich"]
T = TypeVar("T")
_Job = tuple["Future[Any]", Callable[[], Any]]


class _Line:
    """One plug-in and its thread."""

    def __init__(self, name: str, plugin: Any, clock: Callable[[], float]) -> None:
        self._name = name
        self._plugin = plugin
        self._clock = clock
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._last: Future[Any] | None = None
        self._late = 0
        self._rests_until = 0.0
        threading.Thread(target=self._work, name=f"algorithm {name}", daemon=True).start()

    def call(self, hook: Hook, limit: int, work: Callable[[Callable[..., Any]], T]) -> tuple[T | None, Called, str]:
        """What ``work`` makes of the plug-in's hook within ``limit`` ms, what came of it, and why if it is nothing."""
        function = getattr(self._plugin, hook, None)
        if not callable(function):
            return None, "missing", f"it has no {hook}"
        if self._last is not None and not self._last.done():
            return self._missed("busy", "with an earlier call")
        if self._late >= STRIKES and self._clock() < self._rests_until:
            return None, "resting", ""
        job: Future[T] = Future()
        self._last = job
        self._jobs.put((job, lambda: work(function)))
        try:
            error = job.exception(limit / 1000)
        except TimeoutError:
            return self._missed("late", f"after {limit} ms")
        self._late = 0
        if error is None:
            return job.result(), "used", ""
        log.warning("algorithm %s: %s failed: %s", self._name, hook, type(error).__name__)
        # the words of its own errors may hold values
        return None, "failed", str(error) if isinstance(error, _NonsenseError) else f"it raised {type(error).__name__}"

    def _missed(self, result: Called, detail: str) -> tuple[None, Called, str]:
        self._late += 1
        if self._late >= STRIKES:
            if self._clock() >= self._rests_until:
                log.warning("algorithm %s was late %d times in a row and rests for %d s", self._name, self._late, REST)
            self._rests_until = self._clock() + REST
        return None, result, detail

    def _work(self) -> None:
        while True:
            job, work = self._jobs.get()
            try:
                job.set_result(work())
            except BaseException as error:  # noqa: BLE001 - whatever a plug-in raises, also to end the process, is its own affair
                job.set_exception(error)


class _NonsenseError(ValueError):
    """What a plug-in answered cannot be used. The message repeats nothing of it."""


class Installed:
    """The plug-ins by name; see :class:`inm.core.algorithms.Algorithms`."""

    def __init__(self, plugins: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._lines = {name: _Line(name, plugin, clock) for name, plugin in plugins.items()}

    @property
    def names(self) -> list[str]:
        """Sorted."""
        return sorted(self._lines)

    def choose(self, algorithm: Algorithm, candidates: Sequence[Candidate], context: Context) -> tuple[list[int] | None, Report]:
        """See :class:`inm.core.algorithms.Algorithms`."""
        given = list(candidates)
        return self._call(algorithm, "choose", context, lambda function, known: _chosen(function(list(given), known), given))

    def enrich(self, algorithm: Algorithm, context: Context) -> tuple[dict[str, Any] | None, Report]:
        """See :class:`inm.core.algorithms.Algorithms`."""
        return self._call(algorithm, "enrich", context, lambda function, known: _added(function(known)))

    def _call(
        self, algorithm: Algorithm, hook: Hook, context: Context, work: Callable[[Callable[..., Any], Context], T]
    ) -> tuple[T | None, Report]:
        line = self._lines.get(algorithm.name)
        if line is None:
            metrics.ALGORITHMS.labels("other", hook, "missing").inc()
            return None, Report(algorithm.name, hook, "missing")
        known = deepcopy(context)  # a plug-in that goes on too late must not meet what the decision goes on with
        found, result, detail = line.call(hook, algorithm.limit, lambda function: work(function, known))
        metrics.ALGORITHMS.labels(algorithm.name, hook, result).inc()
        return found, Report(algorithm.name, hook, result, detail)


def installed() -> Installed:
    """All that are installed beside INM. One that cannot be imported is told in the log, and is as if it were missing."""
    plugins: dict[str, Any] = {}
    for entry in entry_points(group=GROUP):
        try:
            plugins[entry.name] = entry.load()
        except Exception:
            log.exception("algorithm %s cannot be imported", entry.name)
    return Installed(plugins)


def _chosen(answer: Any, given: Sequence[Candidate]) -> list[int]:
    if not isinstance(answer, list | tuple) or not all(candidate in given for candidate in answer):
        raise _NonsenseError("choose answers a list of the candidates it was given")
    steps = [candidate.step for candidate in answer]
    if len(set(steps)) < len(steps):
        raise _NonsenseError("choose named a candidate twice")
    return steps


def _added(answer: Any) -> dict[str, Any]:
    try:
        data = msgspec.json.encode(answer)
        added = msgspec.json.decode(data, type=dict[FieldName, Any])
    except (TypeError, ValueError) as error:
        raise _NonsenseError("enrich answers a mapping from field names to JSON data") from error
    if len(data) > MAX_ADDED:
        raise _NonsenseError(f"enrich added {len(data)} bytes, allowed are {MAX_ADDED}")
    return dict(added)
