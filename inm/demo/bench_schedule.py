"""``inm bench-schedule``."""

import asyncio
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import click
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from rich.table import Table

from inm import topics
from inm.core.records import Wait
from inm.demo.bench_arrivals import ranks
from inm.demo.bench_feed import pour
from inm.demo.bench_meter import Meter, cpu, peak_mb, rss_mb
from inm.demo.bench_rig import Rig
from inm.demo.bench_run import conclude, rigged, talk
from inm.streaming import admin
from inm.streaming.chunks import now_ms

WORKER = "worker-1"
DUE = "bench.due"
"""Where what is due goes: a topic of its own, at which the broker's clock says when it came."""
FAR = 40 * topics.DAY
"""Milliseconds ahead: until then the others wait."""
AHEAD = 15_000
"""Milliseconds until the first one is due: by then all of them wait."""
OVER = 20_000
"""Milliseconds from the first to the last."""
PATIENCE = 60.0
"""Seconds after the last was due."""
_KEY = "acme/bench"
_value = msgspec.Raw(msgspec.json.encode({"id": "bench", "kind": "deadline", "key": _KEY, "more": "x" * 250}))
"""About as large as an outcome."""


@click.command("bench-schedule")
@click.option("--items", default=1_000_000, show_default=True, type=click.IntRange(1), help="That wait for longer than it takes.")
@click.option("--due", default=20_000, show_default=True, type=click.IntRange(1), help=f"That come due, spread over {OVER // 1000} s.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Also write the result to this file.")
def command(items: int, due: int, file: Path | None) -> None:
    """Let many items wait, and measure how late those are that come due.

    A real Kafka and a worker, each a process of its own. Twice: as it was filled, and after a start with an empty disk. Exit code 1 if
    an item has not come.
    """
    report = conclude(_main(items, due), _table, file)
    sys.exit(1 if any(found["missing"] for found in report["lateness"].values()) else 0)


async def _main(items: int, due: int) -> dict[str, Any]:
    async with rigged() as (rig, settings, meter), AsyncExitStack() as running:
        arrival = topics.Topic(DUE, settings.partitions, "any", config={"message.timestamp.type": "LogAppendTime"})
        await admin.ensure([arrival], settings.broker.servers, {})
        producer = AIOKafkaProducer(bootstrap_servers=rig.bootstrap, acks="all", max_batch_size=512 * 1024)
        consumer = AIOKafkaConsumer(bootstrap_servers=rig.bootstrap, enable_auto_commit=False)
        for client in (producer, consumer):
            await client.start()
            running.push_async_callback(client.stop)
        waiting = Waiting(rig, meter, producer, consumer, settings.partitions)
        await rig.start_worker(WORKER)
        talk.print(f"{items:,} items are to wait …")
        filled = await waiting.fill(items)
        lateness = {"filled": await waiting.lateness("filled", due)}
        talk.print("restarting the worker …")
        warm = await waiting.restart()
        empty = await waiting.restart(lose_disk=True)
        lateness["empty-disk"] = await waiting.lateness("empty-disk", due)
        return {"items": items, "due": due, "fill": filled, "ready": {"warm": warm, "empty-disk": empty}, "lateness": lateness}


@dataclass(frozen=True)
class Waiting:
    """A worker whose schedule is filled by the way that stages use, ``inm.schedule``."""

    rig: Rig
    meter: Meter
    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    partitions: int

    async def fill(self, items: int) -> dict[str, Any]:
        """So many items that come due in :data:`FAR`; how fast the worker takes them, and its memory before and after."""
        pid, changelog = self.rig.pid(WORKER), topics.changelog("schedule")
        far, before, empty = now_ms() + FAR, await self.meter.count(changelog), rss_mb(pid)
        began, used = monotonic(), cpu(pid)
        await self._pour(Wait(f"far/{number}", far + number, topics.OUTCOMES, _KEY, _value) for number in range(items))
        await self.meter.reaches(changelog, before + items)
        seconds = monotonic() - began
        return {
            "per_s": round(items / seconds),
            "cpu_us": round((cpu(pid) - used) * 1e6 / items, 1),
            "rss_empty_mb": round(empty),
            "rss_mb": round(rss_mb(pid)),
            "rss_peak_mb": round(peak_mb(pid)),
        }

    async def restart(self, *, lose_disk: bool = False) -> dict[str, Any]:
        """Seconds from the start of the worker until it is ready again, and its memory then."""
        await self.rig.stop_worker(WORKER)
        if lose_disk:
            await asyncio.to_thread(shutil.rmtree, self.rig.data(WORKER))
        began = monotonic()
        await self.rig.start_worker(WORKER)
        return {"seconds": round(monotonic() - began, 1), "rss_mb": round(rss_mb(self.rig.pid(WORKER)))}

    async def lateness(self, name: str, due: int) -> dict[str, Any]:
        """How many ms after its time each of so many items is at the broker again."""
        places = [TopicPartition(DUE, number) for number in range(self.partitions)]
        self.consumer.assign(places)
        await self.consumer.seek_to_end(*places)
        for place in places:
            await self.consumer.position(place)
        pid = self.rig.pid(WORKER)
        talk.print(f"{due:,} items come due …")
        await self._pour(_due(name, due, now_ms() + AHEAD))
        used = cpu(pid)
        late = await self._late(due)
        return {
            "late_ms": ranks(late),
            "missing": due - len(late),
            "cpu_s": round(cpu(pid) - used, 1),
            "rss_mb": round(rss_mb(pid)),
        }

    async def _late(self, due: int) -> list[int]:
        late: list[int] = []
        end = monotonic() + (AHEAD + OVER) / 1000 + PATIENCE
        while len(late) < due and monotonic() < end:
            for records in (await self.consumer.getmany(timeout_ms=300)).values():
                late += [record.timestamp - msgspec.json.decode(record.value, type=int) for record in records]
        return late

    async def _pour(self, items: Iterable[Wait]) -> None:
        encode, key = msgspec.json.Encoder().encode, _KEY.encode()
        records = ((number % self.partitions, key, encode(item)) for number, item in enumerate(items))
        await pour(self.producer, topics.SCHEDULE, records)


def _due(name: str, count: int, start: int) -> Iterator[Wait]:
    """Items spread over :data:`OVER` from ``start``; each brings its time along."""
    for number in range(count):
        at = start + number * OVER // count
        yield Wait(f"{name}/{number}", at, DUE, _KEY, msgspec.Raw(str(at).encode()))


def _table(report: Mapping[str, Any]) -> Table:
    table = Table(title=f"INM with {report['items']:,} items that wait", show_header=False)
    fill = report["fill"]
    table.add_row("filled", f"{fill['per_s']:,}/s, CPU {fill['cpu_us']} µs each")
    table.add_row("RSS MiB", f"empty {fill['rss_empty_mb']}, filled {fill['rss_mb']}, peak {fill['rss_peak_mb']}")
    for name, found in report["ready"].items():
        table.add_row(f"ready again, {name}", f"{found['seconds']} s, RSS {found['rss_mb']} MiB")
    for name, found in report["lateness"].items():
        times = ", ".join(f"{rank} {value}" for rank, value in found["late_ms"].items())
        table.add_row(f"ms late, {name}", f"{times}, missing {found['missing']:,}, CPU {found['cpu_s']} s")
    return table
