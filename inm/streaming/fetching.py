"""What a fetch asks for, and how long it waits for company."""

from collections.abc import Collection, Iterable
from pathlib import Path
from time import monotonic, process_time
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED

FETCH_MAX_WAIT = (5, 40)
"""Milliseconds the broker may keep a fetch for more data, at least and at most; Faust has 1 500. aiokafka has one fetch under way to a
broker: a partition whose records were just taken is not in it, and waits until it ends."""
PER_PARTITION = 4
"""Milliseconds of that for each partition of which the last one brought something, where process or machine is busy all the time. A fetch
costs as much as dozens of records, so who has no time fetches in large pieces."""
FREE = 0.6
"""Up to this share of its core, and of the machine, a process has time: it fetches as often as it can, and nobody waits for company."""
BUSY_OVER = 0.5
"""Seconds over which it is measured how busy process and machine are."""
FETCH_MIN_BYTES = 64 * 1024
"""Bytes for which a fetch does not wait."""
IDLE_WAIT = 250
"""Milliseconds the broker may keep a fetch, where the last one brought nothing and none is held back: the first record ends it at once, and
whoever has nothing to do costs nothing."""
PREFETCH_BACKOFF = 0.005
"""Seconds for which a fetch waits until what the last one brought is taken; aiokafka has 0.1. A lane that is held back takes nothing, and
while it does so each fetch would wait as long, that of the other lanes too."""
WARM = 1.0
"""Seconds for which a partition is in every fetch after it brought something, or after this process wrote to it."""
ROUND = 0.1
"""Seconds from one fetch that names all partitions to the next, while there is something to do: the broker looks into each partition that a
fetch names, and most have nothing. Whoever has nothing to do names all of them every time, and hears of the first record at once."""


def _machine() -> tuple[int, int]:
    """Processor time of all that runs here, and in all, since the machine began; (0, 0) where Linux does not tell."""
    try:
        with Path("/proc/stat").open(encoding="ascii") as file:
            times = [int(each) for each in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return 0, 0
    return sum(times) - times[3] - times[4], sum(times)


class _Narrowed:
    """An assignment of which only some partitions are asked for."""

    def __init__(self, assignment: Any, tps: Collection[TopicPartition]) -> None:
        self.tps = tps
        self.state_value = assignment.state_value


class Fetches:
    """Paces the fetches of aiokafka's consumer."""

    def __init__(self) -> None:
        self._wait = FETCH_MAX_WAIT[0]
        self._busy = 0.0
        self._measured = 0.0, 0.0
        """When, and after how much CPU time."""
        self._machine = 0, 0
        self._warm: dict[tuple[str, int], float] = {}
        """Until when each partition is in every fetch."""
        self._rounds: dict[int, float] = {}
        """When the next fetch from each broker is to name all of its partitions."""

    def pace(self, fetcher: Any) -> None:
        """Let a fetch name what may have something, wait for company while there is much, and long while there is nothing."""
        vars(fetcher).update(_isolation_level=READ_COMMITTED, _prefetch_backoff=PREFETCH_BACKOFF)
        process, plan = fetcher._proc_fetch_request, fetcher._get_actions_per_node
        busy: set[int] = set()

        async def processed(assignment: Any, node: int, request: Any) -> bool:
            brought = bool(await process(assignment, node, request))
            (busy.add if brought else busy.discard)(node)
            return brought

        def plan_of(assignment: Any) -> Any:
            idle = not (busy or fetcher._records)  # then every partition is in the fetch
            fetcher._fetch_max_wait_ms, fetcher._fetch_min_bytes = (IDLE_WAIT, 1) if idle else (self._wait, FETCH_MIN_BYTES)
            now = monotonic()
            warm = None if idle else self._narrowed(assignment, now)
            planned = plan(warm or assignment)
            if not warm:  # a broker that a fetch is under way to is not asked now: its turn is still to come
                self._rounds.update((node, now + ROUND) for node, _ in planned[0])
            return planned

        fetcher._proc_fetch_request, fetcher._get_actions_per_node = processed, plan_of

    def _narrowed(self, assignment: Any, now: float) -> _Narrowed | None:
        """What may have something; None if all are to be asked for."""
        if now >= min(self._rounds.values(), default=now):
            return None
        warm = [tp for tp in assignment.tps if self._warm.get(tp, 0.0) > now]
        return _Narrowed(assignment, warm) if warm else None

    def brought(self, tps: Collection[tuple[str, int]]) -> None:
        """The last fetch had records of these: how long the next one waits follows from how many they are."""
        least, most = FETCH_MAX_WAIT
        now, spent = monotonic(), process_time()
        if now - self._measured[0] >= BUSY_OVER:
            own, machine = (spent - self._measured[1]) / (now - self._measured[0]), _machine()
            others = (machine[0] - self._machine[0]) / max(1, machine[1] - self._machine[1])
            self._busy, self._measured, self._machine = max(own, others), (now, spent), machine
        pressed = max(0.0, self._busy - FREE) / (1 - FREE)
        self._wait = round(min(max(least, PER_PARTITION * pressed * len(tps)), most))
        self.expect(tps)

    def expect(self, tps: Iterable[tuple[str, int]]) -> None:
        """There is, or will soon be, something in these."""
        self._warm.update(dict.fromkeys(tps, monotonic() + WARM))
