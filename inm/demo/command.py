"""``inm demo``."""

import asyncio
import contextlib
import json
import secrets
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from inm.demo import accounts, examples
from inm.demo.installation import Installation
from inm.demo.run import Run
from inm.demo.smsc import Behaviour

ERRORS = {0x08: 0.01, 0x0B: 0.02, 0x45: 0.005}
"""The SMSC's error mix: ESME_RSYSERR (temporary), ESME_RINVDSTADR and ESME_RSUBMITFAIL."""
RECEIPTS = {"DELIVRD": 0.95, "UNDELIV": 0.03, "EXPIRED": 0.01, "REJECTD": 0.01}

talk = Console(stderr=True)


@click.command("demo")
@click.option("--once", is_flag=True, help="End when every notification has its final EDR; exit code 1 if anything is missing or double.")
@click.option("--notifications", default=2000, show_default=True, type=click.IntRange(1), help="How many requests to send.")
@click.option("--rate", type=click.FloatRange(0.1), help="Requests a second; with --once as fast as possible if absent, else 20.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 8), help="Worker processes.")
@click.option("--receipt-delay", default=0.5, show_default=True, help="Seconds until the SMSC sends a receipt.")
@click.option("--errors/--no-errors", default=True, show_default=True, help="Whether providers refuse and fail some messages.")
@click.option("--smsc-rate", type=click.FloatRange(1), help="Submits a second above which the SMSC throttles; unlimited if absent.")
@click.option("--limit", default=300.0, show_default=True, help="Seconds that --once waits for the last final EDR.")
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same requests and the same errors.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as JSON to this file.")
@click.option(
    "--http-port", default=6066, show_default=True, type=click.IntRange(0, 65535), help="Port of the first worker's API; 0 for any."
)
def command(**options: Any) -> None:
    """Run everything on this machine: a real Kafka, simulated providers, a worker and realistic traffic.

    INM_BROKER=host:port uses another Kafka instead of an embedded one. The report goes to stdout.
    """
    try:
        complete = asyncio.run(_main(**options))
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if complete else 1)


@dataclass(frozen=True)
class Plan:
    """What to send, and until when."""

    notifications: int
    rate: float | None
    limit: float
    report: Path | None


async def _main(
    *, once: bool, http_port: int, seed: int, receipt_delay: float, errors: bool, smsc_rate: float | None, workers: int, **plan: Any
) -> bool:
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    installation = Installation(seed=seed, http_port=http_port or None)
    installation.smsc.behaviour = Behaviour(
        receipt_delay=receipt_delay, receipts=RECEIPTS if errors else {"DELIVRD": 1.0}, errors=ERRORS if errors else {}, rate=smsc_rate
    )  # fmt: skip
    if errors:
        installation.smtp.behaviour.refuse_recipient = _some_recipients
    talk.print("starting Kafka, an SMSC, an SMTP server, an HTTP service …")
    async with installation:
        for number in range(1, workers + 1):
            talk.print(f"starting worker-{number} …")
            await installation.start_worker(f"worker-{number}")
        talk.print("applying config/examples …")
        await examples.apply(installation)
        _tell_console(installation, await accounts.create(installation))
        run = examples.MixedRun(installation, secrets.token_hex(4), seed)
        await run.start()
        try:
            return await (_once if once else _stay)(installation, run, stopped, Plan(**plan))
        finally:
            await run.stop()


def _some_recipients(address: str) -> str | None:
    """3 % of the addresses do not exist."""
    return "550 5.1.1 No such user" if sum(address.encode()) % 33 == 0 else None


