"""``inm bench``."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from inm.demo.bench_feed import Feed, Requests
from inm.demo.bench_meter import Count, Mark, Meter, rss_mb
from inm.demo.bench_rig import Rig
from inm.demo.bench_run import conclude, rigged, talk
from inm.documents import load_catalogue

WARM_UP = 10.0
"""Seconds of a saturating load before those that count: queues find their length, and the JVM compiles."""
TOLERANCE = 1 / 3
"""By how much a ratio may be below a recorded one."""
TRIES = 3
"""Runs that must all be below: on a shared host a core may be slower by half for the workers' minute, and not for the pipe's."""
SETTLE = 3.0
"""Seconds of the paced load before those that count."""


@click.command("bench")
@click.option(
    "--seconds", default=20.0, show_default=True, type=click.FloatRange(1), help="How long each load is measured, after its warm-up."
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 8), help="Worker processes, and bare pipes.")
@click.option(
    "--users", default=100_000, show_default=True, type=click.IntRange(0), help="Users in the table, for whom SMS are; 0: for numbers."
)
@click.option(
    "--email", default=0.0, show_default=True, type=click.FloatRange(0, 1), help="Share of e-mails; above 0 there is no bare pipe."
)
@click.option(
    "--pace", type=click.FloatRange(1), help="Requests a second of the load whose latency is measured.  [default: half of what they took]"
)
@click.option(
    "--recorded",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Exit code 1 if the ratio to the bare pipe is, three times in a row, more than a third below that of this earlier result.",
)
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Also write the result to this file.")
@click.option(
    "--profile", type=click.Path(dir_okay=False, path_type=Path), help="Flame graph (SVG) of the first worker, by py-spy: slows it."
)
def command(file: Path | None, recorded: Path | None, **options: Any) -> None:
    """Measure what this machine carries: a real Kafka, an SMSC and workers, each a process of its own.

    Three loads: as many SMS as the workers take, half of that at a steady pace for the latency from request to provider, and as
    many as a bare pipe takes in their place, which moves the same records and PDUs without any of INM. JSON goes to stdout.
    """

    def measure() -> Mapping[str, Any]:
        return conclude(_main(**options), _table, file)

    if recorded is None:
        measure()
    else:
        compare(measure, json.loads(recorded.read_text(encoding="utf-8")))


def compare(measure: Callable[[], Mapping[str, Any]], recorded: Mapping[str, Any]) -> None:
    """Measure until the result is no worse than the recorded one. ``click.ClickException`` if it is worse each time."""
    faults: list[str] = []
    while len(faults) < TRIES:
        fault = regression(measure(), recorded)
        if fault is None:
            return
        faults.append(fault)
        talk.print(fault)
    raise click.ClickException(faults[-1])


def regression(report: Mapping[str, Any], recorded: Mapping[str, Any]) -> str | None:
    """What is wrong with a result beside an earlier one. Only ratios of one run each are compared: machines differ, and so do hours."""
    least = recorded["ratio"] * (1 - TOLERANCE)
    if report["ratio"] is not None and report["ratio"] >= least:
        return None
    return f"the ratio to the bare pipe is {report['ratio']}; recorded is {recorded['ratio']}, and at least {least:.3f} is expected"


@dataclass(frozen=True)
class Sample:
    """What was measured between two marks."""

    first: Mark
    last: Mark
    count: Count

    @property
    def per_s(self) -> float:
        """Complete notifications a second."""
        return self.count.complete / (self.last.at - self.first.at)

    def cpu_us(self) -> dict[str, float]:
        """CPU microseconds of each group of processes for one complete notification."""
        complete = max(1, self.count.complete)
        return {name: round((self.last.cpu[name] - used) * 1e6 / complete, 1) for name, used in self.first.cpu.items()}

    def stage_us(self) -> dict[str, float]:
        """Microseconds for which each stage decided, for one complete notification."""
        complete = max(1, self.count.complete)
        spent = {name: (now - self.first.stages.get(name, 0.0)) * 1e6 / complete for name, now in self.last.stages.items()}
        return {name: round(us, 1) for name, us in sorted(spent.items(), key=lambda item: -item[1]) if us >= 0.05}


@dataclass(frozen=True)
class Result:
    """All that a run found; ``rss_mb`` by group of processes, the largest of each."""

    saturated: Sample
    paced: Sample
    pipe: Sample | None
    rss_mb: Mapping[str, float]

    def report(self) -> dict[str, Any]:
        """What is printed as JSON."""
        full, pipe = self.saturated, self.pipe
        return {
            "notifications_per_s": round(full.per_s, 1),
            "cpu_us_per_notification": full.cpu_us(),
            "stage_us_per_notification": full.stage_us(),
            "bare_pipe_per_s": round(pipe.per_s, 1) if pipe else None,
            "bare_pipe_cpu_us": pipe.cpu_us() if pipe else None,
            "ratio": round(full.per_s / pipe.per_s, 3) if pipe and pipe.per_s else None,
            "latency_ms": self.paced.count.latency_ms(),
            "latency_at_per_s": round(self.paced.per_s, 1),
            "rss_mb": {name: round(size) for name, size in self.rss_mb.items()},
            "final": dict(full.count.final + self.paced.count.final),
        }


async def _main(*, seconds: float, workers: int, users: int, email: float, pace: float | None, profile: Path | None) -> dict[str, Any]:
    async with rigged(email=email > 0) as (rig, settings, meter):
        feed = Feed(rig.bootstrap, meter, Requests(secrets.token_hex(4), users, email))
        await feed.start()
        try:
            bench = Bench(rig, feed, meter, seconds, workers)
            result = await bench.run(load_catalogue(settings).tenants, settings.partitions, bare=not email, pace=pace, profile=profile)
        finally:
            await feed.stop()
    return result.report() | {"workers": workers, "seconds": seconds, "users": users, "email": email}


@dataclass(frozen=True)
class Bench:
    """The loads, one after another, on a rig whose providers run."""

    rig: Rig
    feed: Feed
    meter: Meter
    seconds: float
    workers: int

    async def run(self, tenants: list[str], partitions: int, *, bare: bool, pace: float | None, profile: Path | None) -> Result:
        """All of them. ``RuntimeError`` if something does not start or stands still."""
        names = [f"worker-{number}" for number in range(1, self.workers + 1)]
        for name in names:
            talk.print(f"starting {name} …")
            await self.rig.start_worker(name)
        await self.feed.users(partitions)
        processes = self.rig.processes(names)
        saturated = await self._saturated(processes, profile)
        sizes = {name: max(map(rss_mb, pids)) for name, pids in processes.items()}
        paced = await self._paced(processes, pace or saturated.per_s / 2)
        for name in names:
            await self.rig.stop_worker(name)
        pipe = await self._pipe(tenants) if bare else None
        return Result(saturated, paced, pipe, sizes)

    async def _pipe(self, tenants: list[str]) -> Sample:
        pipes = [await self.rig.start_pipe(share, self.workers, tenants) for share in range(self.workers)]
        sample = await self._saturated(self.rig.processes(pipes))
        for name in pipes:
            await self.rig.stop_worker(name)
        return sample

    async def _saturated(self, processes: Mapping[str, list[int]], profile: Path | None = None) -> Sample:
        """As many as they take."""
        talk.print("warming up …")
        async with _beside(self.feed.ahead()):
            await self.feed.first_end()
            await asyncio.sleep(WARM_UP)
            if profile:
                await self.rig.start_profiler(processes["worker"][0], self.seconds, profile)
            marks = await self._marks(processes)
        return await self._sample(*marks)

    async def _paced(self, processes: Mapping[str, list[int]], rate: float) -> Sample:
        """``rate`` a second."""
        async with _beside(self.feed.paced(rate)):
            await asyncio.sleep(SETTLE)
            marks = await self._marks(processes)
        return await self._sample(*marks)

    async def _marks(self, processes: Mapping[str, list[int]]) -> tuple[Mark, Mark]:
        """The begin and the end of what is measured."""
        talk.print(f"measuring for {self.seconds:g} s …")
        workers = [self.rig.url(name) for name in self.rig.workers if name.startswith("worker-")]
        first = await self.meter.mark(processes, workers)
        await asyncio.sleep(self.seconds)
        return first, await self.meter.mark(processes, workers)

    async def _sample(self, first: Mark, last: Mark) -> Sample:
        """Count when the load has passed through: counting would take its share of the machine."""
        await self.feed.settle()
        return Sample(first, last, await self.meter.between(first, last))


@asynccontextmanager
async def _beside(load: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run a load as long as the block; its failure is the block's."""
    task = asyncio.create_task(load)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _table(report: Mapping[str, Any]) -> Table:
    table = Table(title="INM bench", show_header=False)
    table.add_row("complete notifications", f"{report['notifications_per_s']:,.0f}/s")
    if report["ratio"] is not None:
        table.add_row("bare pipe", f"{report['bare_pipe_per_s']:,.0f}/s, ratio {report['ratio']:.2f}")
    for title, key in (
        ("CPU µs each", "cpu_us_per_notification"),
        ("deciding, by stage", "stage_us_per_notification"),
        ("of the bare pipe", "bare_pipe_cpu_us"),
        ("RSS MiB", "rss_mb"),
    ):
        table.add_row(title, ", ".join(f"{name} {value:,.0f}" for name, value in (report[key] or {}).items()))
    for lane, ranks in report["latency_ms"].items():
        table.add_row(f"ms to the provider, {lane}", ", ".join(f"{rank} {value}" for rank, value in ranks.items()))
    table.add_row("latency measured at", f"{report['latency_at_per_s']:,.0f}/s")
    table.add_row("ends", ", ".join(f"{event} {count:,}" for event, count in report["final"].items()))
    return table
