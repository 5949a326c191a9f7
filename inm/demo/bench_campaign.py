"""A campaign to measure: its document, its audience, the rate of its route, and the commands by which it is run."""

import asyncio
import json
import os
import sys
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from inm.demo.bench_load import TENANT
from inm.demo.installation import Installation

SCENARIO, NAME = "weekend-offer", "bench"
AFTER = 60
"""Seconds until a message without a receipt is given up: so long is it open what became of one whose worker died."""
DOCUMENTS = f"""
kind: scenario
tenant: {TENANT}
name: {SCENARIO}
title: An offer for the weekend
lane: bulk
validity: 86400
on_unknown: wait-for-receipt
max_parts: 1
requires: [name]
plan: [{{channel: sms, template: {SCENARIO}, sender: acme-sms, after: {AFTER}}}]
---
kind: template
tenant: {TENANT}
name: {SCENARIO}
channel: sms
variants:
  en: {{text: "{{{{ name }}}}, this weekend data cost you nothing: open the app and take the offer until Friday. Acme"}}
  it: {{text: "{{{{ name }}}}, questo weekend i dati sono gratis: apri l'app e attiva l'offerta entro venerdì. Acme"}}
"""
"""The demo's own campaigns have a first step by HTTP, or a further one by e-mail."""
SETTLED = 5.0
"""Seconds between two looks at a campaign whose messages are all sent."""
LIMIT = AFTER + 60.0
"""Seconds until each recipient must have its end."""
TRIES = 3
"""The ledger is told some seconds behind the records."""


class Said(NamedTuple):
    """Exit code, stdout and stderr of a command."""

    code: int
    out: str
    talk: str


async def inm(installation: Installation, *arguments: str) -> Said:
    """``inm …`` beside an installation."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "inm", *arguments,
        env=os.environ | installation.environment() | {"USER": "bench"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, talk = await process.communicate()
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), talk.decode())


class Campaign:
    """``create``, ``start``, and ``end`` when all its messages are sent; its recipients have numbers of their own."""

    def __init__(self, installation: Installation, recipients: int) -> None:
        self.numbers = set(numbers(recipients))
        self._installation = installation

    async def create(self) -> float:
        """From a file; the seconds that it takes to check the audience and hand it on."""
        file = self._installation.folder / "audience.csv"
        write_audience(file, len(self.numbers))
        began = monotonic()
        await self._ask("create", "--scenario", SCENARIO, "--audience", str(file))
        return monotonic() - began

    async def start(self) -> None:
        await self._ask("start")

    async def end(self) -> dict[str, Any]:
        """What ``inm campaign show`` says when each recipient has its end, or when that takes too long."""
        deadline = monotonic() + LIMIT
        while (told := await self._ask("show"))["state"] != "done" or told["waiting"] or told["open"]:
            if monotonic() > deadline:
                break
            await asyncio.sleep(SETTLED)
        return told

    async def _ask(self, action: str, *arguments: str) -> dict[str, Any]:
        """A command's answer. ``RuntimeError`` with its words if it does not succeed."""
        said = await inm(self._installation, "campaign", action, NAME, "--tenant", TENANT, "--json", *arguments)
        if said.code:
            raise RuntimeError(f"inm campaign {action} ended with {said.code}:\n{said.talk[-3000:]}")
        told: dict[str, Any] = json.loads(said.out)
        return told


async def check(installation: Installation) -> dict[str, Any]:
    """``inm ledger --check``: its exit code and the last of its words on stderr."""
    for _ in range(TRIES):
        await asyncio.sleep(SETTLED)
        said = await inm(installation, "ledger", "--check")
        if not said.code:
            break
    return {"exit_code": said.code, "said": said.talk.splitlines()[-5:]}


def numbers(count: int) -> list[str]:
    """So many, without the plus."""
    return [f"39333{number:07}" for number in range(count)]


def write_audience(file: Path, recipients: int) -> None:
    """As ``inm campaign`` takes it."""
    with file.open("w", encoding="utf-8") as lines:
        lines.write("phone,language,name\n")
        lines.writelines(f"+{number},{('it', 'en')[place % 2]},Anna\n" for place, number in enumerate(numbers(recipients)))
