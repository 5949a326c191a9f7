"""``inm bench-lanes``."""

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import click
from aiokafka import AIOKafkaProducer
from rich.table import Table

from inm.demo.bench_arrivals import Arrivals, Span, busiest, ranks, used, waits
from inm.demo.bench_campaign import DOCUMENTS, SCENARIO, Campaign, check
from inm.demo.bench_fates import Fates
from inm.demo.bench_load import TENANT
from inm.demo.bench_passwords import Passwords
from inm.demo.bench_rig import Rig
from inm.demo.bench_run import conclude, rigged, talk
from inm.documents import load_catalogue
from inm.topics import EDR

KILL_AT = 0.4
"""The share of the recipients that are reached when a worker is killed."""
AFTERMATH = 3.0
"""Seconds after a killed worker is back that still belong to its takeover."""
STILL = 20.0
"""Seconds without any of the campaign's messages after which no more are waited for; a takeover takes less."""
PERIOD = 0.5
"""Seconds between two looks at what the SMSC has noted."""


@click.command("bench-lanes")
@click.option("--recipients", default=200_000, show_default=True, type=click.IntRange(100, 9_000_000), help="Of the campaign.")
@click.option("--rate", default=500.0, show_default=True, type=click.FloatRange(1), help="Of the route, in parts a second.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 6), help="Worker processes.")
@click.option(
    "--urgent", default=20.0, show_default=True, type=click.FloatRange(0.1), help="One-time passwords a second beside the campaign."
)
@click.option("--kill/--no-kill", default=True, show_default=True, help="Kill a worker (-9) on the way, and start it again at once.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Also write the result to this file.")
def command(file: Path | None, **options: Any) -> None:
    """Measure what a one-time password waits for while a campaign fills its route.

    A real Kafka, an SMSC that notes when each part comes, and workers, each a process of its own. Exit code 1 if a message is missing
    or double without an event detail record that tells of it, or if the ledger is not what the records say.
    """
    report = conclude(_main(**options), _table, file)
    unexplained = any(report[name]["numbers"] > report[name]["explained"] for name in ("missing", "double"))
    sys.exit(1 if unexplained or report["ledger"]["exit_code"] else 0)


async def _main(*, recipients: int, rate: float, workers: int, urgent: float, kill: bool) -> dict[str, Any]:
    async with rigged(Rig(rate, DOCUMENTS), arrivals=True) as (rig, settings, meter):
        rig.make_way()
        begins = await meter.ends(EDR)
        names = [f"worker-{number}" for number in range(1, workers + 1)]
        for name in names:
            talk.print(f"starting {name} …")
            await rig.start_worker(name)
        campaign = Campaign(rig, recipients)
        talk.print(f"creating a campaign of {recipients:,} recipients …")
        created = await campaign.create()
        async with AIOKafkaProducer(bootstrap_servers=rig.bootstrap, acks="all", enable_idempotence=True) as producer:
            lanes = Lanes(rig, campaign, Arrivals(rig.arrivals), Passwords(producer, urgent))
            takeover = await lanes.run(names[-1] if kill else None)
        talk.print("waiting until each recipient has its end …")
        told = await campaign.end()
        lanes.arrivals.look()
        missing, double = lanes.missing(), lanes.arrivals.doubles()
        fates = Fates(missing | double)
        async for value in meter.values(begins, await meter.ends(EDR)):
            fates.add(value)
        book = load_catalogue(settings).book(TENANT)
        assert book is not None
        return {
            "recipients": recipients, "rate": rate, "workers": workers, "urgent_per_s": urgent,
            "on_unknown": {name: book.scenarios[name].document.on_unknown for name in (SCENARIO, "otp")},
            "audience_s": round(created, 1),
            **lanes.report(rate, takeover),
            "missing": fates.missing(missing),
            "double": fates.double(double),
            "campaign": {name: told[name] for name in ("state", "waiting", "open", "finals")},
            "ledger": await check(rig),
        }  # fmt: skip


@dataclass(frozen=True)
class Lanes:
    """A campaign that has been created, and one-time passwords beside it."""

    rig: Rig
    campaign: Campaign
    arrivals: Arrivals
    passwords: Passwords

    async def run(self, victim: str | None) -> Span | None:
        """From the start to the last of the campaign's messages; when the victim was away. ``RuntimeError`` if none comes."""
        talk.print("the campaign runs …")
        await self.campaign.start()
        sending = asyncio.create_task(self.passwords.send())
        try:
            takeover = await self._kill(victim) if victim else None
            await self._until(len(self.campaign.numbers))
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
        return takeover

    async def _kill(self, name: str) -> Span:
        await self._until(int(KILL_AT * len(self.campaign.numbers)))
        talk.print(f"killing {name} …")
        began = monotonic()
        await asyncio.to_thread(self.rig.kill_worker, name)
        await self.rig.start_worker(name)
        return Span(began, monotonic())

    async def _until(self, count: int) -> None:
        """Until so many of the campaign's numbers have their message, or none comes any more."""
        reached, since = -1, monotonic()
        while (now := self._reached()) < count:
            if now > reached:
                reached, since = now, monotonic()
            elif monotonic() - since > STILL:
                talk.print(f"nothing more comes after {reached:,} of {count:,}")
                break
            await asyncio.sleep(PERIOD)
        if not reached:
            raise RuntimeError(f"no message of the campaign has come in {STILL:.0f} s")

    def _reached(self) -> int:
        self.arrivals.look()
        return len(self.arrivals.first) - sum(number in self.arrivals.first for number in self.passwords.sent)

    def missing(self) -> set[str]:
        """Numbers that have no message."""
        return (self.campaign.numbers | self.passwords.sent.keys()) - self.arrivals.first.keys()

    def report(self, rate: float, killed: Span | None) -> dict[str, Any]:
        """What came when; of the passwords, those that were sent before the last of the campaign's messages came."""
        own = self.arrivals.of(self.campaign.numbers)
        course = Span(own[0], own[-1])
        times = [at for at, _ in self.arrivals.all if course.begin <= at <= course.end]
        takeover = Span(killed.begin, killed.end + AFTERMATH) if killed else None
        most, when = busiest(times)
        sent = {number: at for number, at in self.passwords.sent.items() if at <= course.end}
        seconds = course.end - course.begin
        return {
            "seconds": round(seconds, 1),
            "parts": len(times),
            "parts_per_s": round(len(times) / seconds, 1) if seconds else None,
            "used": used(times, course, rate),
            "used_without_takeover": used(times, course, rate, takeover),
            "busiest": {"parts": most, "of_rate": round(most / rate, 3), "at_s": round(when - course.begin, 1)},
            "urgent_sent": len(sent),
            "urgent_ms": ranks(waits(sent, self.arrivals.first)),
            "urgent_without_takeover_ms": ranks(waits(sent, self.arrivals.first, takeover)),
            "killed_at_s": round(killed.begin - course.begin, 1) if killed else None,
            "back_after_s": round(killed.end - killed.begin, 1) if killed else None,
        }


def _table(report: Mapping[str, Any]) -> Table:
    table = Table(title="INM with a full route", show_header=False)
    table.add_row("campaign", f"{report['recipients']:,} recipients in {report['seconds']:,.0f} s, {report['parts_per_s']} parts/s")
    table.add_row("of the rate used", f"{_share(report['used'])}, without the takeover {_share(report['used_without_takeover'])}")
    most = report["busiest"]
    table.add_row("busiest second", f"{most['parts']:,} parts, {_share(most['of_rate'])} of the rate, at {most['at_s']} s")
    table.add_row(f"ms to the provider, {report['urgent_sent']:,} urgent", _ranks(report["urgent_ms"]))
    if report["killed_at_s"] is not None:
        table.add_row("without the takeover", _ranks(report["urgent_without_takeover_ms"]))
        table.add_row("worker killed", f"at {report['killed_at_s']} s, back after {report['back_after_s']} s")
    for name in ("missing", "double"):
        found = report[name]
        table.add_row(name, f"{found['numbers']:,}, explained {found['explained']:,}{_counts(found['finals'])}")
    table.add_row("ends of the campaign", f"open {report['campaign']['open']:,}{_counts(report['campaign']['finals'])}")
    table.add_row("inm ledger --check", f"exit code {report['ledger']['exit_code']}; {' '.join(report['ledger']['said'][-1:])}")
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _ranks(found: Mapping[str, int | None]) -> str:
    return ", ".join(f"{rank} {value}" for rank, value in found.items())


def _counts(found: Mapping[str, int]) -> str:
    return "".join(f", {event} {count:,}" for event, count in found.items())
