"""``inm callbacks``."""

import asyncio

import click
import msgspec
from aiokafka.errors import KafkaError

from inm import topics
from inm.cli import desk
from inm.cli.asking import produce
from inm.core import deadletters
from inm.core.callbacks import Resend
from inm.settings import from_environment
from inm.streaming.chunks import now_ms


@click.group("callbacks")
def command() -> None:
    """Look after the endpoints to which results are posted. They are documents: inm get callback lists them."""


@command.command("resend")
@click.argument("name", metavar="TENANT/NAME")
@click.option("--since", required=True, help="Events from then on: 90s, 30m, 24h or 7d ago, or a time such as 2026-11-22T10:00:00Z.")
def resend(name: str, since: str) -> None:
    """Call an endpoint again, suspended or not, and post what was given up since a time.

    What waits is posted in any case; what was taken is not posted again.
    """
    settings = from_environment()
    try:
        moment = deadletters.moment(since, now_ms())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from error
    tenant, _, own = name.partition("/")
    held = desk.run(desk.documents(settings)).held(tenant)
    if f"{tenant}/callback/{own}" not in held:
        raise click.ClickException(f"there is no callback {name}: inm get callback lists what there is")
    try:
        asyncio.run(produce(settings, topics.CALLBACKS, msgspec.json.encode(Resend(name, moment)), name.encode()))
    except (KafkaError, OSError) as error:
        raise click.ClickException(f"Kafka cannot be reached: {error!r}") from error
    click.echo(f"{name} is called again, with what was given up since {since}", err=True)
