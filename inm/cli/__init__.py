"""The ``inm`` command. Data goes to stdout, talk to stderr; each subcommand is loaded when it is asked for."""

import logging
import sys
from importlib import import_module

import click

from inm import __version__
from inm.cli.logs import quieten
from inm.core.faults import MisconfiguredError

COMMANDS = {
    "worker": ("inm.cli.worker", "Run a worker: all stages, the API and the connections to the providers."),
    "topics": ("inm.cli.topics", "List the topics of the installation, or create those that are missing."),
    "send": ("inm.cli.send", "Send a request to a tenant's topic."),
    "apply": ("inm.cli.apply", "Make documents in YAML files what the workers go by."),
    "get": ("inm.cli.get", "Show documents: tenants, scenarios, templates and what belongs to them."),
    "diff": ("inm.cli.diff", "Show what apply would change."),
    "export": ("inm.cli.export", "Write all documents as YAML files."),
    "delete": ("inm.cli.delete", "Delete documents that are not in use."),
    "template": ("inm.cli.template", "Moderate templates: list, submit, approve, reject, withdraw."),
    "admin": ("inm.cli.admin", "Make the accounts of the console: create, list, disable, enable, password."),
    "try": ("inm.cli.trial", "Tell what would become of a request, without sending it."),
    "cancel": ("inm.cli.cancel", "Call notifications back before they are sent."),
    "explain": ("inm.cli.explain", "Tell the story of a notification."),
    "campaign": ("inm.cli.campaign", "Run campaigns: create, check, start, pause, resume, cancel and watch them."),
    "callbacks": ("inm.cli.callbacks", "Take up again an endpoint that results are posted to."),
    "ledger": ("inm.cli.ledger", "Show what was accepted, how it ended and what is open; check it against the records."),
    "route": ("inm.cli.route", "See how the routes do, and put one out or back."),
    "dead": ("inm.cli.dead", "See what could not be processed, send it back or drop it."),
    "chaos": ("inm.demo.chaos", "Break things while traffic runs, and compare what went in with what came out."),
    "demo": ("inm.demo.command", "Run everything on this machine: Kafka, simulated providers, a worker and traffic."),
    "bench": ("inm.demo.bench", "Measure throughput, CPU and latency on this machine, beside a bare pipe."),
    "bench-decide": ("inm.demo.bench_decide", "Measure what a decision costs, by rules and user data."),
    "bench-state": ("inm.demo.bench_state", "Fill the tables, and measure how a worker comes back with them."),
    "bench-lanes": ("inm.demo.bench_lanes", "Measure what a one-time password waits for while a campaign fills its route."),
    "bench-schedule": ("inm.demo.bench_schedule", "Let many items wait, and measure how late those are that come due."),
}

EXIT_MISCONFIGURED = 78
"""The configuration cannot be used (EX_CONFIG of sysexits.h)."""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="inm")
def group() -> None:
    """INM, the notification manager.

    Settings come from config/inm.yaml and INM_* environment variables. Exit codes: 0 done, 1 failed, 2 wrong usage, 70-75 a worker
    that ended itself to lose nothing (start it again), 78 a configuration that cannot be used.
    """


def main() -> None:
    """Entry point: a wrong configuration is a sentence, not a traceback."""
    quieten(logging.CRITICAL)
    try:
        group(prog_name="inm")
    except MisconfiguredError as error:
        for sentence in error.sentences:
            click.echo(f"inm: {sentence}", err=True)
        sys.exit(EXIT_MISCONFIGURED)
