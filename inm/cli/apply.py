"""``inm apply``."""

import json

import click
import msgspec

from inm.cli import desk
from inm.core.reference import Answer, Item
from inm.settings import from_environment


@click.command("apply")
@click.argument("places", nargs=-1, required=True, metavar="FILE|DIR...")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--approved-by", metavar="PERSON", help="Another person, who has reviewed the templates elsewhere: they serve at once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@desk.by
def command(places: tuple[str, ...], dry_run: bool, approved_by: str | None, as_json: bool, author: str) -> None:
    """Make the documents in YAML files what the workers go by: all of them, or, if anything is wrong, none.

    Says of each created, configured or unchanged. A text that differs from a template's newest version becomes its next version,
    a draft: see inm template. Nothing is deleted: see inm delete.
    """
    written = desk.read_files(places)
    items = [Item("apply", parsed.path, parsed.document, place=parsed.place) for parsed in written]
    change = desk.change(author, items, approved_by, dry_run=dry_run)
    answer = desk.run(desk.ask(from_environment(), change))
    if answer.wrong:
        desk.tell(answer.wrong, written)
    say(answer, as_json, " (dry run)" if dry_run else "")


def say(answer: Answer, as_json: bool, remark: str = "") -> None:
    """What was done, a line an item; warnings go to stderr."""
    for done in answer.done:
        told = msgspec.to_builtins(done)
        click.echo(json.dumps(told, ensure_ascii=False) if as_json else f"{done.path} {done.result}{remark}")
        for warning in done.warnings:
            click.echo(f"{done.path}: warning: {warning}", err=True)
