"""The embedded broker: it is a Kafka, it survives what tests do to it, and it does not survive its parent."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from inm.demo.kafka import Kafka, broker, console_producer

FreshKafka = Callable[[], Kafka]
ROWS = [(b"a", b"1"), (b"b", b"2"), (b"a", "è 3".encode())]


async def create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, rows: list[tuple[bytes, bytes]]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
        for key, value in rows:
            await producer.send_and_wait(topic, value, key)


async def consume(bootstrap: str, topic: str, count: int) -> list[tuple[bytes, bytes]]:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        return [(record.key, record.value) for record in [await consumer.getone() for _ in range(count)]]


def listens(bootstrap: str) -> bool:
    host, _, port = bootstrap.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


async def gone(bootstrap: str) -> None:
    while listens(bootstrap):  # noqa: ASYNC110 - another process ends: there is nothing to await
        await asyncio.sleep(0.05)


async def test_what_is_produced_is_consumed(kafka: str) -> None:
    topic = f"test.{uuid4()}"
    await create(kafka, topic)
    await produce(kafka, topic, ROWS)
    assert await consume(kafka, topic, len(ROWS)) == ROWS


async def test_the_console_producer_sends_keys_and_values(kafka: str) -> None:
    topic = f"test.{uuid4()}"
    await create(kafka, topic)
    await asyncio.to_thread(console_producer, kafka, topic, [f"{key.decode()}|{value.decode()}" for key, value in ROWS], "|")
    assert await consume(kafka, topic, len(ROWS)) == ROWS


async def test_the_console_producer_says_what_was_not_sent(kafka: str) -> None:
    topic = f"test.{uuid4()}"
    await create(kafka, topic)
    with pytest.raises(RuntimeError, match="RecordTooLarge"):
        await asyncio.to_thread(console_producer, kafka, topic, ["small", "x" * 2_000_000])


async def test_data_survives_restart_and_power_loss(fresh_kafka: FreshKafka) -> None:
    kafka = fresh_kafka()
    await create(kafka.bootstrap, "kept")
    await produce(kafka.bootstrap, "kept", ROWS)
    before = kafka.bootstrap
    await asyncio.to_thread(kafka.restart)
    assert await consume(kafka.bootstrap, "kept", len(ROWS)) == ROWS
    kafka.kill()
    assert not listens(before)
    await asyncio.to_thread(kafka.restart)
    assert kafka.bootstrap == before
    assert await consume(kafka.bootstrap, "kept", len(ROWS)) == ROWS


async def test_a_paused_broker_does_not_answer_until_resumed(fresh_kafka: FreshKafka) -> None:
    kafka = fresh_kafka()
    await create(kafka.bootstrap, "slow")
    kafka.pause()
    sending = asyncio.create_task(produce(kafka.bootstrap, "slow", ROWS))
    done, _ = await asyncio.wait([sending], timeout=0.5)
    assert not done
    kafka.resume()
    await sending
    assert await consume(kafka.bootstrap, "slow", len(ROWS)) == ROWS


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_the_broker_dies_with_its_parent(how: signal.Signals, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-m", "inm.demo.kafka"], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        bootstrap = (await asyncio.to_thread(parent.stdout.readline)).strip()
        assert listens(bootstrap)
        assert len(list(tmp_path.iterdir())) == 1
        parent.send_signal(how)
    async with asyncio.timeout(20):
        await gone(bootstrap)
        while list(tmp_path.iterdir()):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)


def test_a_failed_start_shows_the_end_of_the_log(tmp_path: Path) -> None:
    kafka = Kafka(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=7\n")
    with pytest.raises(RuntimeError, match=r"(?s)Kafka exited with 1; the end of .*kafka\.log.*Stored node id 7"):
        kafka.start()
    assert not listens(kafka.bootstrap)


def test_a_named_broker_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INM_BROKER", "elsewhere:9092")
    with broker() as bootstrap:
        assert bootstrap == "elsewhere:9092"
