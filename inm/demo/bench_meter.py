"""What a load is measured by: marks in the EDR topic, and the CPU time and memory of processes (Linux, ``/proc``).

During a measurement only offsets are asked for; the records between two marks are read and counted when it is over.
"""

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from urllib.request import urlopen

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from inm import topics
from inm.core.edr import Event, Times
from inm.core.records import Lane
from inm.demo.census import percentiles

STALL = 30.0
"""Seconds without a single new record after which a measurement is given up."""
PERIOD = 0.1
"""Seconds between two looks at how far the workers are."""
PROC = Path("/proc")
STAGE_SECONDS = "inm_stage_seconds_total"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Mark:
    """A moment: monotonic seconds, the end of each EDR partition, CPU seconds of each group of processes."""

    at: float
    ends: Mapping[TopicPartition, int]
    cpu: Mapping[str, float]
    stages: Mapping[str, float] = field(default_factory=dict)
    """Seconds for which each stage has decided, all workers together."""


class _Edr(msgspec.Struct):
    """What a measurement reads of an EDR."""

    event: Event
    times: Times
    final: bool = False
    lane: Lane | None = None


_decode = msgspec.json.Decoder(_Edr).decode


@dataclass
class Count:
    """The ends of notifications by event, and how long each took from request to provider, by lane (ms)."""

    final: Counter[str] = field(default_factory=Counter)
    latencies: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, value: bytes) -> None:
        """Take an EDR into account."""
        submitted = b'"event":"submitted"' in value
        if not submitted and b'"final":true' not in value:
            return
        edr = _decode(value)
        if edr.final:
            self.final[edr.event] += 1
        if submitted and edr.times.submitted is not None:
            self.latencies[edr.lane or "normal"].append(edr.times.submitted - edr.times.received)

    @property
    def complete(self) -> int:
        """Notifications that reached what their plan wants: the handset, or for e-mail the server."""
        return self.final["delivered"] + self.final["submitted"]

    def latency_ms(self) -> dict[str, dict[str, int | None]]:
        """p50, p95 and p99 by lane."""
        return {lane: percentiles(self.latencies[lane]) for lane in sorted(self.latencies)}


class Meter:
    """Looks at a cluster without being in its way."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        """``partitions`` of every topic that is looked at."""
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        self._partitions = range(partitions)

    async def start(self) -> None:
        await self._consumer.start()

    async def stop(self) -> None:
        await self._consumer.stop()

    async def ends(self, topic: str) -> dict[TopicPartition, int]:
        """The offset after the last record of each partition."""
        return dict(await self._consumer.end_offsets([TopicPartition(topic, number) for number in self._partitions]))

    async def count(self, topic: str) -> int:
        """How many records were ever written to a topic."""
        return sum((await self.ends(topic)).values())

    async def reaches(self, topic: str, target: int) -> None:
        """Wait until a topic has so many records. ``RuntimeError`` if none comes for long."""
        best, since = -1, monotonic()
        while (now := await self.count(topic)) < target:
            if now > best:
                best, since = now, monotonic()
            elif monotonic() - since > STALL:
                raise RuntimeError(f"nothing has come on {topic} for {STALL:.0f} s")
            await asyncio.sleep(PERIOD)

    async def mark(self, processes: Mapping[str, Iterable[int]], workers: Iterable[str] = ()) -> Mark:
        """The present moment, with the CPU time of groups of process ids, and what workers at these URLs say of their stages."""
        stages: Counter[str] = Counter()
        for url in workers:
            found = await asyncio.to_thread(scrape, url)
            stages.update({labels[0]: value for (name, labels), value in found.items() if name == STAGE_SECONDS})
        ends = await self.ends(topics.EDR)
        return Mark(monotonic(), ends, {name: sum(map(cpu, pids)) for name, pids in processes.items()}, stages)

    async def between(self, first: Mark, last: Mark) -> Count:
        """What the EDRs between two marks say."""
        count = Count()
        async for value in self.values(first.ends, last.ends):
            count.add(value)
        return count

    async def values(self, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> AsyncIterator[bytes]:
        """What the records between these offsets hold."""
        open_ = {tp for tp, end in ends.items() if end > begins[tp]}
        if not open_:
            return
        self._consumer.assign(list(open_))
        for tp in open_:
            self._consumer.seek(tp, begins[tp])
        while open_:
            for tp, records in (await self._consumer.getmany(*open_, timeout_ms=1000)).items():
                for record in records:
                    if record.offset < ends[tp]:
                        yield record.value
                if records[-1].offset >= ends[tp] - 1:
                    open_.discard(tp)
        self._consumer.unsubscribe()


def scrape(url: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """What a worker says of itself, by name and values of labels. ``OSError`` if it does not answer."""
    with urlopen(f"{url}/metrics", timeout=5) as answer:  # noqa: S310 - always http://127.0.0.1
        families = text_string_to_metric_families(answer.read().decode())
        return {(sample.name, (*sample.labels.values(),)): sample.value for family in families for sample in family.samples}


def cpu(pid: int) -> float:
    """CPU seconds that a process has used. ``OSError`` if there is none."""
    return cpu_of((PROC / str(pid) / "stat").read_text())


def cpu_of(stat: str) -> float:
    """User and system time in ``/proc/<pid>/stat``: its fields 14 and 15 (proc(5)). The name in field 2 may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of a process in MiB."""
    return mb_of("VmRSS", (PROC / str(pid) / "status").read_text())


def peak_mb(pid: int) -> float:
    """The most that it was since the process began, or since :func:`forget_peak`."""
    return mb_of("VmHWM", (PROC / str(pid) / "status").read_text())


def forget_peak(pid: int) -> None:
    """Count the peak from now on (5 in ``clear_refs``, proc(5))."""
    (PROC / str(pid) / "clear_refs").write_text("5")


def mb_of(name: str, status: str) -> float:
    """A size in ``/proc/<pid>/status``, where it is in KiB (proc(5)), in MiB."""
    line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def children(word: bytes) -> list[int]:
    """Our child processes with ``word`` in their command line."""
    found = [int(pid) for file in PROC.glob("self/task/*/children") for pid in file.read_text().split()]
    return [pid for pid in found if word in (PROC / str(pid) / "cmdline").read_bytes()]
