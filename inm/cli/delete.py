"""``inm delete``."""

import click

from inm.cli import desk
from inm.cli.apply import say
from inm.core.reference import Item
from inm.settings import from_environment


@click.command("delete")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@desk.by
def command(paths: tuple[str, ...], dry_run: bool, as_json: bool, author: str) -> None:
    """Delete documents by path, such as acme/scenario/otp: all of them, or, if one is in use, none.

    A template goes with all its versions. A tenant goes when nothing else of it is left, or all of that is named too.
    """
    change = desk.change(author, [Item("delete", path) for path in paths], dry_run=dry_run)
    answer = desk.run(desk.ask(from_environment(), change))
    if answer.wrong:
        desk.tell(answer.wrong)
    say(answer, as_json, " (dry run)" if dry_run else "")
    absent = [done.path for done in answer.done if done.result == "unchanged"]
    if absent:
        raise click.ClickException(f"there is no {', no '.join(absent)}")
