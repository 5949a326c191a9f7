"""``inm try``."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import click
import msgspec

from inm import algorithms, topics
from inm.cli import desk, rows
from inm.cli.asking import asking, checked, document, pair, produce
from inm.core import story, why
from inm.core.books import Book
from inm.core.faults import find
from inm.core.ids import partition_of_notification
from inm.core.records import Notification
from inm.core.requests import expand
from inm.core.trial import GivenUser, Rendered, Trial, attempt, drafted
from inm.core.users import User
from inm.documents import load_catalogue
from inm.settings import Settings, from_environment
from inm.streaming.chunks import now_ms
from inm.tables import users


@click.command("try")
@asking
@click.option("--user-data", multiple=True, metavar="NAME=VALUE", help="User data in place of what is known: language=it, fields={...}.")
@click.option("--draft", is_flag=True, help="With texts that wait for approval, as if they were approved.")
@click.option("--to", metavar="ADDRESS", help="Send it there for real, marked as a test in all records.")
@click.option("--json", "as_json", is_flag=True, help="The whole as JSON.")
@click.option("--unmask", is_flag=True, help="Show addresses in full.")
def command(
    scenario: str, tenant: str, user_data: tuple[str, ...], draft: bool, to: str | None, as_json: bool, unmask: bool, **recipient: Any
) -> None:
    """Tell what would become of a request: the decision, why, and the message as it would be sent. Nothing is sent without --to.

    User data are those that INM has now, if any; a source is not asked.

    Example: inm try otp --phone +393331234567 --language it --field code=493817
    """
    if draft and to:
        raise click.UsageError("what is not approved is sent to nobody: either --draft or --to")
    settings = from_environment()
    library = desk.run(desk.documents(settings))
    catalogue = load_catalogue(settings) if library.empty else library.catalogue
    if to:
        recipient |= {"phone": None, "email": None, "offer": None, "email" if "@" in to else "phone": to}
    asked = document(scenario, recipient) | {"request_id": f"try-{uuid4()}"} | ({"test": True} if to else {})
    request = checked(asked, tenant, catalogue)
    book = drafted(library.held(tenant), catalogue.book(tenant)) if draft else catalogue.book(tenant)
    assert book  # it has the scenario
    notification = expand(request, tenant, "", now_ms(), settings.partitions)[0]
    user = _given(user_data, notification) if user_data else _known(settings, notification, book)
    trial = attempt(notification, book, user, now_ms(), algorithms.installed(), settings.partitions, settings.prices)
    if to and trial.outcome == "send":
        desk.run(produce(settings, topics.requests(tenant), msgspec.json.encode(asked)))
        trial = msgspec.structs.replace(trial, notification=notification.id)
    words = msgspec.json.format(msgspec.json.encode(trial)).decode() if as_json else "\n".join(_lines(trial))
    shown = {"steps": [{"to": trial.message.to}] if trial.message else []}
    click.echo(words if unmask else story.mask(shown, words))


def _given(items: tuple[str, ...], notification: Notification) -> User:
    value = dict(map(pair, items))
    try:
        return msgspec.convert(value, GivenUser).row(notification.key, now_ms())
    except msgspec.ValidationError as error:
        faults = "\n".join(map(str, find(value, GivenUser))) or str(error)
        raise click.BadParameter(faults, param_hint="--user-data") from error


def _known(settings: Settings, notification: Notification, book: Book) -> User | None:
    """What the users table has. It may be that nothing runs yet, and there is no such table."""
    keys = (notification.key, notification.tenant)
    found = desk.run(rows.find(settings, "users", partition_of_notification(notification.id), keys))
    return users.told(found, notification.key, book, now_ms())


def _lines(trial: Trial) -> Iterator[str]:
    yield {"send": "it would be sent", "refused": f"nothing would be sent: {trial.reason}, {trial.detail}"}.get(
        trial.outcome, f"it stands for {len(trial.also)} recipients"
    )
    if trial.held:
        yield f"it would wait for its window until {datetime.fromtimestamp(trial.held / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"
    if trial.notification:
        yield f"sent as {trial.notification}: inm explain tells what becomes of it"
    if trial.decision:
        yield from why.lines(trial.decision)
    for whom in trial.also:
        address = next(filter(None, (whom.user, whom.phone and story.masked(whom.phone), whom.email and story.masked(whom.email))), "")
        yield f"also {whom.role or ''} {address}".replace("  ", " ")
    if trial.message:
        yield ""
        yield from _message(trial.message, trial.plan)


def _message(message: Rendered, steps: int) -> Iterator[str]:
    tone = f"/{message.tone}" if message.tone else ""
    yield f"step {message.step} of {steps}: {message.channel} to {message.to} from {message.sender} by {message.route}, lane {message.lane}"
    yield f"template {message.template} version {message.version}, {message.language}{tone}"
    if message.encoding:
        because = f", because of {message.foreign}" if message.foreign else ""
        yield f"{message.parts} part{'s' * (message.parts != 1)} in {message.encoding}{because}{', flash' if message.flash else ''}"
    if message.price is not None:
        yield f"costs {message.price:g}"
    if message.subject:
        yield f"subject: {message.subject}"
    yield ""
    yield message.text
    if message.html:
        yield f"\nand {len(message.html)} characters of HTML: --json has them"
