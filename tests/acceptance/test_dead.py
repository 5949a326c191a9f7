"""A request that was refused is mended and sent back by ``inm dead``, and becomes the notification that it should have been."""

import asyncio
import os
import sys

import msgspec
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.core.ids import notification_id, user_key
from inm.demo.installation import Installation
from inm.demo.smsc.pdus import Part
from tests.support.load import Books
from tests.support.tap import Tap, until

PARTITIONS = 6


async def inm(installation: Installation, *arguments: str, given: bytes = b"") -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of ``inm …``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "inm", *arguments,
        env=os.environ | installation.environment() | {"USER": "olga"},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, talk = await process.communicate(given)
    assert process.returncode is not None
    return process.returncode, out, talk


async def test_a_mended_request_is_delivered_once_however_often_it_is_sent_back(
    installation: Installation, tap: Tap, books: Books, producer: AIOKafkaProducer, run: str, phone: str
) -> None:
    def parts() -> list[Part]:
        return [part for part in books.parts if phone.endswith(part.destination)]

    wrong = msgspec.json.encode({"scenario": "opt", "to": {"phone": phone}, "fields": {"code": "493817"}})
    at = await producer.send_and_wait(topics.requests("acme"), wrong, run.encode())
    assert (await tap.letter(run)).reason == "unknown-scenario"
    code, listed, talk = await inm(installation, "dead", "list", "--topic", at.topic, "--limit", "1", "--json")
    assert code == 0, talk
    number = str(msgspec.json.decode(listed)["id"])

    code, raw, talk = await inm(installation, "dead", "show", number, "--raw")
    assert (code, raw) == (0, wrong), talk
    mended = raw.replace(b'"opt"', b'"otp"')
    code, _, talk = await inm(installation, "dead", "retry", number, "--value", "-", given=mended)
    assert code == 0, talk

    identity = f"{at.topic}/{at.partition}/{at.offset}"
    again = mended[:-1] + b',"idempotency_key":' + msgspec.json.encode(identity) + b"}"
    for value in (again, mended.replace(b"493817", b"111111")):
        await producer.send_and_wait(at.topic, value, partition=at.partition)
    # the last stands behind the others at every stage
    await until(
        lambda: any(b"111111" in part.text for part in parts()), what=lambda: (books.parts, installation.log("worker-1").read_text())
    )
    assert [b"493817" in part.text for part in parts()] == [True, False]
    notification = notification_id(user_key("acme", None, phone, None), identity, PARTITIONS)
    code, story, talk = await inm(installation, "explain", notification, "--json")
    assert code == 0, talk
    assert msgspec.json.decode(story)["scenario"] == "otp"
