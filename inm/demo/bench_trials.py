"""What a worker goes through with full tables: each trial takes one from it, and looks how long it is away and what it has then."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any

from inm.demo.bench_disk import Held, held
from inm.demo.bench_fill import Fill
from inm.demo.bench_meter import PERIOD, cpu, forget_peak, peak_mb, rss_mb, scrape
from inm.demo.bench_rig import Rig

REST = 2.0
"""Seconds after the last notification is through until memory is called steady."""
READY, HELD = "inm_ready", "inm_table_partitions"
RESTORED, TOOK = "inm_restored_records_total", "inm_restore_seconds_total"


@dataclass(frozen=True)
class Return:
    """How a worker came (back) to all partitions. Times are seconds from its start, or from the signal to the other one."""

    ready_s: float
    first_through_s: float
    all_through_s: float
    restored: int
    restore_s: float
    cpu_s: float
    """CPU seconds of the worker in all this: times depend on what else the machine does."""
    rss_peak_mb: float
    rss_mb: float

    def report(self) -> dict[str, Any]:
        """As JSON, with the rate of the restore."""
        fields = {name: round(value, 2) for name, value in asdict(self).items()}
        return fields | {"restored_per_s": round(self.restored / self.restore_s) if self.restore_s else None}


class Trials:
    """Each begins and ends with ``worker-1`` stopped and its disk full; and returns what it measured and what is on that disk."""

    def __init__(self, rig: Rig, fill: Fill, partitions: int) -> None:
        self._rig = rig
        self._fill = fill
        self._partitions = partitions
        self._disk = rig.data("worker-1")

    async def restart(self) -> tuple[Return, Held]:
        """It was stopped, and starts on its own disk."""
        return await self._start()

    async def restart_killed(self) -> tuple[Return, Held]:
        """It was killed (-9), and starts on its own disk."""
        await self._rig.start_worker("worker-1")
        self._rig.kill_worker("worker-1")
        return await self._start()

    async def empty_disk(self) -> tuple[Return, Held]:
        """It starts with an empty disk."""
        await self._lose_disk()
        return await self._start()

    async def other_leaves(self) -> tuple[Return, Held]:
        """It has half of the partitions, began with an empty disk, and another worker is stopped."""
        return await self._take_over(lambda: self._rig.stop_worker("worker-2"))

    async def other_is_killed(self) -> tuple[Return, Held]:
        """The same, but the other worker is killed (-9)."""
        return await self._take_over(lambda: asyncio.to_thread(self._rig.kill_worker, "worker-2"))

    async def _start(self) -> tuple[Return, Held]:
        return await self._measure(lambda: self._rig.spawn_worker("worker-1"))

    async def _take_over(self, go: Callable[[], Awaitable[object]]) -> tuple[Return, Held]:
        await self._rig.start_worker("worker-2")
        await self._lose_disk()
        await self._rig.start_worker("worker-1")
        await self._holds("worker-2", self._partitions // 2)
        await self._holds("worker-1", self._partitions - self._partitions // 2)
        forget_peak(self._rig.pid("worker-1"))
        return await self._measure(go)

    async def _lose_disk(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self._disk)

    async def _measure(self, event: Callable[[], Awaitable[object]]) -> tuple[Return, Held]:
        """What the event makes ``worker-1`` do, until it holds everything; then it is stopped."""
        there = "worker-1" in self._rig.workers
        before, used = (await self._metrics(), cpu(self._rig.pid("worker-1"))) if there else ({}, 0.0)
        began = monotonic()
        happening = asyncio.ensure_future(event())
        through = asyncio.create_task(self._fill.through(began))
        try:
            await self._holds("worker-1", self._partitions)
            ready = monotonic() - began
            passed = await through
            used = cpu(self._rig.pid("worker-1")) - used
        finally:
            through.cancel()
            await happening
        await asyncio.sleep(REST)
        after, pid = await self._metrics(), self._rig.pid("worker-1")
        restored, took = (after[name] - before.get(name, 0.0) for name in (RESTORED, TOOK))
        found = Return(ready, passed[0], passed[-1], int(restored), took, used, peak_mb(pid), rss_mb(pid))
        await self._rig.stop_worker("worker-1")
        return found, await asyncio.to_thread(held, self._disk)

    async def _holds(self, worker: str, partitions: int) -> None:
        """Until a worker is ready and has so many partitions of the tables. ``RuntimeError`` if it has ended."""
        ready = (1.0, float(partitions))
        while ((now := await self._metrics(worker)).get(READY), now.get(HELD)) != ready:
            if worker in self._rig.workers and not self._rig.workers[worker].running:
                raise RuntimeError(f"{worker} has ended; its log is lost with {self._rig.folder}")
            await asyncio.sleep(PERIOD)

    async def _metrics(self, worker: str = "worker-1") -> Mapping[str, float]:
        """What a worker says of itself, without labels; nothing while it does not answer."""
        try:
            found = await asyncio.to_thread(scrape, self._rig.url(worker))
        except (OSError, KeyError):
            return {}
        return {name: value for (name, labels), value in found.items() if not labels}


TRIALS: dict[str, Callable[[Trials], Awaitable[tuple[Return, Held]]]] = {
    name.replace("_", "-"): function for name, function in vars(Trials).items() if callable(function) and not name.startswith("_")
}
"""By name, in the order of the class."""
