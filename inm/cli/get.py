"""``inm get``."""

import json
from collections.abc import Iterable
from typing import Any, get_args

import click
import msgspec

from inm.cli import desk
from inm.core.copies import newest, shown, text
from inm.core.documents import Document
from inm.core.reference import Held, kind_of
from inm.settings import from_environment
from inm.tables.library import Library

KINDS = tuple(kind.__struct_config__.tag for kind in get_args(Document))


@click.command("get")
@click.argument("what", required=False, metavar="[PATH|KIND]")
@click.option("--tenant", help="Those of this tenant.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with revision, author and state.")
def command(what: str | None, tenant: str | None, as_json: bool) -> None:
    """Show a document, or list them.

    PATH is like acme/scenario/otp, acme/template/otp-sms (its newest version) or acme/template/otp-sms/3; KIND is tenant, fields,
    sender, template, scenario, plan, window, holidays, source, callback, key or account.
    """
    library = desk.run(desk.documents(from_environment()))
    if what is None or what in KINDS:
        _list(_all(library, what, tenant), as_json)
        return
    row = find(library, what)
    if row is None:
        raise click.ClickException(f"there is no {what}: inm get lists what there is")
    click.echo(json.dumps(_told(row), ensure_ascii=False, indent=2) if as_json else text(row.document), nl=as_json)


def find(library: Library, path: str) -> Held | None:
    """The document of a path; of a template without a version, the newest one."""
    held = library.held(path.partition("/")[0])
    return held.get(path) or newest(held).get(path)


def _all(library: Library, kind: str | None, tenant: str | None) -> list[Held]:
    rows = [row for name in library.tenants if tenant in (None, name) for row in newest(library.held(name)).values()]
    return [row for row in rows if kind in (None, kind_of(row.path))]


def _list(rows: Iterable[Held], as_json: bool) -> None:
    for row in rows:
        told = _told(row)
        told.pop("document")
        state = f"  {row.state}" if row.state else ""
        click.echo(json.dumps(told, ensure_ascii=False) if as_json else f"{row.path:50}  revision {row.revision:<4}{row.author}{state}")


def _told(row: Held) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(row)
    return told | {"document": shown(row.document)}
