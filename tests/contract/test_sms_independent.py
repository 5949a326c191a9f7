"""The SMS channel against an SMSC that others wrote (jsmpp), and against ours as a process of its own."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from inm.channels.sms import Sms, SmsRoute
from inm.core.records import Content, Delivery, Receipt
from inm.core.results import Result
from inm.demo import java

JSMPP = "org.jsmpp:jsmpp-examples:3.0.1"


def sms(n: int, text: str) -> Delivery:
    return Delivery(
        id=f"3-{n:026}.1.1", notification=f"3-{n:026}", key="acme/7", tenant="acme", scenario="otp", channel="sms", lane="normal",
        route="main", to=f"+39333{n:07}", sender="Acme", content=Content(text), template="otp", version=1, language="en", step=1, attempt=1,
        decided=1_700_000_000_000, expires=1_800_000_000_000,
    )  # fmt: skip


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 (it happens in another process)
            await asyncio.sleep(0.02)


async def end(process: asyncio.subprocess.Process) -> str:
    """Terminate it; what it had still to say."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    out, err = await process.communicate()
    return ((out or b"") + (err or b"")).decode()


@pytest.fixture
async def jsmpp() -> AsyncIterator[int]:
    """Its port. It takes system id ``inm``, writes ids in hexadecimal in answers and in decimal in receipts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    options = [f"-Djsmpp.simulator.port={port}", "-Djsmpp.client.systemId=inm", "-Djsmpp.client.password=secret", "-Xmx128m"]
    argv = await asyncio.to_thread(java.command, JSMPP, "org.jsmpp.examples.SMPPServerSimulator", jvm=options)
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while b"Listening" not in await process.stderr.readline():
            assert process.returncode is None
    yield port
    await end(process)


async def test_jsmpp_takes_every_kind_of_message_and_its_receipts_meet(jsmpp: int) -> None:
    receipts: list[Receipt] = []

    async def take(some: Sequence[Receipt]) -> None:
        receipts.extend(some)

    channel = Sms(SmsRoute("main", [("127.0.0.1", jsmpp)], "inm", "secret", binds=2, window=10, id_format="hex-to-dec"))
    await channel.open(take)
    texts = ["Your code is 123456", "è già [scontato] 5€", "a" * 400, "Привет " * 40, "😀"] * 4
    answers = await channel.send([sms(n, text) for n, text in enumerate(texts)])
    assert {answer.result for answer in answers} == {Result.SENT}
    assert [len(answer.provider_ids) for answer in answers] == [1, 1, 3, 5, 1] * 4
    ids = {provider_id for answer in answers for provider_id in answer.provider_ids}
    await until(lambda: len(receipts) >= len(ids))
    assert {receipt.provider_id for receipt in receipts} == ids
    assert {receipt.state for receipt in receipts} == {"delivered"}
    # It sends a message of its own to every bind: acknowledged, counted, and nothing worse.
    await until(lambda: channel.counts["mobile-originated"] == 2)
    assert channel.counts["binds"] == 2
    await channel.close()
    assert channel.counts["lost"] == 0


async def test_jsmpp_refuses_a_wrong_password(jsmpp: int) -> None:
    channel = Sms(SmsRoute("main", [("127.0.0.1", jsmpp)], "inm", "wrong", patience=0.5))
    await channel.open(lambda _: asyncio.sleep(0))
    answer = (await channel.send([sms(1, "hello")]))[0]
    assert (answer.result, answer.reason, answer.text) == (Result.ROUTE_FAULT, "route-refused", "ESME_RINVPASWD")
    await channel.close()


async def test_our_smsc_as_a_process_writes_its_ledger(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.json"
    arguments = ["--port", "0", "--json-ledger", str(ledger), "--ids", "hex", "--receipt", "UNDELIV=1", "--error", "0x0b=0.5"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "inm.demo.smsc", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        port = int((await process.stdout.readline()).decode().rsplit(":", 1)[1])
    receipts: list[Receipt] = []

    async def take(some: Sequence[Receipt]) -> None:
        receipts.extend(some)

    channel = Sms(SmsRoute("main", [("127.0.0.1", port)], "inm", "secret", id_format="hex-to-dec"))
    await channel.open(take)
    answers = await channel.send([sms(n, f"Code {n}") for n in range(100)])
    sent = [answer for answer in answers if answer.result is Result.SENT]
    assert {answer.result for answer in answers} == {Result.SENT, Result.INVALID_ADDRESS}
    await until(lambda: len(receipts) == len(sent))
    assert {receipt.state for receipt in receipts} == {"failed"}
    await channel.close()
    said = await end(process)
    assert (process.returncode, said) == (0, "")
    counts = json.loads(ledger.read_text())
    assert (counts["parts"], counts["messages"], counts["receipts_taken"]) == (len(sent),) * 3
    assert counts["refused"] == {"0xb": 100 - len(sent)}
    assert (counts["violations"], counts["duplicates"], counts["incomplete"]) == ({}, 0, 0)
