"""``inm chaos``."""

import asyncio
import contextlib
import json
import secrets
import sys
from pathlib import Path
from time import monotonic
from typing import IO, Any

import click
from rich.console import Console

from inm.demo import ledger
from inm.demo.faults import FAULTS, Breaker, Unable
from inm.demo.installation import Installation
from inm.demo.run import Run
from inm.demo.smsc import Behaviour

EVER = 10**9
"""Requests: more than any run sends."""
AFTER = 15.0
"""Seconds after a fault that still belong to its gap."""

talk = Console(stderr=True)


@click.command("chaos")
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same faults and the same requests.")
@click.option(
    "--seconds", default=120.0, show_default=True, type=click.FloatRange(5), help="How long faults are done, one after the other."
)
@click.option("--rate", default=300.0, show_default=True, type=click.FloatRange(1), help="Requests a second, all along.")
@click.option("--workers", default=3, show_default=True, type=click.IntRange(1, 8), help="Worker processes.")
@click.option(
    "--fault", "names", multiple=True, type=click.Choice(list(FAULTS)), help="Only these, each once and in this order; else by chance."
)
@click.option("--times", default=1, show_default=True, type=click.IntRange(1), help="How often the named faults are done in a row.")
@click.option("--limit", default=240.0, show_default=True, help="Seconds to wait afterwards for the last final EDR.")
@click.option("--stock", is_flag=True, help="Workers run on stock Faust, without the streaming layer: see what that loses.")
@click.option("--edrs", type=click.Path(dir_okay=False, path_type=Path), help="Keep every EDR of the run in this file, one a line.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the ledger as JSON to this file.")
def command(
    seed: int,
    seconds: float,
    rate: float,
    workers: int,
    names: tuple[str, ...],
    times: int,
    limit: float,
    stock: bool,
    edrs: Path | None,
    report: Path | None,
) -> None:
    """Break everything while traffic runs, mend it, and compare what went in with what came out.

    Exit code 1 if anything is missing, ended twice, or was submitted twice without an EDR that says so, or if a record that is no
    request is not buried as it should be.
    """
    with edrs.open("wb") if edrs else contextlib.nullcontext() as file:
        found = asyncio.run(_run(seed, seconds, rate, workers, names * times, limit, stock, file))
    text = json.dumps(found, indent=2)
    click.echo(text)
    if report:
        report.write_text(text + "\n", encoding="utf-8")
    sys.exit(0 if ledger.balanced(found) else 1)


async def _run(
    seed: int, seconds: float, rate: float, workers: int, names: tuple[str, ...], limit: float, stock: bool, file: IO[bytes] | None
) -> dict[str, Any]:
    installation = Installation(seed=seed, program="inm.demo.stock" if stock else "inm")
    installation.smsc.behaviour = Behaviour(receipt_delay=0.5)
    async with installation:
        talk.print(f"starting {workers} workers …")
        await asyncio.gather(*(installation.start_worker(f"worker-{number}") for number in range(1, workers + 1)))
        installation.supervise()
        run, marks = Run(installation, secrets.token_hex(4), seed), ledger.Marks()
        run.listeners.append(marks.add)
        if file:
            run.listeners.append(lambda edr: file.writelines((edr, b"\n")))
        await run.start()
        enough = asyncio.Event()
        with ledger.Books(installation.smsc, installation.smtp) as books:
            sending = asyncio.create_task(run.send(EVER, rate, enough))
            faults = await _break(Breaker(installation, run, workers, seed), seconds, names)
            await asyncio.sleep(AFTER)
            enough.set()
            await sending
            for fault in faults:
                fault["gap_s"] = round(books.longest_gap(fault.pop("began"), fault.pop("ended") + AFTER), 2)
            talk.print(f"waiting for the ends of {run.census.expected} notifications …")
            await run.wait(limit)
        found = ledger.report(run, books, marks, faults)
        await run.stop()
        return found


async def _break(breaker: Breaker, seconds: float, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Do the named faults once each, or others by chance until the time is over."""
    faults: list[dict[str, Any]] = []
    end = monotonic() + seconds
    await asyncio.sleep(3)
    while len(faults) < len(names) if names else monotonic() < end:
        name = names[len(faults)] if names else breaker.choose(list(FAULTS))
        census = breaker.run.census
        talk.print(f"{census.expected} sent, {census.ended} ended: {name}", highlight=False)
        faults.append(await _do(breaker, name))
        await breaker.rest(2, 5)
    return faults


async def _do(breaker: Breaker, name: str) -> dict[str, Any]:
    fault: dict[str, Any] = {"fault": name, "began": monotonic()}
    try:
        await FAULTS[name](breaker)
    except Unable as error:
        fault["skipped"] = str(error)
        talk.print(f"{name} is left out: {error}", highlight=False)
    fault["ended"] = monotonic()
    return fault | {"took_s": round(fault["ended"] - fault["began"], 2)}
