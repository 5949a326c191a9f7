"""Loads from one source: the same key once, many keys a query, a bounded number of queries, none while the breaker is open."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inm import metrics
from inm.core.sources import Kind, Row, Source
from inm.sources.base import Client, Reason, SourceError
from inm.sources.breaker import Breaker

log = logging.getLogger("inm.sources")

PATIENCE = 30.0
"""Seconds a key may wait for a free connection. That the source answers others meanwhile is no failure: a crowd that nobody has asked
for yet is to be loaded as fast as the source can, and would only come again later. Behind a source that does not answer nobody
waits as long, since the breaker opens."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the source said of a key: its rows, none if it knows none, or what is wrong with them. ``began`` (ms): when it was asked."""

    rows: Sequence[Row] | str
    began: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The source could not be asked, or not in time."""

    reason: Reason


Result = Found | Failed
Rows = Mapping[str, Sequence[Row] | str]


@dataclass(eq=False, slots=True)
class _Wanted:
    kind: Kind
    key: str
    until: float
    result: asyncio.Future[Result]


class Loader:
    """Lives on one event loop. ``now`` gives ms since 1970."""

    def __init__(self, source: Source, connect: Callable[[], Client], now: Callable[[], int]) -> None:
        """``connect`` makes the client when something is first asked for."""
        self.source = source
        self._connect = connect
        self._client: Client | None = None
        self._now = now
        self._breaker = Breaker()
        self._wanted: dict[tuple[Kind, str], _Wanted] = {}
        self._queue: dict[Kind, deque[_Wanted]] = {"users": deque(), "offers": deque()}
        self._batch = source.batch if source.type == "sql" else 1
        self._calls = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._told: str | None = None

    async def load(self, kind: Kind, keys: Iterable[str]) -> dict[str, Result]:
        """What the source says of each key. Takes at most :data:`PATIENCE` and its time limit; never raises for what it does."""
        asked = {key: self._want(kind, key) for key in keys}
        self._pump()
        if asked:
            await asyncio.wait(asked.values())  # not gather, which would take the results of others with it when it is cancelled
        return {key: result.result() for key, result in asked.items()}

    def _want(self, kind: Kind, key: str) -> asyncio.Future[Result]:
        wanted = self._wanted.get((kind, key))
        if wanted is None:
            loop = asyncio.get_running_loop()
            wanted = _Wanted(kind, key, loop.time() + PATIENCE, loop.create_future())
            self._wanted[kind, key] = wanted
            self._queue[kind].append(wanted)
        return wanted.result

    def _pump(self) -> None:
        """Begin as many calls as may be; while all are busy, what is wanted gathers, and the next one asks for more at once."""
        now = asyncio.get_running_loop().time()
        while self._calls < self.source.connections and any(self._queue.values()):
            queue = min(filter(None, self._queue.values()), key=lambda queue: queue[0].until)
            batch = self._take(queue, now)
            if batch and self._breaker.admits(now):
                self._calls += 1
                self._spawn(self._call(batch))
            else:
                self._settle(batch, Failed("open"))

    def _take(self, queue: deque[_Wanted], now: float) -> list[_Wanted]:
        """The next ones of a kind, without those whose time is over."""
        taken = [queue.popleft() for _ in range(min(self._batch, len(queue)))]
        self._settle((wanted for wanted in taken if wanted.until <= now), Failed("busy"))
        return [wanted for wanted in taken if wanted.until > now]

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _call(self, batch: list[_Wanted]) -> None:
        loop = asyncio.get_running_loop()
        began, started = self._now(), loop.time()
        try:
            rows = await self._fetch(batch[0].kind, [wanted.key for wanted in batch])
        except SourceError as error:
            self._breaker.told(False, loop.time())
            self._tell(error.reason, error.detail)
            self._settle(batch, Failed(error.reason))
        else:
            self._breaker.told(True, loop.time())
            self._tell("ok", "")
            for wanted in batch:
                self._settle([wanted], Found(rows.get(wanted.key, ()), began))
        metrics.SOURCE_SECONDS.labels(self.source.tenant).observe(loop.time() - started)
        self._calls -= 1
        self._pump()

    async def _fetch(self, kind: Kind, keys: list[str]) -> Rows:
        if self._client is None:
            self._client = self._connect()
        fetching = self._spawn(_outcome(self._client, kind, keys))
        # Not asyncio.timeout: a driver that has lost its server may take its time to give up a call that is cancelled.
        done, _ = await asyncio.wait({fetching}, timeout=self.source.timeout)
        if not done:
            fetching.cancel()
            raise SourceError("timeout", f"no answer in {self.source.timeout} s")
        outcome: Rows | SourceError = fetching.result()
        if isinstance(outcome, SourceError):
            raise outcome
        return outcome

    def _tell(self, result: str, detail: str) -> None:
        """Count it, and log what has changed since the last call."""
        metrics.SOURCE_QUERIES.labels(self.source.tenant, result).inc()
        metrics.SOURCE_UP.labels(self.source.tenant).set(not self._breaker.open)
        if result != self._told:
            if result != "ok":
                log.warning("source %s of %s fails: %s, %s", self.source.name, self.source.tenant, result, detail)
            elif self._told is not None:
                log.warning("source %s of %s answers again", self.source.name, self.source.tenant)
            self._told = result

    def _settle(self, batch: Iterable[_Wanted], result: Result) -> None:
        for wanted in batch:
            del self._wanted[wanted.kind, wanted.key]
            wanted.result.set_result(result)

    async def close(self) -> None:
        """End the calls under way, and let go of the connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()


async def _outcome(client: Client, kind: Kind, keys: list[str]) -> Rows | SourceError:
    """What a call brings or raises. Nobody may be there any more to take an exception, and its words are not for the log."""
    try:
        return await client.fetch(kind, keys)
    except SourceError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a driver that cannot connect raises what it likes
        return SourceError("unreachable", type(error).__name__)
