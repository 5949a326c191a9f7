"""``inm campaign``."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar
from uuid import uuid4

import click
import msgspec
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from inm.cli import desk
from inm.cli.audience import Audience, recognised
from inm.cli.board import Board
from inm.cli.letterbox import progress as bar
from inm.core.audience import Report
from inm.core.campaigns import ENDED, Act, Action, Campaign, Create
from inm.core.headway import Forecast, forecast, progress
from inm.core.headway import Progress as Headway
from inm.settings import Settings, from_environment
from inm.streaming.chunks import now_ms

Command = TypeVar("Command", bound=Callable[..., None])


@click.group("campaign")
def command() -> None:
    """Run campaigns: one scenario for many recipients, at the pace that the routes take.

    An audience is a file of CSV or JSON lines, or a query of the tenant's source. create checks and hands on the audience; nothing is
    sent before start.
    """


def _of_tenant(function: Command) -> Command:
    return click.option("--tenant", default="acme", show_default=True, help="Whose campaigns.")(function)


def _as_json(function: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="As JSON.")(function)


def _audience(function: Command) -> Command:
    """The options that say where the audience comes from."""
    for option in reversed(
        (
            click.option("--scenario", required=True, help="What they are notified of."),
            click.option("--audience", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file of recipients."),
            click.option("--query", help="SELECT … in place of a file, asked of the tenant's source, with columns as a file has them."),
            click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), help="Of the file; by its name if absent."),
            click.option("--encoding", help="Of the file; found out if absent."),
            click.option("--delimiter", help="Between columns; found out if absent."),
            click.option("--pace", type=click.IntRange(1, 100_000), help="Recipients a second, at most."),
        )
    ):
        function = option(function)
    return _as_json(_of_tenant(function))


@command.command()
@_audience
def check(as_json: bool, tenant: str, pace: int | None, **given: Any) -> None:
    """Tell what is in an audience: recipients, faults with their places, duplicates, parts, cost and time. Nothing is handed on."""
    with _checked(from_environment(), tenant, pace, as_json, **given) as (_, report, told):
        if as_json:
            click.echo(msgspec.json.encode({"report": report, "forecast": told}))


@command.command()
@click.argument("name")
@_audience
@click.option("--max-faulty", type=click.FloatRange(0, 100), default=1.0, show_default=True, help="Per cent of faulty rows, at most.")
@click.option("--start", "starting", is_flag=True, help="Start it at once, or at the time of --at.")
@click.option(
    "--at", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="With --start: not before this time, as 2026-11-24T09:00:00+01:00."
)
@desk.by
def create(
    name: str, as_json: bool, tenant: str, scenario: str, pace: int | None, max_faulty: float, starting: bool, at: datetime | None,
    author: str, **given: Any,
) -> None:  # fmt: skip
    """Check an audience and hand it on, as the campaign NAME. Nothing is handed on if too many rows are faulty."""
    settings = from_environment()
    order = _valid(
        {"id": uuid4().hex, "tenant": tenant, "name": name, "scenario": scenario, "author": author, "at": now_ms(), "pace": pace}
        | {"max_faulty": max_faulty / 100}
    )
    with _checked(settings, tenant, pace, as_json, scenario=scenario, **given) as (audience, report, _):
        if report.faulty_share > order.max_faulty:
            raise click.ClickException(
                f"{report.faulty_share:.2%} of the rows are faulty; allowed are {order.max_faulty:.2%}: nothing is handed on"
            )
        starts = _ms(at) if starting else None
        campaign = desk.run(_create(settings, order, audience, report, starting, starts))
    _say(settings, campaign, as_json)


async def _create(
    settings: Settings, order: Create, audience: Audience, report: Report, starting: bool, starts: int | None
) -> Campaign:  # fmt: skip
    async with Board(settings, order.tenant) as board:
        await board.order(order)
        with bar() as shown:
            pieces = shown.track(audience.pieces(), total=report.rows / 500, description="audience")
            campaign = await board.load(order.name, pieces)
        if starting:
            campaign = await board.order(Act(uuid4().hex, order.tenant, order.name, "start", order.author, now_ms(), starts))
        return campaign


@command.command()
@click.argument("name")
@_of_tenant
@_as_json
@click.option("--watch", is_flag=True, help="Follow it until all recipients are handed to their routes.")
def show(name: str, tenant: str, as_json: bool, watch: bool) -> None:
    """Show how far a campaign has come."""
    settings = from_environment()
    campaign = desk.run(_watched(settings, tenant, name, watch))
    _say(settings, campaign, as_json)


async def _watched(settings: Settings, tenant: str, name: str, watch: bool) -> Campaign:
    async with Board(settings, tenant) as board:
        campaign = board.held(name)
        if not watch:
            return campaign
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}/{task.total:,}"))
        with Progress(*columns, TextColumn("{task.fields[rate]}/s"), TimeRemainingColumn(), console=bar().console) as shown:
            task = shown.add_task(name, total=campaign.report.rows, rate="")
            async for campaign in board.changes(name):
                told = progress(campaign, now_ms(), {})
                _advance(shown, task, told)
                if told.state in ENDED and not told.waiting:
                    break
        return campaign


def _advance(shown: Progress, task: TaskID, told: Headway) -> None:
    shown.update(
        task, total=told.recipients, completed=told.released - told.waiting, description=f"{told.name} {told.state}",
        rate="-" if told.rate is None else f"{told.rate:g}",
    )  # fmt: skip


@command.command("list")
@_of_tenant
@_as_json
def list_(tenant: str, as_json: bool) -> None:
    """List campaigns, the newest first."""
    settings = from_environment()
    for campaign in sorted(desk.run(_all(settings, tenant)), key=lambda campaign: -campaign.created):
        told = _headway(settings, campaign)
        passed = told.released - told.waiting
        line = f"{told.name:30}  {told.state:10} {passed:>9,} of {told.recipients:>9,}  {told.scenario}, by {told.author}"
        click.echo(msgspec.json.encode(told) if as_json else line)


async def _all(settings: Settings, tenant: str) -> list[Campaign]:
    async with Board(settings, tenant) as board:
        return list(board.rows.values())


def _action(action: Action, words: str, *options: Callable[[Any], Any]) -> None:
    def act(name: str, tenant: str, as_json: bool, author: str, at: datetime | None = None, pace: int | None = None) -> None:
        settings = from_environment()
        order = Act(uuid4().hex, tenant, name, action, author, now_ms(), _ms(at), pace)
        _say(settings, desk.run(_order(settings, order)), as_json)

    decorated: Any = desk.by(_as_json(_of_tenant(act)))
    for option in options:
        decorated = option(decorated)
    command.command(action, help=words)(click.argument("name")(decorated))


async def _order(settings: Settings, order: Act) -> Campaign:
    async with Board(settings, order.tenant) as board:
        board.held(order.name)
        return await board.order(order)


_AT = click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="Not before this time, as 2026-11-24T09:00:00+01:00.")
_PACE = click.argument("pace", type=click.IntRange(0, 100_000), callback=lambda _ctx, _param, value: value or None)

_action("start", "Release the recipients of the campaign NAME, from now on or from a time on.", _AT)
_action("pause", "Release nothing more of the campaign NAME, until it is resumed. What waits for its route goes on.")
_action("resume", "Go on with the campaign NAME where it was paused.")
_action("cancel", "Release nothing more of the campaign NAME, ever. What waits for its route goes on.")
_action("pace", "Release at most PACE recipients a second of the campaign NAME; 0: as fast as the routes take them.", _PACE)


# -- what is shown ---------------------------------------------------------------------------------


@contextmanager
def _checked(
    settings: Settings, tenant: str, pace: int | None, as_json: bool, *, scenario: str, audience: Path | None, query: str | None,
    form: Any, encoding: str | None, delimiter: str | None,
) -> Iterator[tuple[Audience, Report, Forecast]]:  # fmt: skip
    """The audience with what is in it, which is told on stderr, or on stdout where nothing else is."""
    if (audience is None) == (query is None):
        raise click.UsageError("name either --audience or --query")
    catalogue = desk.run(desk.catalogue(settings))
    with NamedTemporaryFile(suffix=".jsonl") as temporary:
        if query is not None:
            path = Path(temporary.name)
            from inm.cli.spool import spool  # SQLAlchemy takes a third of a second to import

            asyncio.run(spool(catalogue.book(tenant), query, path))
            form = "jsonl"
        else:
            assert audience is not None
            path = audience
        file = recognised(path, form, encoding, delimiter)
        found = Audience(file, settings, catalogue, tenant, scenario)
        report = found.report()
        told = forecast(report, pace, found.rates)
        for line in [str(file) if query is None else "query", *_report(report, told)]:
            click.echo(line, err=as_json)
        yield found, report, told


def _report(report: Report, told: Forecast) -> Iterator[str]:
    yield f"{report.rows:,} recipients, {report.faulty:,} faulty rows, {report.duplicates:,} duplicates"
    yield from map(str, report.faults)
    time = f", about {timedelta(seconds=told.seconds)}" if told.seconds is not None else ""
    yield f"about {told.parts:,} parts, cost {told.cost:,.2f}{time}"
    if report.refused:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in report.refused.items())
        yield f"of {report.sampled:,} that were tried nothing would be sent for: {reasons}"


def _headway(settings: Settings, campaign: Campaign) -> Headway:
    return progress(campaign, now_ms(), settings.rates({route.channel for route in settings.routes.values()}))


def _say(settings: Settings, campaign: Campaign, as_json: bool) -> None:
    told = _headway(settings, campaign)
    click.echo(msgspec.json.encode(told) if as_json else "\n".join(_lines(told)))


def _lines(told: Headway) -> Iterator[str]:
    pace = f", at most {told.pace:,} a second" if told.pace else ""
    yield f"{told.name}: {told.state}, scenario {told.scenario}{pace}, by {told.author}"
    if told.starts and told.starts > now_ms():
        yield f"starts {_time(told.starts)}"
    yield f"released {told.released:,} of {told.recipients:,}, {told.waiting:,} wait for their route"
    yield f"submitted {told.submitted:,} in {told.parts:,} parts, {told.open:,} open"
    yield from (f"{event} {number:,}" for event, number in told.finals.items())
    if told.rate is not None:
        yield f"{told.rate:g} recipients a second" + (f", to the end at {_time(told.ends)}" if told.ends else "")


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


def _valid(order: dict[str, Any]) -> Create:
    try:
        return msgspec.convert(order, Create)
    except msgspec.ValidationError as error:
        raise click.ClickException(str(error)) from error
