"""``python -m inm.demo.smsc``: the SMSC as a process of its own."""

import asyncio
import contextlib
import gc
import json
import signal
from pathlib import Path
from time import monotonic
from typing import IO, Any, Literal

import click

from inm.demo.smsc.behaviour import Behaviour
from inm.demo.smsc.pdus import Form, Part
from inm.demo.smsc.server import Smsc


def _mix(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    try:
        return {name: float(share) for name, share in (value.split("=") for value in values)}
    except ValueError:
        raise click.BadParameter("write NAME=PROBABILITY, for example DELIVRD=0.9") from None


class Noting(Smsc):
    """An SMSC that writes down when each part came: a line with monotonic seconds, which are the same in all processes, and the number."""

    def __init__(self, log: IO[str], *arguments: Any) -> None:
        super().__init__(*arguments)
        self._log = log

    def take(self, part: Part) -> int:
        """Accept a part; its message id."""
        self._log.write(f"{monotonic():.6f} {part.destination}\n")
        return super().take(part)


async def _serve(smsc: Smsc, ledger: Path | None) -> None:
    """Run until SIGINT or SIGTERM; the ledger file is renewed every second, and once more at the end."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await smsc.start()
    click.echo(f"SMSC on 127.0.0.1:{smsc.port}")
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), 1.0)
        if ledger is not None:
            fresh = ledger.with_suffix(".new")
            fresh.write_text(json.dumps(smsc.ledger.summary(), indent=2))
            fresh.replace(ledger)
        if stopped.is_set():
            await smsc.stop()
            return


@click.command()
@click.option("--port", default=2775, show_default=True, help="Port on the loopback interface; 0 takes a free one.")
@click.option("--system-id", default="inm", show_default=True, help="The account's system id.")
@click.option("--password", envvar="INM_SMSC_PASSWORD", default="secret", help="The account's password, at most 8 characters.")
@click.option("--answer-delay", default=0.0, help="Seconds until a submit is answered.")
@click.option("--receipt-delay", default=0.05, help="Seconds from answer to receipt.")
@click.option("--receipt-jitter", default=0.0, help="Up to so many seconds later, each by itself.")
@click.option("--receipt-form", type=click.Choice(["text", "tlv", "both"]), default="both", help="How receipts are written.")
@click.option("--receipt", "receipts", multiple=True, callback=_mix, help="STATE=PROBABILITY, repeatable; default DELIVRD=1.")
@click.option("--error", "errors", multiple=True, callback=_mix, help="COMMAND_STATUS=PROBABILITY, repeatable, such as 0x58=0.05.")
@click.option("--rate", type=float, help="Submits a second; more are answered with ESME_RTHROTTLED.")
@click.option("--ids", type=click.Choice(["decimal", "hex"]), default="decimal", help="How ids are written in answers.")
@click.option("--seed", default=1, help="The same seed makes the same choices.")
@click.option("--json-ledger", type=click.Path(dir_okay=False, path_type=Path), help="Write the counts there every second.")
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), help="Write there when each part came, and its number.")
def main(
    port: int,
    system_id: str,
    password: str,
    answer_delay: float,
    receipt_delay: float,
    receipt_jitter: float,
    receipt_form: Form,
    receipts: dict[str, float],
    errors: dict[str, float],
    rate: float | None,
    ids: Literal["decimal", "hex"],
    seed: int,
    json_ledger: Path | None,
    log: Path | None,
) -> None:
    """Run an SMSC until Ctrl-C."""
    behaviour = Behaviour(answer_delay, receipt_delay, receipt_jitter=receipt_jitter, receipt_form=receipt_form, rate=rate, ids=ids)
    behaviour.receipts = receipts or behaviour.receipts
    behaviour.errors = {int(code, 0): share for code, share in errors.items()}
    account = (system_id, password, behaviour, port, seed)
    if log:  # in a collection of garbage what comes would be noted late
        gc.freeze()
        gc.disable()
    with log.open("w", buffering=1) if log else contextlib.nullcontext() as lines:
        asyncio.run(_serve(Noting(lines, *account) if lines else Smsc(*account), json_ledger))


if __name__ == "__main__":
    main()
