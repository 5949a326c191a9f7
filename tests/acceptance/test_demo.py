"""The commands as processes: what they print, how they end, and that nothing of them stays."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import aiohttp
import click
import pytest

from inm.cli import COMMANDS, group
from inm.core.roles import Role
from tests.support.tap import until

OWN = {name: value for name, value in os.environ.items() if name != "INM_BROKER"}
"""Each demo has a Kafka of its own: it ends with it."""


def children(pid: int) -> set[int]:
    """All processes below a process, by Linux' own books."""
    found: set[int] = set()
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in tasks.read_text().split():
            found |= {int(child), *children(int(child))}
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that still run."""
    return {pid for pid in pids if Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()}


@asynccontextmanager
async def inm(*arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "inm", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=OWN | environment,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("name", COMMANDS)
async def test_each_command_explains_each_option(name: str) -> None:
    async with inm(name, "--help", COLUMNS="200") as process:
        out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert out.decode().startswith(f"Usage: inm {name}")
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert [option.name for option in command.params if isinstance(option, click.Option) and not option.help] == []


async def test_a_wrong_configuration_is_a_sentence(tmp_path: Path) -> None:
    async with inm("worker", INM_CONFIG=str(tmp_path)) as process:
        _, err = await process.communicate()
    assert process.returncode == 78
    assert err.decode().startswith("inm: ")
    assert "Traceback" not in err.decode()


async def test_once_ends_by_itself_with_a_report_that_agrees(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    async with inm(
        "demo", "--once", "--notifications", "150", "--report", str(report), "--http-port", "0", TMPDIR=str(tmp_path)
    ) as process:
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    found = json.loads(report.read_text())
    assert json.loads(out) == found
    assert (found["requested"], found["accepted"], sum(found["final"].values())) == (150, 150, 150)
    assert (found["missing"], found["duplicates"], found["redelivered"]) == (0, 0, 0)
    assert found["sms_parts_in_edrs"] == found["sms_parts_at_smsc"] > 100
    assert found["mails_in_edrs"] == found["mails_at_server"] > 10
    assert found["final"].keys() >= {"delivered", "submitted", "failed"}
    assert set(found["latency_ms"]) == {"p50", "p95", "p99"}
    assert found["seconds"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


@asynccontextmanager
async def staying(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, set[int], str]]:
    """A demo that is up, all processes below it, and what it said. Its providers refuse nothing: what is sent to it is delivered."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "inm", "demo", "--http-port", "0", "--rate", "20", "--no-errors",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=OWN | {"TMPDIR": str(folder)},
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    try:
        async with asyncio.timeout(60):
            while "Ctrl-C stops everything" not in said:
                line = await process.stdout.readline()
                assert line, said
                said += line.decode()
        below = children(process.pid)
        commands = b" ".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in below)
        assert b"kafka.Kafka" in commands
        assert b"worker" in commands
        yield process, below, said
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_demo_can_be_talked_to_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    async with staying(tmp_path) as (process, below, said):
        for word in ("/openapi.json", "/readyz", "curl", "inm send", "inm explain"):
            assert word in said
        await every_role_enters_the_console(said)
        exported = next(line.strip().removeprefix("export ") for line in said.splitlines() if line.strip().startswith("export "))
        story = await send_and_explain(dict(item.split("=", 1) for item in exported.split()))
        process.send_signal(signal.SIGINT)
        await process.communicate()
        assert process.returncode == 0
        assert alive(below) == set()
    assert "acme/otp" in story
    assert "+393331234567" not in story
    for word in ("accepted", "submitted", "final"):
        assert word in story
    assert list(tmp_path.iterdir()) == []


async def every_role_enters_the_console(said: str) -> None:
    """By the accounts that the demo has printed."""
    url, tenant = re.findall(r"Console (\S+) · tenant (\S+)", said)[0]
    accounts = dict(re.findall(r"name (\S+) +password (\S+)", said))
    assert accounts.keys() == set(get_args(Role))
    async with aiohttp.ClientSession() as session:
        for name, password in accounts.items():
            form = {"tenant": tenant, "name": name, "password": password, "next": "/console/"}
            async with session.post(f"{url}sign-in", data=form, allow_redirects=False) as answer:
                assert (answer.status, answer.headers.get("Location")) == (303, "/console/"), name


async def send_and_explain(environment: dict[str, str]) -> str:
    """The story of a notification that ``inm send`` made, when it has been delivered."""
    async with inm("send", "otp", "--phone", "+393331234567", "--language", "it", "--field", "code=493817", **environment) as sent:
        out, err = await sent.communicate()
        assert sent.returncode == 0, err.decode()

    async def explained() -> str:
        async with inm("explain", out.decode().strip(), **environment) as process:
            return (await process.communicate())[0].decode()

    async with asyncio.timeout(30):
        while "delivered" not in (story := await explained()):
            pass
    return story


async def test_nothing_stays_of_a_demo_that_is_killed(tmp_path: Path) -> None:
    async with staying(tmp_path) as (process, below, _):
        process.kill()
        await process.communicate()
        await until(lambda: not alive(below), 20, lambda: alive(below))
        await until(lambda: not list(tmp_path.iterdir()), 20, lambda: list(tmp_path.iterdir()))
