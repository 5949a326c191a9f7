"""``inm worker``."""

import asyncio
import gc
import logging
import os
import sys
from typing import Any

import click

from inm.cli.logs import quieten
from inm.cli.supervise import supervise


@click.command("worker")
@click.option(
    "--id",
    "worker_id",
    help="Static member id of this worker; the host's name if absent. Each worker needs its own, the same over restarts.",
)
@click.option("--http-port", type=click.IntRange(0, 65535), help="Port of the API, health and metrics.")
@click.option("--create-topics/--no-create-topics", default=True, show_default=True, help="Create missing topics at the start.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="From which level on log lines are written.",
)
@click.option("--supervise", "supervised", is_flag=True, help="Start the worker again when it ends itself.")
def command(worker_id: str | None, http_port: int | None, create_topics: bool, log_level: str, supervised: bool) -> None:
    """Run a worker: all stages, the API and the connections to the providers.

    SIGTERM finishes what has begun, commits and leaves the group at once.
    """
    if supervised:
        sys.exit(supervise([argument for argument in sys.argv[2:] if argument != "--supervise"]))
    if worker_id is not None:
        os.environ["INM_WORKER_ID"] = worker_id
    if http_port is not None:
        os.environ["INM_HTTP_PORT"] = str(http_port)
    gc.disable()  # what is imported stays
    from inm.app import app
    from inm.streaming.app import check_versions

    if not os.environ.get("INM_ANY_VERSIONS"):
        check_versions()
    asyncio.run(app.prepare(create_topics))
    worker = _worker(app, log_level)
    # What is loaded stays: collecting it again and again was a sixth of a busy worker's time. Reference counts free the rest.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    gc.enable()
    sys.exit(worker.execute_from_commandline())


def _worker(app: Any, log_level: str) -> Any:
    import faust

    class Worker(faust.Worker):
        """Faust's worker, with the stop under the watchdog's eye from the signal on, and no longer than it takes."""

        def _schedule_shutdown(self, signal: Any) -> None:
            if app.watchdog is not None:
                app.watchdog.stopping()
            super()._schedule_shutdown(signal)

        async def _sentinel_task(self) -> None:
            # at the very end Faust waits for a second, whether there is anything left or not
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if left:
                await asyncio.wait(left, timeout=1.0)

    quieten(logging.WARNING if log_level == "info" else getattr(logging, log_level.upper()))
    return Worker(app, loglevel=log_level, redirect_stdouts=False)
