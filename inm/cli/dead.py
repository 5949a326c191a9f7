"""``inm dead``."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, BinaryIO, TypeVar

import click
from aiokafka.errors import KafkaError

from inm.cli import desk
from inm.cli.letterbox import Watched, progress
from inm.core import deadletters, lettertext
from inm.core.deadletters import DeadLetterError, Letter, Letters, Original, Selection
from inm.settings import Settings, from_environment
from inm.streaming.chunks import now_ms
from inm.web.endings import Drop, Ending, Retry

MANY = 100
"""Letters that are retried or dropped without asking."""
BATCH = 100
"""Letters that are under way at a time: what a broken run sends again at most."""

Result = TypeVar("Result")
Command = TypeVar("Command", bound=Callable[..., None])


@click.group("dead")
def command() -> None:
    """See what could not be processed and why, and send it back or drop it.

    A dead letter's ID is its offset on inm.dead. Personal data is masked: letters are shown as x, digits as 9.

    Exit codes: 0 done, 1 some or all could not be done (stderr says which and why), 2 wrong usage, 78 a configuration that cannot be used.
    """


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of some work with Kafka; what goes wrong there is a sentence."""
    try:
        return asyncio.run(work)
    except DeadLetterError as error:
        raise click.ClickException(str(error)) from error
    except (KafkaError, OSError) as error:
        raise click.ClickException(f"Kafka: {error!r}") from error


