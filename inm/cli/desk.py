"""Where commands read reference data and have it changed: ``inm.reference`` and ``inm.changes``, with or without a worker."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from time import time_ns
from typing import Any, TypeVar
from uuid import uuid4

import click
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from inm import topics
from inm.core.catalogue import Catalogue
from inm.core.documents import Parsed, parse
from inm.core.faults import MisconfiguredError
from inm.core.reference import Answer, Change, Item, Wrong, is_answer, read
from inm.documents import load_catalogue
from inm.settings import Settings, kafka_client, read_text
from inm.streaming import admin
from inm.streaming.mirror import Mirror
from inm.tables.library import Library

PATIENCE = 15.0
"""Seconds in which a worker answers a change, if there is one; and for each document in it:"""
PATIENCE_EACH = 0.02
"""To compile a template of three languages takes about 4 ms."""
LARGEST = 8 << 20
"""Bytes of a change that we try to send, before compression; what is too large the broker says."""

Result = TypeVar("Result")
Command = TypeVar("Command", bound=Callable[..., None])


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of some work with Kafka; what goes wrong there is a sentence."""
    try:
        return asyncio.run(work)
    except (KafkaError, OSError) as error:
        raise click.ClickException(f"Kafka: {error!r}") from error


async def documents(settings: Settings) -> Library:
    """All documents as they are now; none if the cluster has no ``inm.reference`` yet."""
    library = Library()
    if await _is_there(settings, topics.REFERENCE):
        await Mirror(topics.REFERENCE, lambda: _consumer(settings), library.take).load()
    return library


async def catalogue(settings: Settings) -> Catalogue:
    """What workers decide by; before their first start, what they will begin with. ``MisconfiguredError`` if that is wrong."""
    library = await documents(settings)
    return load_catalogue(settings) if library.empty else library.catalogue


async def ask(settings: Settings, asked: Change) -> Answer:
    """Have a worker make a change; its answer. ``ClickException`` if none answers in time, or the change is too large."""
    if not await _is_there(settings, topics.CHANGES):
        raise click.ClickException(f"the cluster has no topic {topics.CHANGES}: start a worker, or: inm topics --create")
    patience = PATIENCE + PATIENCE_EACH * len(asked.items)
    consumer = _consumer(settings)
    await consumer.start()
    try:
        place = TopicPartition(topics.REFERENCE, 0)
        consumer.assign([place])
        consumer.seek(place, (await consumer.end_offsets([place]))[place])
        await _send(settings, asked)
        async with asyncio.timeout(patience):
            return await _answer(consumer, asked)
    except TimeoutError as error:
        raise click.ClickException(
            f"no worker has answered in {patience:.0f} s. The change stays on {topics.CHANGES}, and is made when one runs: see inm get"
        ) from error
    except MessageSizeTooLargeError as error:
        raise click.ClickException("the change is larger than the broker takes: apply fewer files at a time") from error
    finally:
        await consumer.stop()


def change(author: str, items: Sequence[Item], approved_by: str | None = None, *, dry_run: bool = False) -> Change:
    """A change by an operator, now."""
    return Change(uuid4().hex, author, time_ns() // 1_000_000, list(items), approved_by, dry_run=dry_run)


async def _send(settings: Settings, asked: Change) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.broker.servers, acks="all", enable_idempotence=True, max_request_size=LARGEST,
        compression_type="zstd", **kafka_client(settings),
    )  # fmt: skip
    await producer.start()
    try:
        await producer.send_and_wait(topics.CHANGES, msgspec.json.encode(asked), asked.id.encode(), partition=0)
    finally:
        await producer.stop()


async def _answer(consumer: Any, asked: Change) -> Answer:
    while True:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                row = read(record.key, record.value) if record.value and is_answer(record.key) else None
                if isinstance(row, Answer) and row.change == asked.id:
                    return row


def _consumer(settings: Settings) -> AIOKafkaConsumer:
    client = kafka_client(settings)
    return AIOKafkaConsumer(
        bootstrap_servers=settings.broker.servers, enable_auto_commit=False, auto_offset_reset="earliest",
        max_partition_fetch_bytes=LARGEST, **client,
    )  # fmt: skip


async def _is_there(settings: Settings, topic: str) -> bool:
    return await admin.exists(topic, settings.broker.servers, kafka_client(settings))


# -- files ----------------------------------------------------------------------------------------


def read_files(places: Iterable[str]) -> list[Parsed]:
    """The documents of YAML files and of all in folders; ``-`` is stdin. Ends the command with what is wrong with any."""
    found: list[Parsed] = []
    wrong: list[Wrong] = []
    for file in [file for place in places for file in _files(place)]:
        name = str(file)
        parsed, faults = parse(click.get_text_stream("stdin").read() if name == "-" else _text(file), name)
        found += parsed
        wrong += faults
    if wrong:
        tell(wrong, found)
    if not found:
        raise click.ClickException("no documents: name files of YAML, or folders with *.yaml in them")
    return sorted(found, key=lambda parsed: parsed.document["kind"] != "tenant")  # its templates are reviewed as it says


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except MisconfiguredError as error:
        raise click.ClickException(str(error)) from error


def _files(place: str) -> list[Path]:
    path = Path(place)
    return sorted({*path.rglob("*.yaml"), *path.rglob("*.yml")}) if path.is_dir() else [path]


def tell(wrong: Iterable[Wrong], written: Iterable[Parsed] = ()) -> None:
    """Say each fault with its file and line, and end the command: 1, nothing was changed."""
    by_path = {parsed.path: parsed for parsed in written}
    for each in wrong:
        path = each.path
        parsed = by_path.get(path) or by_path.get(path.rpartition("/")[0])  # a template's version is no part of a file
        place = parsed.at(each.fault.pointer) if parsed else each.place
        click.echo(": ".join(filter(None, (place, path, str(each.fault)))), err=True)
    click.echo("nothing was changed", err=True)
    raise click.exceptions.Exit(1)


def by(function: Command) -> Command:
    """The option that says who does it."""
    option = click.option("--author", envvar="USER", show_envvar=True, required=True, help="Who does it; kept with the document.")
    return option(function)