async def _once(installation: Installation, run: Run, stopped: asyncio.Event, plan: Plan) -> bool:
    async def work() -> None:
        await run.send(plan.notifications, plan.rate)
        await run.wait(plan.limit)

    with _live(installation, run):
        tasks = [asyncio.create_task(work()), asyncio.create_task(_until(stopped))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for failed in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(failed, Exception):
            raise failed
    return _write(run, plan.report)


async def _until(stopped: asyncio.Event) -> None:
    await stopped.wait()


def _write(run: Run, file: Path | None) -> bool:
    """The report to stdout and the file; whether nothing is missing, double, or other than the providers have it."""
    found = run.report()
    text = json.dumps(found, indent=2)
    click.echo(text)
    if file:
        file.write_text(text + "\n", encoding="utf-8")
    agrees = found["sms_parts_in_edrs"] == found["sms_parts_at_smsc"] and found["mails_in_edrs"] == found["mails_at_server"]
    return not found["missing"] and not found["duplicates"] and agrees


async def _stay(installation: Installation, run: Run, stopped: asyncio.Event, plan: Plan) -> bool:
    _tell(installation)
    sending = asyncio.create_task(run.send(plan.notifications, plan.rate or 20.0))
    with _live(installation, run):
        await stopped.wait()
    talk.print("stopping …")
    sending.cancel()
    await run.wait(5.0)
    if plan.report:
        _write(run, plan.report)
    return True


def _tell_console(installation: Installation, passwords: dict[str, str]) -> None:
    talk.print(f"\n[bold]Console[/bold] {installation.url()}/console/ · tenant {accounts.TENANT}", highlight=False)
    for name, password in passwords.items():
        talk.print(f"  name {name:<10} password {password}", highlight=False, markup=False)
    talk.print()


def _tell(installation: Installation) -> None:
    environment = " ".join(f"{name}={value}" for name, value in installation.environment().items() if name != "INM_API_KEYS")
    url = installation.url()
    body = '{"scenario": "otp", "to": {"phone": "+393331234567", "language": "it"}, "fields": {"code": "493817"}}'
    talk.print(f"""
[bold]INM is running.[/bold]
  API         {url}/openapi.json   health {url}/readyz   metrics {url}/metrics
  Kafka       {installation.bootstrap}   SMSC 127.0.0.1:{installation.smsc.port}   SMTP 127.0.0.1:{installation.smtp.port}
  inbox       {installation.inbox.url}, which takes messages by HTTP and reports on them
  worker log  {installation.log("worker-1")}

[bold]Try it[/bold] in another terminal:
""", highlight=False)  # fmt: skip
    for line in (
        f"curl -i {url}/v1/requests -H 'Authorization: Bearer {installation.api_key}' -H 'Content-Type: application/json' -d '{body}'",
        f"curl {url}/v1/notifications/ID -H 'Authorization: Bearer {installation.api_key}'",
        f"export {environment}",
        ".venv/bin/inm send otp --phone +393331234567 --language it --field code=493817",
        ".venv/bin/inm send data-used-up --phone +393331234567 --language it --field renewal=2026-12-01",
        ".venv/bin/inm explain ID",
    ):
        talk.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
    talk.print("\nCtrl-C stops everything.\n")


@contextlib.contextmanager
def _live(installation: Installation, run: Run) -> Any:
    """A table that follows the stages, on a terminal; a line every few seconds elsewhere."""
    if talk.is_terminal:
        with Live(get_renderable=lambda: _table(installation, run), console=talk, refresh_per_second=4):
            yield
        return
    task = asyncio.create_task(_lines(run))
    try:
        yield
    finally:
        task.cancel()


async def _lines(run: Run) -> None:
    while True:
        census = run.census
        talk.print(f"requested {len(census.requested)}, accepted {census.accepted}, final {census.ended}", highlight=False)
        await asyncio.sleep(3)


def _table(installation: Installation, run: Run) -> Table:
    census, smsc, smtp = run.census, installation.smsc.ledger, installation.smtp.ledger
    table = Table(title="INM", caption="Ctrl-C stops")
    for name in ("stage", "count", "detail"):
        table.add_column(name, justify="right" if name == "count" else "left")
    finals = ", ".join(f"{event} {count}" for event, count in census.final.most_common())
    table.add_row("requested", str(len(census.requested)), f"in inm.requests.*; {run.dead.total()} dead letters")
    table.add_row("accepted", str(census.accepted), "decided and in the ledger")
    table.add_row("submitted", str(census.events["submitted"]), f"{census.sms_parts} SMS parts, {census.mails} mails")
    table.add_row("retried", str(census.events["retried"]), f"{census.events['step']} went on to the next step")
    table.add_row("at the SMSC", str(smsc.parts), f"{smsc.messages} messages, {smsc.receipts_taken} receipts taken")
    table.add_row("at the mail server", str(smtp.count), f"{sum(installation.smtp.mailbox.refused.values())} refused")
    table.add_row("final", str(census.ended), finals)
    return table