def _since(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    try:
        return deadletters.moment(text, now_ms()) if text else None
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is neither like 90s, 30m, 24h or 7d nor an RFC 3339 time") from error


def _filters(function: Command) -> Command:
    for option in (
        click.option("--since", callback=_since, metavar="TIME", help="Not older: 30m, 24h, 7d, or an RFC 3339 time."),
        click.option("--topic", help="Those of records of this topic."),
        click.option("--stage", help="Those of this stage, such as intake."),
        click.option("--reason", help="Those with this reason, such as unknown-scenario."),
    ):
        function = option(function)
    return function


def _ends(function: Command) -> Command:
    """The options of what ends letters."""
    for option in (
        click.option("--yes", is_flag=True, help=f"Do not ask, also if there are more than {MANY}."),
        click.option("--dry-run", is_flag=True, help="Only say what would be done."),
        click.option("--by", envvar="USER", show_envvar=True, required=True, help="Who does it; kept with the letter."),
        _filters,
        click.argument("ids", nargs=-1, type=click.IntRange(0), metavar="[ID]..."),
    ):
        function = option(function)
    return function


# -- looking --------------------------------------------------------------------------------------


@command.command("list")
@_filters
@click.option("--all", "closed", is_flag=True, help="Also those that were retried or dropped, with when, why and by whom.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="The newest so many.")
@click.option("--summary", is_flag=True, help="Only how many there are of each reason.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--unmask", is_flag=True, help="Show personal data.")
def list_(
    reason: str | None, stage: str | None, topic: str | None, since: int | None,
    closed: bool, limit: int, summary: bool, as_json: bool, unmask: bool,
) -> None:  # fmt: skip
    """List open dead letters, the newest first."""
    selection = Selection(reason=reason, stage=stage, topic=topic, since=since)
    found, shown = _run(_look(from_environment(), selection, closed, 0 if summary else limit))
    if summary:
        for count in deadletters.summary(found):
            click.echo(json.dumps(lettertext.counted(count)) if as_json else lettertext.count_line(count))
    for letter in shown:
        click.echo(json.dumps(lettertext.told(letter, unmask), ensure_ascii=False) if as_json else lettertext.line(letter, unmask))
    if not found:
        click.echo("no dead letters" if closed else "no open dead letters", err=True)
    elif len(found) > limit and not summary:
        click.echo(f"the newest {limit} of {len(found)}; --limit shows more, --summary counts them by reason", err=True)


async def _look(settings: Settings, selection: Selection, closed: bool, limit: int) -> tuple[list[Letter], list[Letter]]:
    """The letters meant, and the newest of them with what they hold."""
    async with Watched(settings) as box:
        found = (await box.letters()).chosen(selection, closed=closed)
        whole = []
        for known in found[-limit:] if limit else ():
            letter = await box.letter(known.id)
            if letter is not None:
                letter.closed = known.closed
                whole.append(letter)
    return found, whole[::-1]


@command.command()
@click.argument("number", metavar="ID", type=click.IntRange(0))
@click.option("--unmask", is_flag=True, help="Show personal data.")
@click.option("--json", "as_json", is_flag=True, help="The letter as JSON.")
@click.option("--raw", is_flag=True, help="Only the record's value, byte for byte and unmasked: to mend it for retry --value.")
def show(number: int, unmask: bool, as_json: bool, raw: bool) -> None:
    """Show a dead letter: why, where from, the record, and what became of it."""
    letter, record = _run(_read(from_environment(), number, raw))
    if letter is None:
        raise click.ClickException(_NO_LETTER.format(number))
    if record is not None:
        sys.stdout.buffer.write(record.value or b"")
    elif as_json:
        click.echo(json.dumps(lettertext.told(letter, unmask, whole=True), indent=2, ensure_ascii=False))
    else:
        click.echo(lettertext.text(letter, unmask))


_NO_LETTER = "no dead letter {}, or inm.dead does not keep it any more: inm dead list"


async def _read(settings: Settings, number: int, raw: bool) -> tuple[Letter | None, Original | None]:
    async with Watched(settings) as box:
        letter = await box.fate(number)
        return letter, await box.original(letter) if letter and raw else None


# -- ending ---------------------------------------------------------------------------------------


@command.command()
@_ends
@click.option("--why", help="Kept with the letter.")
@click.option("--value", "mended", type=click.File("rb"), help="Send what this file (- for stdin) holds instead, for one ID.")
def retry(
    ids: tuple[int, ...], reason: str | None, stage: str | None, topic: str | None, since: int | None,
    by: str, dry_run: bool, yes: bool, why: str | None, mended: BinaryIO | None,
) -> None:  # fmt: skip
    """Send records back to the topic they came from: those of these IDs, or all open ones that fit the options.

    Notifications keep their ids, so that none is made twice. What is refused again makes a new dead letter.

    To mend a record: inm dead show ID --raw > FILE, then edit FILE, then inm dead retry ID --value FILE.
    """
    if mended is not None and len(ids) != 1:
        raise click.UsageError("--value mends one record: name one ID")
    settings = from_environment()
    ending = Retry(settings.partitions, desk.run(desk.catalogue(settings)), by, why, mended.read() if mended else None)
    _end(settings, _selected(ids, reason, stage, topic, since), ending, dry_run, yes)


@command.command()
@_ends
@click.option("--why", required=True, help="Kept with the letter.")
def drop(
    ids: tuple[int, ...], reason: str | None, stage: str | None, topic: str | None, since: int | None,
    by: str, dry_run: bool, yes: bool, why: str,
) -> None:  # fmt: skip
    """Close dead letters without sending anything: those of these IDs, or all open ones that fit the options."""
    _end(from_environment(), _selected(ids, reason, stage, topic, since), Drop(by, why), dry_run, yes)


def _selected(ids: tuple[int, ...], reason: str | None, stage: str | None, topic: str | None, since: int | None) -> Selection:
    if bool(ids) == any((reason, stage, topic, since)):
        raise click.UsageError("name either IDs or at least one of --reason, --stage, --topic and --since")
    return Selection(frozenset(ids), reason, stage, topic, since)


def _end(settings: Settings, selection: Selection, ending: Ending, dry_run: bool, yes: bool) -> None:
    """End the letters meant; exit code 1 if that failed for any."""
    if _run(_end_all(settings, selection, ending, dry_run, yes)):
        raise click.exceptions.Exit(1)


async def _end_all(settings: Settings, selection: Selection, ending: Ending, dry_run: bool, yes: bool) -> int:
    """How many letters could not be ended. What has ended is skipped: a run that broke off is taken up by the same command."""
    async with Watched(settings) as box:
        chosen = _open(await box.letters(), selection)
        if len(chosen) > MANY and not (yes or dry_run):
            _ask(len(chosen))
        failed = 0
        with progress() as bar:
            for start in bar.track(range(0, len(chosen), BATCH), description="dead letters"):
                for number, words, done in await ending.end(box, chosen[start : start + BATCH], dry_run=dry_run):
                    click.echo(f"{number}: {words}", err=not done)
                    failed += not done
    if failed:
        click.echo(f"{failed} of {len(chosen)} could not be done and stay open", err=True)
    return failed


def _open(letters: Letters, selection: Selection) -> Sequence[Letter]:
    """The open ones of those meant. An ID that is none ends all; one that is closed is said."""
    for number in sorted(selection.ids):
        letter = letters.get(number)
        if letter is None:
            raise click.ClickException(_NO_LETTER.format(number))
        if letter.closed:
            click.echo(f"{number}: {lettertext.fate(letter)}", err=True)
    chosen = letters.chosen(selection)
    if not chosen:
        click.echo("no open dead letter is meant: nothing to do", err=True)
    return chosen


def _ask(count: int) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(f"{count} dead letters are meant: say --yes, or see with --dry-run which")
    click.confirm(f"{count} dead letters are meant. Go on?", abort=True, err=True)
