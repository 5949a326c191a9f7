"""``inm ledger``."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime

import click
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from inm import topics
from inm.cli import desk
from inm.core.completeness import HOUR, Line, Recount, Snapshot, Tally, key, line, summed
from inm.core.edr import Edr
from inm.settings import Settings, from_environment, kafka_client
from inm.streaming import admin
from inm.streaming.chunks import now_ms

_edr = msgspec.json.Decoder(Edr).decode
_snapshot = msgspec.json.Decoder(Snapshot).decode


@click.command("ledger")
@click.option("--tenant", help="Of this tenant alone.")
@click.option("--scenario", help="Of this scenario alone.")
@click.option("--hours", type=click.IntRange(1, 24 * 30), default=24, show_default=True, help="So many hours back.")
@click.option("--open", "only_open", is_flag=True, help="Hours in which something is open.")
@click.option("--check", is_flag=True, help="Count the event detail records of these hours, and say where the ledger has something else.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(tenant: str | None, scenario: str | None, hours: int, only_open: bool, check: bool, as_json: bool) -> None:
    """Show how many notifications were accepted in each hour, how they ended, and what is open.

    Reads inm.ledger, so that no worker need be running. Exit code 1: something is overdue, or --check has found a difference.
    """
    settings = from_environment()
    now = now_ms()
    since = now // HOUR * HOUR - (hours - 1) * HOUR
    tallies = _wanted(desk.run(_tallies(settings)), since)
    lines = [line(place, tally, now) for place, tally in sorted(tallies.items())]
    shown = [each for each in lines if tenant in (None, each.tenant) and scenario in (None, each.scenario) and (each.open or not only_open)]
    for each in shown:
        click.echo(msgspec.json.encode(each) if as_json else _words(each))
    differences = list(desk.run(_recount(settings, since)).differences(tallies)) if check else []
    for difference in differences:
        click.echo(difference, err=True)
    if check and not differences:
        click.echo(f"{len(lines)} lines of the ledger are what the event detail records say", err=True)
    if differences or any(each.overdue for each in shown):
        raise click.exceptions.Exit(1)


def _words(each: Line) -> str:
    hour = datetime.fromtimestamp(each.hour / 1000, UTC).strftime("%Y-%m-%dT%HZ")
    finals = ", ".join(f"{event} {number:,}" for event, number in sorted(each.finals.items()))
    more = "".join(f", {name} {number:,}" for name, number in (("overdue", each.overdue), ("corrections", each.corrections)) if number)
    return f"{hour}  {each.tenant:12} {each.scenario:24} accepted {each.accepted:,}, open {each.open:,}{more}: {finals}".rstrip(": ")


def _wanted(tallies: dict[str, Tally], since: int) -> dict[str, Tally]:
    return {place: tally for place, tally in tallies.items() if int(place.rpartition("/")[2]) * HOUR >= since}


async def _tallies(settings: Settings) -> dict[str, Tally]:
    """The last word of each partition, added up."""
    last: dict[bytes, Snapshot] = {}
    async for name, value in _records(settings, topics.LEDGER, 0):
        last[name] = _snapshot(value)
    return summed(_tally(each) for each in last.values())


def _tally(each: Snapshot) -> tuple[str, Tally]:
    return key(each.tenant, each.scenario, each.hour), Tally(each.accepted, each.finals, each.corrections, each.due)


async def _recount(settings: Settings, since: int) -> Recount:
    """What the records of notifications say that were received since."""
    recount = Recount()
    async for _, value in _records(settings, topics.EDR, since):
        edr = _edr(value)
        if edr.times.received >= since:
            recount.take(edr)
    return recount


async def _records(settings: Settings, topic: str, since: int) -> AsyncIterator[tuple[bytes, bytes]]:
    """Keys and values of a topic from a time on, up to its present end. ``ClickException`` if there is no such topic."""
    client = kafka_client(settings)
    if not await admin.exists(topic, settings.broker.servers, client):
        raise click.ClickException(f"the cluster has no topic {topic}: start a worker, or: inm topics --create")
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.broker.servers, enable_auto_commit=False, auto_offset_reset="earliest", **client)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(settings.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        begins = await consumer.offsets_for_times(dict.fromkeys(places, since)) if since else {}
        for place, begin in begins.items():
            consumer.seek(place, begin.offset if begin else ends[place])
        while await _behind(consumer, ends.items()):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    if record.value is not None:
                        yield record.key or b"", record.value
    finally:
        await consumer.stop()


async def _behind(consumer: AIOKafkaConsumer, ends: Iterable[tuple[TopicPartition, int]]) -> bool:
    return any([await consumer.position(place) < end for place, end in ends])
