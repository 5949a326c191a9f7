"""``inm route``."""

import json
from collections.abc import Mapping

import click
import msgspec
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.channels.directory import read_event
from inm.cli import desk
from inm.core.audit import of_route
from inm.core.routing import Condition, Order, event_key
from inm.settings import Settings, from_environment, kafka_client
from inm.settings.routes import RouteSettings
from inm.streaming import admin
from inm.streaming.chunks import now_ms
from inm.streaming.mirror import Mirror
from inm.streaming.restore import new_consumer

Events = dict[bytes, Order | Condition]


@click.group("route")
def command() -> None:
    """See how the routes do, and put one out or back."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(as_json: bool) -> None:
    """List the routes: whether they are out, and how each worker found them the last time that it changed its mind."""
    settings = from_environment()
    events = desk.run(_events(settings))
    for route in settings.routes.values():
        order = events.get(route.name.encode())
        conditions = [event for event in events.values() if isinstance(event, Condition) and event.route == route.name]
        click.echo(json.dumps(_told(route, order, conditions)) if as_json else _line(route, order, conditions))


@command.command("out")
@click.argument("name")
@click.option("--why", required=True, help="The reason, kept with it.")
@click.option("--by", envvar="USER", show_envvar=True, required=True, help="Who does it; kept with it.")
def out(name: str, why: str, by: str) -> None:
    """Put a route out: within a second no worker hands it anything more. What it has in hand it finishes."""
    settings = from_environment()
    channel = _known(settings, name).channel
    desk.run(_order(settings, Order(name, True, why, by, now_ms())))
    click.echo(f"{name} out")
    events = desk.run(_events(settings))
    others = [other for other in settings.routes.values() if other.channel == channel]
    if all(isinstance(order := events.get(other.name.encode()), Order) and order.out for other in others):
        click.echo(f"every route for {channel} is out: what would go by them waits until it expires", err=True)


@command.command("in")
@click.argument("name")
@click.option("--why", default="", help="The reason, kept with it.")
@click.option("--by", envvar="USER", show_envvar=True, required=True, help="Who does it; kept with it.")
def back(name: str, why: str, by: str) -> None:
    """Put a route back."""
    settings = from_environment()
    _known(settings, name)
    desk.run(_order(settings, Order(name, False, why, by, now_ms())))
    click.echo(f"{name} in")


def _known(settings: Settings, name: str) -> RouteSettings:
    if name not in settings.routes:
        raise click.ClickException(f"there is no route {name}: inm.yaml has {', '.join(settings.routes)}")
    return settings.routes[name]


async def _events(settings: Settings) -> Events:
    """The last order of each route, and how each worker found it."""
    found: Events = {}

    async def take(rows: Mapping[bytes, bytes | None], _whole: bool) -> None:
        found.update((key, event) for key, value in rows.items() if (event := read_event(value)) is not None)

    servers, client = settings.broker.servers, kafka_client(settings)
    if await admin.exists(topics.ROUTES, servers, client):
        await Mirror(topics.ROUTES, lambda: new_consumer(servers, client), take).load()
    return found


async def _order(settings: Settings, order: Order) -> None:
    client = kafka_client(settings)
    for topic in (topics.ROUTES, topics.AUDIT):
        if not await admin.exists(topic, settings.broker.servers, client):
            raise click.ClickException(f"the cluster has no topic {topic}: start a worker, or: inm topics --create")
    producer = AIOKafkaProducer(bootstrap_servers=settings.broker.servers, acks="all", enable_idempotence=True, **client)
    await producer.start()
    try:
        entry = of_route(order)
        await producer.send_and_wait(topics.AUDIT, msgspec.json.encode(entry), entry.tenant.encode(), partition=0)
        await producer.send_and_wait(topics.ROUTES, msgspec.json.encode(order), event_key(order), partition=0)
    finally:
        await producer.stop()


def _told(route: RouteSettings, order: object, conditions: list[Condition]) -> dict[str, object]:
    return {
        "name": route.name,
        "channel": route.channel,
        **msgspec.to_builtins(route.traffic),
        "price": route.options.get("price"),
        "order": msgspec.to_builtins(order) if order else None,
        "conditions": msgspec.to_builtins(conditions),
    }


def _line(route: RouteSettings, order: object, conditions: list[Condition]) -> str:
    rate = f"{route.traffic.rate:g} parts/s" if route.traffic.rate else "no limit"
    state = "out" if isinstance(order, Order) and order.out else "in"
    lines = [f"{route.name:20} {route.channel:6} {state:4} weight {route.traffic.weight:<6g} {rate}"]
    if isinstance(order, Order):
        lines.append(f"    put {'out' if order.out else 'back'} by {order.by}: {order.why}".rstrip(": "))
    lines += [f"    {each.worker}: {each.level} ({each.health:.2f}): {each.reason}" for each in conditions]
    return "\n".join(lines)
