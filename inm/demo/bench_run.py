"""What every measurement begins and ends with."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from inm import topics
from inm.demo.bench_meter import Meter
from inm.demo.bench_rig import Rig
from inm.documents import load_catalogue
from inm.settings import Settings, load
from inm.streaming import admin

Report = dict[str, Any]
talk = Console(stderr=True)


def conclude(measuring: Coroutine[Any, Any, Report], table: Callable[[Report], Table], file: Path | None) -> Report:
    """Measure; the table to stderr, JSON to stdout and to ``file``. What fails ends the command with a sentence."""
    try:
        report = asyncio.run(measuring)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    except asyncio.CancelledError:
        raise click.Abort from None
    talk.print(table(report))
    text = json.dumps(report, indent=2)
    click.echo(text)
    if file:
        file.write_text(text + "\n", encoding="utf-8")
    return report


@asynccontextmanager
async def rigged(rig: Rig | None = None, **providers: bool) -> AsyncIterator[tuple[Rig, Settings, Meter]]:
    """A rig with its providers, as ``Rig.start_providers`` has them, the topics and a meter, but no worker yet. SIGTERM takes all down."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with AsyncExitStack() as running:
        talk.print("starting Kafka and the providers …")
        rig = rig or Rig()
        await running.enter_async_context(rig)
        await rig.start_providers(**providers)
        settings = load(rig.environment())
        await admin.ensure(topics.catalogue(load_catalogue(settings).tenants, settings.partitions), settings.broker.servers, {})
        meter = Meter(rig.bootstrap, settings.partitions)
        await meter.start()
        running.push_async_callback(meter.stop)
        yield rig, settings, meter
