"""Whatever is written to the request topics: a dead letter or an end with a documented reason, and what comes after it is delivered."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from inm.core.results import REASONS
from inm.demo.installation import Installation
from inm.demo.poison import kinds
from tests.support.asks import LAB, encode, request
from tests.support.load import Books
from tests.support.tap import Tap

STRUCTURED = [("content-type", b"application/cloudevents+json; charset=utf-8")]
Ask = Callable[..., Awaitable[str]]


@pytest.fixture
async def ask(tap: Tap, producer: AIOKafkaProducer) -> Ask:
    """Send a good request and wait until it is delivered."""

    async def ask(phone: str, text: str = "Hello") -> str:
        asked = request(phone, text=text)
        await producer.send(LAB, encode(asked))
        assert (await tap.final(asked["request_id"])).event == "delivered"
        return str(asked["request_id"])

    return ask


async def test_each_bad_record_becomes_a_dead_letter_and_stops_nothing(
    tap: Tap, books: Books, producer: AIOKafkaProducer, phone: str, ask: Ask
) -> None:
    cases = kinds(request(phone), "lab", "acme")
    keys = {case.name: f"{case.name} {uuid4()}" for case in cases}
    sent = {case.name: await producer.send_and_wait(case.topic("lab"), case.value, keys[case.name].encode(), partition=1) for case in cases}
    letters = {case.name: await tap.letter(keys[case.name]) for case in cases}
    found = {name: letter.reason for name, letter in letters.items()}
    assert found == {case.name: case.reason for case in cases}
    for case in cases:
        letter, at = letters[case.name], sent[case.name]
        assert letter.reason in REASONS
        assert case.names in letter.detail, (case, letter.detail)
        assert (letter.topic, letter.partition, letter.offset) == (case.topic("lab"), at.partition, at.offset)
        if case.value is None:
            assert letter.value is None
        elif letter.binary or letter.truncated:
            assert len(letter.value or "") <= 100_000
        else:
            assert letter.value == case.value.decode()
    assert books.parts == []
    for partition in range(3):
        asked = request(phone, text=f"still here {partition}")
        await producer.send(LAB, encode(asked), partition=partition)
        assert (await tap.final(asked["request_id"])).event == "delivered"
    assert len(tap.dead) == len(cases)


async def test_a_record_without_key_is_buried_too(tap: Tap, producer: AIOKafkaProducer) -> None:
    mark = uuid4().hex
    await producer.send(LAB, mark.encode())
    await tap.when(lambda: any(dead.value == mark for dead in tap.dead))
    assert tap.dead[-1].key is None


async def test_one_megabyte_is_refused_by_the_broker_or_buried(
    kafka: str, tap: Tap, producer: AIOKafkaProducer, phone: str, ask: Ask
) -> None:
    key = uuid4().hex
    await producer.send(LAB, encode(request(phone, text="x" * (1_048_576 - 400))), key.encode())
    assert (await tap.letter(key)).reason == "too-large"
    assert (await tap.letter(key)).truncated
    async with AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=4 << 20) as another:
        with pytest.raises(MessageSizeTooLargeError):
            await another.send_and_wait(LAB, encode(request(phone, text="x" * 1_100_000)), key.encode())
    await ask(phone)


@pytest.mark.parametrize(
    ("more", "event", "reason"),
    [
        ({"fields": {}}, "failed", "missing-field"),
        ({"fields": {"text": None}}, "failed", "missing-field"),
        ({"fields": {"text": {"a": 1}}}, "failed", "render-failed"),
        ({"scenario": "sum-up", "fields": {"divisor": 0}}, "failed", "render-failed"),
        ({"scenario": "sum-up", "fields": {"divisor": "no number"}}, "failed", "render-failed"),
        ({"to": {"email": "nobody@lab.example"}}, "failed", "no-address"),
        ({"to": {"user": "nobody knows"}}, "failed", "no-address"),
        ({"scenario": "brief", "fields": {"text": "long " * 40}}, "failed", "too-many-parts"),
        ({"fields": {"text": "x" * 60_000}}, "failed", "too-many-parts"),
    ],
)
async def test_what_cannot_be_said_ends_with_its_reason(
    more: dict[str, Any], event: str, reason: str, tap: Tap, books: Books, producer: AIOKafkaProducer, phone: str
) -> None:
    asked = request(phone, **more)
    await producer.send(LAB, encode(asked))
    final = await tap.final(asked["request_id"])
    assert (final.event, final.reason) == (event, reason)
    assert final.reason in REASONS
    assert final.text
    assert [edr.event for edr in tap.of(asked["request_id"])] == ["accepted", event]
    assert books.parts == []


async def test_the_same_request_twice_is_one_notification(tap: Tap, books: Books, producer: AIOKafkaProducer, phone: str, ask: Ask) -> None:
    asked = request(phone, text="once")
    await producer.send(LAB, encode(asked), b"one", partition=0)
    await tap.final(asked["request_id"])
    await producer.send(LAB, encode(asked), b"two", partition=1)
    await producer.send(LAB, encode(asked | {"fields": {"text": "other words"}}), partition=2)
    await ask(phone, "afterwards")
    await tap.quiet()
    assert [part.text for part in books.parts] == [b"once", b"afterwards"]
    assert len({edr.notification for edr in tap.of(asked["request_id"])}) == 1


async def test_cloud_events_structured_and_binary(tap: Tap, books: Books, producer: AIOKafkaProducer, phone: str) -> None:
    plain = request(phone, text="structured")
    event = {"specversion": "1.0", "id": uuid4().hex, "source": "/crm", "type": "x", "data": plain}
    await producer.send(LAB, encode(event), headers=STRUCTURED)
    await tap.final(plain["request_id"])
    binary = request(phone, text="binary")
    attributes = [("ce_specversion", b"1.0"), ("ce_id", uuid4().hex.encode()), ("ce_source", b"/crm"), ("ce_type", b"x")]
    await producer.send(LAB, encode(binary), headers=[*attributes, ("content-type", b"application/json")])
    await tap.final(binary["request_id"])
    assert [part.text for part in books.parts] == [b"structured", b"binary"]
    nameless = {name: value for name, value in request(phone, text="by its event").items() if name != "request_id"}
    for _ in range(2):
        await producer.send(LAB, encode(nameless), headers=attributes)
    await tap.when(lambda: any(edr.final and edr.request_id is None for edr in tap.edrs))
    await tap.quiet()
    assert [part.text for part in books.parts[2:]] == [b"by its event"]
    key = uuid4().hex
    await producer.send(
        LAB, encode(event | {"specversion": "0.3"}), key.encode(), headers=[("content-type", b"application/cloudevents+json")]
    )
    assert (await tap.letter(key)).reason == "invalid-request"


@pytest.mark.parametrize("compression", ["gzip", "lz4", "snappy", "zstd"])
async def test_compressed_batches(compression: str, installation: Installation, tap: Tap, books: Books, phone: str) -> None:
    asked = [request(phone, text=f"{compression} {number}") for number in range(20)]
    async with AIOKafkaProducer(bootstrap_servers=installation.bootstrap, compression_type=compression, linger_ms=50) as producer:
        await asyncio.gather(*[await producer.send(LAB, encode(one)) for one in asked])
    for one in asked:
        await tap.final(one["request_id"])
    assert len(books.parts) == 20


async def test_what_a_transaction_took_back_is_not_sent(installation: Installation, tap: Tap, books: Books, phone: str, ask: Ask) -> None:
    kept, taken_back = ([request(phone, text=f"{word} {number}") for number in range(10)] for word in ("kept", "taken back"))
    async with AIOKafkaProducer(bootstrap_servers=installation.bootstrap, transactional_id=uuid4().hex) as producer:
        for good, bad in zip(kept, taken_back, strict=True):
            async with producer.transaction():
                await producer.send_and_wait(LAB, encode(good), partition=4)
            await producer.begin_transaction()
            await producer.send_and_wait(LAB, encode(bad), partition=4)
            await producer.abort_transaction()
    for good in kept:
        assert (await tap.final(good["request_id"])).event == "delivered"
    await installation.stop_worker("worker-1")
    await installation.start_worker("worker-1")
    await ask(phone, "afterwards")
    await tap.quiet()
    assert [part.text for part in books.parts] == [*(f"kept {number}".encode() for number in range(10)), b"afterwards"]
    assert tap.repeated == 0
    assert not any(tap.of(bad["request_id"]) for bad in taken_back)
