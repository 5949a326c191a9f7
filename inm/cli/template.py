"""``inm template``."""

import json
from collections.abc import Callable
from typing import get_args

import click
import msgspec

from inm.cli import desk
from inm.cli.apply import say
from inm.cli.get import find
from inm.core.reference import Action, Held, Item, kind_of
from inm.core.templates import State
from inm.settings import from_environment
from inm.tables.library import Library


@click.group("template")
def command() -> None:
    """Moderate templates: a version serves when another person than its author has approved it.

    draft -> submitted -> approved or rejected. What is approved or rejected never changes; the approved version serves until a newer
    one is approved. PATH is like acme/template/otp-sms/4, or without a version for the newest one.
    """


@command.command("list")
@click.option("--tenant", help="Those of this tenant.")
@click.option("--state", type=click.Choice(get_args(State)), help="Those in this state, such as submitted: what waits for a review.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(tenant: str | None, state: str | None, as_json: bool) -> None:
    """List versions of templates with their state, author and reviewer."""
    library = desk.run(desk.documents(from_environment()))
    for name in library.tenants if tenant is None else [tenant]:
        for path, row in sorted(library.held(name).items()):
            if kind_of(path) == "template" and state in (None, row.state):
                told = {key: value for key, value in msgspec.to_builtins(row).items() if key != "document"}
                click.echo(json.dumps(told, ensure_ascii=False) if as_json else _line(row))


def _line(row: Held) -> str:
    reviewer = f", {row.state} by {row.reviewer}" if row.reviewer else ""
    comment = f": {row.comment}" if row.comment else ""
    return f"{row.path:50}  {row.state or '':10} by {row.author}{reviewer}{comment}"


def _action(action: Action, words: str, *, must_comment: bool = False) -> Callable[..., None]:
    @command.command(action, help=words)
    @click.argument("paths", nargs=-1, required=True, metavar="PATH...")
    @click.option("--comment", required=must_comment, help="Kept with the version.")
    @click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
    @desk.by
    def act(paths: tuple[str, ...], comment: str | None, as_json: bool, author: str) -> None:
        settings = from_environment()
        library = desk.run(desk.documents(settings))
        rows = [_version(library, path) for path in paths]
        items = [Item(action, row.path, expected=row.revision, comment=comment) for row in rows]
        answer = desk.run(desk.ask(settings, desk.change(author, items)))
        if answer.wrong:
            desk.tell(answer.wrong)
        say(answer, as_json)

    return act


def _version(library: Library, path: str) -> Held:
    row = find(library, path)
    if row is None or row.state is None:
        raise click.ClickException(f"there is no version of a template {path}: inm template list")
    return row


submit = _action("submit", "Hand drafts in for review.")
withdraw = _action("withdraw", "Take back what waits for its review: it is a draft again.")
approve = _action("approve", "Approve what was submitted: it serves from now on. Not by its author.")
reject = _action("reject", "Reject what was submitted, with a reason. Not by its author.", must_comment=True)
