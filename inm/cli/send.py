"""``inm send``."""

import asyncio
from uuid import uuid4

import click
import msgspec
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.core.requests import InvalidRequestError, expand, parse
from inm.documents import load_catalogue
from inm.settings import Settings, from_environment, kafka_client


@click.command("send")
@click.argument("scenario")
@click.option("--tenant", default="acme", show_default=True, help="Whose request it is: the topic is inm.requests.TENANT.")
@click.option("--user", help="The tenant's id of the recipient.")
@click.option("--phone", help="Phone number, E.164 with the plus.")
@click.option("--email", help="E-mail address.")
@click.option("--language", help="Language of the recipient (BCP 47).")
@click.option(
    "--field", "fields", multiple=True, metavar="NAME=VALUE", help="A field of the template; a VALUE that is JSON is taken as such."
)
@click.option("--request-id", help="Your own reference; the same again is the same request. A new one if absent.")
@click.option("--lane", type=click.Choice(["urgent", "normal", "bulk"]), help="The scenario's lane if absent.")
@click.option("--at", help="Not before this time (RFC 3339).")
@click.option("--dry-run", is_flag=True, help="Check and print the request, but do not send it.")
def command(
    scenario: str, tenant: str, user: str | None, phone: str | None, email: str | None, language: str | None,
    fields: tuple[str, ...], request_id: str | None, lane: str | None, at: str | None, dry_run: bool,
) -> None:  # fmt: skip
    """Send a request to a tenant's topic, checked as a worker checks it; prints the notification's id.

    Example: inm send otp --phone +393331234567 --language it --field code=493817
    """
    to = {"user": user, "phone": phone, "email": email, "language": language}
    request = {
        "scenario": scenario,
        "to": {name: value for name, value in to.items() if value is not None},
        "fields": dict(map(_field, fields)),
        "request_id": request_id or str(uuid4()),
    }
    request |= {name: value for name, value in {"lane": lane, "at": at}.items() if value is not None}
    value = msgspec.json.encode(request)
    settings = from_environment()
    try:
        parsed = parse(value, tenant, load_catalogue(settings))
    except InvalidRequestError as error:
        raise click.ClickException("\n".join([error.reason, *map(str, error.faults)])) from error
    if dry_run:
        click.echo(value)
        return
    asyncio.run(_send(settings, topics.requests(tenant), value))
    for notification in expand(parsed, tenant, "", 0, settings.partitions):
        click.echo(notification.id)


def _field(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--field")
    if not value.startswith(("{", "[")) and value not in ("true", "false", "null"):
        return name, value  # a number stays text: a code of 012345 is not 12345
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


async def _send(settings: Settings, topic: str, value: bytes) -> None:
    client = kafka_client(settings)
    producer = AIOKafkaProducer(bootstrap_servers=settings.broker.servers, acks="all", enable_idempotence=True, **client)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()
