"""A request made of options: what ``inm send`` and ``inm try`` have in common."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
import msgspec
from aiokafka import AIOKafkaProducer

from inm.core.catalogue import Catalogue
from inm.core.records import Request
from inm.core.requests import InvalidRequestError, parse
from inm.settings import Settings, kafka_client
from inm.streaming.chunks import now_ms

Command = TypeVar("Command", bound=Callable[..., None])

_RECIPIENT = {
    "user": "The tenant's id of the recipient.",
    "phone": "Phone number, E.164 with the plus.",
    "email": "E-mail address.",
    "offer": "A shared offer, in place of a recipient: all its members.",
    "language": "Language of the recipient (BCP 47).",
    "tone": "Tone of voice for the recipient.",
    "role": "What the recipient is to it: master, slave, …",
}


def asking(function: Command) -> Command:
    """The argument SCENARIO, and options for tenant, recipient and fields."""
    fields_help = "A field of the request; a VALUE that is JSON is taken as such."
    function = click.option("--field", "fields", multiple=True, metavar="NAME=VALUE", help=fields_help)(function)
    for name, text in reversed(_RECIPIENT.items()):
        function = click.option(f"--{name}", help=text)(function)
    function = click.option("--tenant", default="acme", show_default=True, help="Whose request it is.")(function)
    return click.argument("scenario")(function)


def document(scenario: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The request as it was asked for, taking its own out of the ``options``."""
    to = {name: options[name] for name in _RECIPIENT if options[name] is not None}
    return {"scenario": scenario, "to": to, "fields": dict(map(pair, options["fields"]))}


def checked(request: Mapping[str, Any], tenant: str, catalogue: Catalogue) -> Request:
    """The request as workers take it. Ends the command with every fault."""
    try:
        return parse(msgspec.json.encode(request), tenant, catalogue, now=now_ms())
    except InvalidRequestError as error:
        raise click.ClickException("\n".join([error.reason, *map(str, error.faults)])) from error


def pair(text: str) -> tuple[str, object]:
    """A name and its value."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--field")
    if not value.startswith(("{", "[")) and value not in ("true", "false", "null"):
        return name, value  # a number stays text: a code of 012345 is not 12345
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


async def produce(settings: Settings, topic: str, value: bytes, key: bytes | None = None) -> None:
    """Write a record; returns when Kafka has it."""
    client = kafka_client(settings)
    producer = AIOKafkaProducer(bootstrap_servers=settings.broker.servers, acks="all", enable_idempotence=True, **client)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, key)
    finally:
        await producer.stop()
