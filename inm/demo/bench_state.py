"""``inm bench-state``."""

import asyncio
import secrets
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from inm.demo.bench_disk import Held, held
from inm.demo.bench_feed import Requests
from inm.demo.bench_fill import Fill
from inm.demo.bench_meter import cpu, peak_mb, rss_mb
from inm.demo.bench_rig import Rig
from inm.demo.bench_run import conclude, rigged, talk
from inm.demo.bench_trials import REST, TRIALS, Trials


@click.command("bench-state")
@click.option("--users", default=1_000_000, show_default=True, type=click.IntRange(100), help="Users in the table.")
@click.option("--journeys", default=200_000, show_default=True, type=click.IntRange(1), help="Notifications that wait for their receipts.")
@click.option("--trial", "names", multiple=True, type=click.Choice(list(TRIALS)), help="Only these, in this order; else all.")
@click.option("--report", "file", type=click.Path(dir_okay=False, path_type=Path), help="Also write the result as JSON to this file.")
def command(users: int, journeys: int, names: tuple[str, ...], file: Path | None) -> None:
    """Fill the tables, and measure how a worker comes back with them.

    A real Kafka, an SMSC that takes everything and reports on nothing, and workers, each a process of its own. Times run from the
    worker's start, or from the signal to the other one, until it has all partitions and until one more notification in each of
    them is submitted. Rows are counted on the disk afterwards. Exit code 1 if any is missing or too many.
    """
    report = conclude(_main(users, journeys, names or tuple(TRIALS)), _table, file)
    sys.exit(1 if any(any(found["missing"].values()) for found in (report["fill"], *report["trials"].values())) else 0)


async def _main(users: int, journeys: int, names: tuple[str, ...]) -> dict[str, Any]:
    async with rigged(receipts=False) as (rig, settings, meter):
        fill = Fill(rig.bootstrap, meter, Requests(secrets.token_hex(4), users), users, settings.partitions)
        await fill.start()
        try:
            filled = await _fill(rig, fill, journeys)
            trials = Trials(rig, fill, settings.partitions)
            return {
                "users": users,
                "journeys": journeys,
                "fill": filled,
                "trials": {name: await _try(name, trials, fill) for name in names},
            }
        finally:
            await fill.stop()


async def _fill(rig: Rig, fill: Fill, journeys: int) -> dict[str, Any]:
    """Fill by one worker, and stop it."""
    await rig.start_worker("worker-1")
    pid = rig.pid("worker-1")
    talk.print(f"filling {fill.filled['users']:,} users …")
    users = await _took(pid, fill.filled["users"], fill.users())
    talk.print(f"opening {journeys:,} notifications …")
    opened = await _took(pid, journeys, fill.journeys(journeys))
    peak = round(peak_mb(pid), 1)
    await rig.stop_worker("worker-1")
    return {"users": users, "journeys": opened, "rss_peak_mb": peak} | _disk(await asyncio.to_thread(held, rig.data("worker-1")), fill)


async def _took(pid: int, rows: int, filling: Awaitable[float]) -> dict[str, Any]:
    """What it costs a worker to take so many rows, and what it has in memory some time after."""
    before = cpu(pid)
    seconds = await filling
    used = cpu(pid) - before
    await asyncio.sleep(REST)
    return {"per_s": round(rows / seconds), "cpu_us": round(used * 1e6 / rows, 1), "rss_mb": round(rss_mb(pid), 1)}


async def _try(name: str, trials: Trials, fill: Fill) -> dict[str, Any]:
    talk.print(f"{name} …")
    found, disk = await TRIALS[name](trials)
    return found.report() | _disk(disk, fill)


def _disk(found: Held, fill: Fill) -> dict[str, Any]:
    return {"rows": dict(found.rows), "missing": found.missing(fill.filled), "disk_mb": dict(found.disk_mb)}


def _table(report: dict[str, Any]) -> Table:
    table = Table(
        "", "ready", "first through", "all through", "restored", "RSS MiB: peak", "steady", "missing", title="INM with full tables"
    )
    for name, found in report["trials"].items():
        times = [f"{found[key]:.1f} s" for key in ("ready_s", "first_through_s", "all_through_s")]
        restored = f"{found['restored']:,} in {found['restore_s']:.1f} s"
        table.add_row(
            name, *times, restored, f"{found['rss_peak_mb']:.0f}", f"{found['rss_mb']:.0f}", str(sum(map(abs, found["missing"].values())))
        )
    return table
