"""``inm admin``."""

import json
import sys
from collections.abc import Callable
from typing import Any, get_args

import click

from inm.cli import desk
from inm.cli.apply import say
from inm.console import passwords
from inm.core.copies import shown
from inm.core.reference import Held, Item, kind_of
from inm.core.roles import Role
from inm.settings import Settings, from_environment
from inm.tables.library import Library

json_lines = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group("admin")
def command() -> None:
    """Make the accounts of the console, the first ones above all: admins make the others there.

    A password is asked for on a terminal, or is the first line of stdin; never an argument.
    """


@command.command("create")
@click.argument("tenant")
@click.argument("name")
@click.option(
    "--role", "roles", multiple=True, default=("admin",), show_default=True, type=click.Choice(get_args(Role)), help="What she may do."
)
@click.option("--title", default="", help="Her name as people write it.")
@click.option("--identity", help="How the OpenID provider names her: then no password is asked for.")
@json_lines
@desk.by
def create(tenant: str, name: str, roles: tuple[str, ...], title: str, identity: str | None, as_json: bool, author: str) -> None:
    """Create an account that is not there yet."""
    settings = from_environment()
    document: dict[str, Any] = {"kind": "account", "tenant": tenant, "name": name, "roles": list(roles)}
    document |= {key: value for key, value in (("title", title), ("identity", identity)) if value}
    if identity is None:
        document["password"] = _password()
    _ask(settings, Item("apply", f"{tenant}/account/{name}", document, expected=0), author, as_json)


@command.command("list")
@click.option("--tenant", help="Those of this tenant.")
@json_lines
def list_(tenant: str | None, as_json: bool) -> None:
    """List accounts with their roles."""
    library = desk.run(desk.documents(from_environment()))
    for row in _accounts(library, tenant):
        document = shown(row.document)
        state = "disabled" if document.get("disabled") else ""
        line = f"{row.path:40}  {', '.join(document['roles']):20}  {document.get('title', '')}  {state}".rstrip()
        click.echo(json.dumps(document, ensure_ascii=False) if as_json else line)


def _accounts(library: Library, tenant: str | None) -> list[Held]:
    rows = (row for name in ([tenant] if tenant else library.tenants) for row in library.held(name).values())
    return sorted((row for row in rows if kind_of(row.path) == "account"), key=lambda row: row.path)


def _action(name: str, words: str, change: Callable[[], dict[str, Any]]) -> None:
    @command.command(name, help=words)
    @click.argument("tenant")
    @click.argument("name")
    @json_lines
    @desk.by
    def act(tenant: str, name: str, as_json: bool, author: str) -> None:
        settings = from_environment()
        row = desk.run(desk.documents(settings)).held(tenant).get(f"{tenant}/account/{name}")
        if row is None:
            raise click.ClickException(f"{tenant} has no account {name}: inm admin list")
        _ask(settings, Item("apply", row.path, row.document | change(), expected=row.revision), author, as_json)


_action("disable", "Let nobody sign in with an account, and end its sessions.", lambda: {"disabled": True})
_action("enable", "Let an account that was disabled sign in again.", lambda: {"disabled": False})
_action("password", "Give an account another password, and end its sessions.", lambda: {"password": _password()})


def _ask(settings: Settings, item: Item, author: str, as_json: bool) -> None:
    answer = desk.run(desk.ask(settings, desk.change(author, [item])))
    if answer.wrong:
        desk.tell(answer.wrong)
    say(answer, as_json)


def _password() -> str:
    """The hash of what somebody types twice, or of the first line of stdin."""
    if sys.stdin.isatty():
        typed = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        typed = sys.stdin.readline().rstrip("\r\n")
    try:
        return passwords.hashed(typed)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
