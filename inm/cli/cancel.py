"""``inm cancel``."""

import asyncio
import json
from collections.abc import Collection
from time import time_ns

import click
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from inm import topics
from inm.cli import desk, rows
from inm.core.calling import Called, called, cancel
from inm.core.ids import partition_of_notification
from inm.core.ledger import Journey
from inm.settings import Settings, from_environment, kafka_client
from inm.tables.rows import BODY

PATIENCE = 10.0
"""Seconds in which a worker, if there is one, says what became of it."""
WORDS: dict[Called, str] = {
    "cancelled": "cancelled",
    "too-late": "too late",
    "asked": "asked for, and not known yet: inm explain tells what becomes of it",
}


@click.command("cancel")
@click.argument("notifications", nargs=-1, metavar="[ID]...")
@click.option("--request-id", help="All notifications of the request with this reference of yours.")
@click.option("--tenant", default="acme", show_default=True, help="Whose request it is.")
@click.option("--dry-run", is_flag=True, help="Only say in which state they are.")
@click.option("--by", envvar="USER", show_envvar=True, required=True, help="Who does it; kept in the audit trail.")
@click.option("--why", help="Kept in the audit trail.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(
    notifications: tuple[str, ...], request_id: str | None, tenant: str, dry_run: bool, by: str, why: str | None, as_json: bool
) -> None:  # fmt: skip
    """Call notifications back that have not been sent. What has been sent stays so: then the exit code is 1.

    Reads the journeys' changelog, and needs a worker that runs to make the change.
    """
    if bool(notifications) == bool(request_id):
        raise click.UsageError("name notifications, or a --request-id")
    journeys = desk.run(_found(from_environment(), notifications, request_id, tenant))
    if not dry_run:
        journeys = desk.run(_cancelled(from_environment(), journeys, by, why))
    for name, journey in journeys.items():
        told = {"notification": name, "result": called(journey), "state": journey.state, "final": journey.final}
        words = journey.state if dry_run else f"{WORDS[called(journey)]} ({journey.state})"
        click.echo(json.dumps(told) if as_json else f"{name}: {words}")
    if not dry_run and any(called(journey) != "cancelled" for journey in journeys.values()):
        raise click.exceptions.Exit(1)


async def _found(settings: Settings, notifications: Collection[str], request_id: str | None, tenant: str) -> dict[str, Journey]:
    """The journeys that are meant. ``ClickException`` if there are none."""
    if request_id is not None:
        held = [_decode(row) for row in await rows.search(settings, "journeys", request_id)]
        journeys = {journey.id: journey for journey in held if (journey.tenant, journey.request_id) == (tenant, request_id)}
        if not journeys:
            raise click.ClickException(f"no notification of {tenant} has the request id {request_id}, or they were swept after their end")
        return journeys
    journeys = {}
    for name in notifications:
        try:
            partition = partition_of_notification(name)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="ID") from error
        row = (await rows.find(settings, "journeys", partition, [name]))[name]
        if row is None:
            raise click.ClickException(f"no notification {name}, or it was swept some days after its end")
        journeys[name] = _decode(row)
    return journeys


async def _cancelled(settings: Settings, journeys: dict[str, Journey], by: str, why: str | None) -> dict[str, Journey]:
    """Ask for it, and follow the rows until what became of each is known, or the time is up."""
    asked = {name for name, journey in journeys.items() if called(journey) == "asked"}
    if not asked:
        return journeys
    client = kafka_client(settings)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.broker.servers, enable_auto_commit=False, **client)
    producer = AIOKafkaProducer(bootstrap_servers=settings.broker.servers, acks="all", enable_idempotence=True, **client)
    await consumer.start()
    await producer.start()
    try:
        partitions = {TopicPartition(topics.changelog("journeys"), partition_of_notification(name)) for name in asked}
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
        for name in asked:
            wish = cancel(name, journeys[name].key, time_ns() // 1_000_000, by, why)
            partition = partition_of_notification(name)
            await producer.send_and_wait(topics.OUTCOMES, msgspec.json.encode(wish), wish.key.encode(), partition)
        await asyncio.wait_for(_follow(consumer, journeys), PATIENCE)
    except TimeoutError:
        pass
    finally:
        await producer.stop()
        await consumer.stop()
    return journeys


async def _follow(consumer: AIOKafkaConsumer, journeys: dict[str, Journey]) -> None:
    while any(called(journey) == "asked" for journey in journeys.values()):
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for record in records:
                name = record.key.decode()
                if name in journeys and record.value is not None:
                    journeys[name] = _decode(record.value)


def _decode(row: bytes) -> Journey:
    return msgspec.msgpack.decode(row[BODY:], type=Journey)
