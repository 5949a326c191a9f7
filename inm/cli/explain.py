"""``inm explain``."""

import asyncio
import json

import click
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from inm import topics
from inm.core.ids import partition_of_notification
from inm.core.ledger import Journey
from inm.settings import Settings, from_environment, kafka_client


@click.command("explain")
@click.argument("notification")
@click.option("--json", "as_json", is_flag=True, help="The story as JSON.")
@click.option("--unmask", is_flag=True, help="Show addresses in full.")
def command(notification: str, as_json: bool, unmask: bool) -> None:
    """Tell the story of a notification: what was decided, each attempt, each receipt, and how it ended.

    Reads the journeys' changelog, so that no worker need be running.
    """
    from inm.core import story

    try:
        partition = partition_of_notification(notification)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NOTIFICATION") from error
    journey = asyncio.run(_find(from_environment(), partition, notification.encode()))
    if journey is None:
        raise click.ClickException(f"no notification {notification}, or it was swept some days after its end")
    told = story.tell(journey)
    words = json.dumps(told, indent=2, ensure_ascii=False) if as_json else story.text(told, unmask=True)
    click.echo(words if unmask else story.mask(told, words))


async def _find(settings: Settings, partition: int, key: bytes) -> Journey | None:
    """The last row of the key in the changelog; a tombstone is none."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.broker.servers, enable_auto_commit=False, auto_offset_reset="earliest", **kafka_client(settings)
    )  # fmt: skip
    await consumer.start()
    try:
        tp = TopicPartition(topics.changelog("journeys"), partition)
        if partition >= settings.partitions:
            return None
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        row: bytes | None = None
        while await consumer.position(tp) < end:
            for record in (await consumer.getmany(tp, timeout_ms=500)).get(tp, []):
                row = record.value if record.key == key else row
    finally:
        await consumer.stop()
    return msgspec.msgpack.decode(row[8:], type=Journey) if row else None
