"""``inm explain``."""

import json

import click
import msgspec

from inm.cli import desk, rows
from inm.core.ids import partition_of_notification
from inm.core.ledger import Journey
from inm.settings import from_environment
from inm.tables.rows import BODY


@click.command("explain")
@click.argument("notification")
@click.option("--json", "as_json", is_flag=True, help="The story as JSON.")
@click.option("--unmask", is_flag=True, help="Show addresses in full.")
def command(notification: str, as_json: bool, unmask: bool) -> None:
    """Tell the story of a notification: what was decided and why, each attempt, each receipt, and how it ended.

    Reads the journeys' changelog, so that no worker need be running.
    """
    from inm.core import story

    try:
        partition = partition_of_notification(notification)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NOTIFICATION") from error
    row = desk.run(rows.find(from_environment(), "journeys", partition, [notification]))[notification]
    if row is None:
        raise click.ClickException(f"no notification {notification}, or it was swept some days after its end")
    told = story.tell(msgspec.msgpack.decode(row[BODY:], type=Journey))
    words = json.dumps(told, indent=2, ensure_ascii=False) if as_json else story.text(told, unmask=True)
    click.echo(words if unmask else story.mask(told, words))
