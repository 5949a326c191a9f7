"""``inm dead`` on a broker of its own: what is looked at, sent back, closed, and what cannot be."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.structs import ConsumerRecord
from click.testing import CliRunner, Result

from inm import topics
from inm.cli import group
from inm.core.deadletters import Closing
from inm.core.ids import partition_of
from inm.core.requests import expand, parse
from inm.demo.installation import CONFIG
from inm.demo.kafka import Kafka
from inm.documents import load_catalogue
from inm.settings import load
from inm.streaming import dead
from inm.streaming.chunks import now_ms
from inm.web.letterbox import Letterbox

REQUESTS = topics.requests("acme")
OTP = b'{"scenario": "otp", "to": {"phone": "+393331234567"}, "fields": {"code": "493817"}}'


class Box:
    """The broker, and what tests put there and find there."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.environment = {
            "INM_CONFIG": str(CONFIG),
            "INM_BROKER": bootstrap,
            "INM_SMSC_PASSWORD": "x",
            "INM_INBOX_SECRET": "secret",
            "USER": "olga",
        }

    def run(self, *arguments: object) -> Result:
        return CliRunner(env=self.environment).invoke(group, ["dead", *map(str, arguments)])

    def topic(self, partitions: int = 3) -> str:
        name = f"test.{uuid4().hex}"
        asyncio.run(self._create([NewTopic(name, partitions, 1)]))
        return name

    async def _create(self, wanted: list[NewTopic]) -> None:
        async with self._admin() as admin:
            await admin.create_topics(wanted)

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    def put(
        self, topic: str, value: bytes | None, key: bytes | None = None, headers: Sequence[tuple[str, bytes]] = (), partition: int = 1
    ) -> ConsumerRecord:  # fmt: skip
        """Write a record and return it as a stage gets it."""
        sent = self.puts([(topic, value, key, list(headers), partition)])[0]
        return ConsumerRecord(topic, partition, sent, 0, 0, key, value, None, len(key or b""), len(value or b""), tuple(headers))

    def puts(self, records: Sequence[tuple[str, bytes | None, bytes | None, list[tuple[str, bytes]], int | None]]) -> list[int]:
        async def work() -> list[int]:
            async with AIOKafkaProducer(bootstrap_servers=self.bootstrap, enable_idempotence=True) as producer:
                sent = [await producer.send(topic, value, key, part, headers=heads) for topic, value, key, heads, part in records]
                return [(await one).offset for one in sent]

        return asyncio.run(work())

    def bury(self, *records: ConsumerRecord, reason: str = "unknown-scenario", detail: str = "why", stage: str = "intake") -> list[int]:
        """What a stage does with records that it cannot process; the ids of the letters."""
        letters = [dead.letter(record, stage, reason, detail, now_ms()) for record in records]
        return self.puts([(topics.DEAD, value, key, [], 0) for key, value in letters])

    def read(self, topic: str) -> list[ConsumerRecord]:
        """All that is on a topic."""

        async def work() -> list[ConsumerRecord]:
            async with AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest") as consumer:
                there = await consumer._client.fetch_all_metadata()
                places = [TopicPartition(topic, number) for number in there.partitions_for_topic(topic)]
                consumer.assign(places)
                ends = await consumer.end_offsets(places)
                found: list[ConsumerRecord] = []
                while [place for place in places if await consumer.position(place) < ends[place]]:
                    found += [record for records in (await consumer.getmany(timeout_ms=500)).values() for record in records]
                return found

        return asyncio.run(work())

    def forget(self, record: ConsumerRecord) -> None:
        """As retention does."""

        async def work() -> None:
            async with self._admin() as admin:
                await admin.delete_records({TopicPartition(record.topic, record.partition): RecordsToDelete(record.offset + 1)})

        asyncio.run(work())

    def closings(self, ids: Sequence[int]) -> list[Closing]:
        found = [msgspec.json.decode(record.value, type=Closing) for record in self.read(topics.DEAD) if b'"closes"' in record.value]
        return [closing for closing in found if closing.closes in ids]

    def listed(self, *arguments: object) -> list[dict[str, Any]]:
        result = self.run("list", "--json", *arguments)
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """``inm.dead`` is one for all: here it is of these tests alone."""
    with Kafka(tmp_path_factory.mktemp("dead") / "kafka") as kafka:
        box = Box(kafka.bootstrap)
        created = CliRunner(env=box.environment).invoke(group, ["topics", "--create"])
        assert created.exit_code == 0, created.output
        yield box


def same(record: ConsumerRecord) -> tuple[Any, ...]:
    return record.partition, record.key, record.value, tuple(record.headers)


def test_a_record_goes_back_as_it_was_and_its_letter_is_closed(box: Box) -> None:
    topic = box.topic()
    record = box.put(topic, b"\xff \x00 no text", b"k\xfe", [("traceparent", b"00-1")], 2)
    (number,) = box.bury(record)
    assert [letter["id"] for letter in box.listed("--topic", topic)] == [number]
    result = box.run("retry", number, "--why", "the scenario is there now")
    assert (result.exit_code, result.stdout) == (0, f"{number}: retried: {topic}/2/1\n")
    assert [same(found) for found in box.read(topic)] == [same(record)] * 2
    assert box.listed("--topic", topic) == []
    (letter,) = box.listed("--topic", topic, "--all")
    assert letter["closed"].pop("at") >= letter["at"]
    fate = {"closes": number, "action": "retried", "by": "olga", "why": "the scenario is there now", "sent": f"{topic}/2/1"}
    assert letter["closed"] == fate
    again = box.run("retry", number)
    assert again.exit_code == 0
    assert f"{number}: retried 20" in again.stderr
    assert len(box.read(topic)) == 2


def test_a_request_without_identity_keeps_its_notification_ids(box: Box) -> None:
    record = box.put(REQUESTS, OTP)
    (number,) = box.bury(record)
    settings = load(box.environment)
    first = expand(parse(OTP, "acme", load_catalogue(settings)), "acme", f"{REQUESTS}/1/{record.offset}", 0, settings.partitions)
    assert box.run("retry", number, "--dry-run").stdout == f"{number}: would go to {REQUESTS} as {first[0].id}\n"
    assert box.listed("--topic", REQUESTS)[0]["id"] == number
    assert box.run("retry", number).exit_code == 0
    sent = next(found for found in box.read(REQUESTS) if found.partition == 1 and found.offset == record.offset + 1)
    assert sent.value.startswith(OTP[:-1])
    again = expand(parse(sent.value, "acme", load_catalogue(settings)), "acme", "another place", 0, settings.partitions)
    assert [notification.id for notification in again] == [notification.id for notification in first]


def test_a_cloud_event_keeps_its_headers_and_is_not_touched(box: Box) -> None:
    headers = [("ce_specversion", b"1.0"), ("ce_id", uuid4().bytes), ("ce_source", b"/crm"), ("ce_type", b"t")]
    record = box.put(REQUESTS, OTP, b"k", headers)
    (number,) = box.bury(record)
    assert box.run("retry", number).exit_code == 0
    assert [same(found) for found in box.read(REQUESTS) if found.headers == tuple(headers)] == [same(record)] * 2


def test_the_whole_of_a_cut_record_comes_from_its_origin(box: Box) -> None:
    topic = box.topic()
    record = box.put(topic, b"x" * 300_000, b"k" * 3000)
    (number,) = box.bury(record)
    assert box.run("show", number, "--raw").stdout_bytes == record.value
    assert box.run("retry", number).exit_code == 0
    assert [same(found) for found in box.read(topic)] == [same(record)] * 2


def test_a_cut_record_that_is_gone_is_said_and_stays_open_while_others_go(box: Box) -> None:
    topic = box.topic()
    gone, there = box.put(topic, b"x" * 300_000, partition=0), box.put(topic, b"y", partition=2)
    box.forget(gone)
    lost, fine = box.bury(gone, there)
    result = box.run("retry", "--topic", topic)
    assert result.exit_code == 1
    assert f"{lost}: {topic}/0/0 has the record no more; the letter has its first 65536 bytes" in result.stderr
    assert result.stdout == f"{fine}: retried: {topic}/2/1\n"
    assert [letter["id"] for letter in box.listed("--topic", topic)] == [lost]


def test_a_record_that_is_gone_is_sent_as_the_letter_has_it(box: Box) -> None:
    topic = box.topic()
    record = box.put(topic, b'{"a": 1}', b"k")
    box.forget(record)
    (number,) = box.bury(record)
    assert box.run("retry", number).exit_code == 0
    assert [same(found) for found in box.read(topic)] == [same(record)]


def test_an_output_that_was_refused_goes_by_its_key(box: Box) -> None:
    topic, key = box.topic(5), b"acme/+393331234567"
    letter = dead.refused(topic, key, b'{"id": "e"}', "MessageSizeTooLarge", now_ms())
    keyless = dead.refused(topic, None, b"{}", "MessageSizeTooLarge", now_ms())
    known, unknown = box.puts([(topics.DEAD, value, key, [], 0) for key, value in (letter, keyless)])
    result = box.run("retry", known, unknown)
    assert result.exit_code == 1
    assert f"{unknown}: it has no key" in result.stderr
    assert [same(found) for found in box.read(topic)] == [(partition_of(key, 5), key, b'{"id": "e"}', ())]


def test_a_topic_that_does_not_exist_is_said(box: Box) -> None:
    record = ConsumerRecord("test.nowhere", 0, 0, 0, 0, None, b"v", None, 0, 1, ())
    (number,) = box.bury(record)
    result = box.run("retry", number)
    assert (result.exit_code, f"{number}: the cluster has no topic test.nowhere" in result.stderr) == (1, True)
    assert [letter["id"] for letter in box.listed("--topic", "test.nowhere")] == [number]


def test_a_mended_request_is_checked_and_sent_instead(box: Box, tmp_path: Path) -> None:
    record = box.put(REQUESTS, OTP.replace(b"+39", b"0039"), b"k")
    (number,) = box.bury(record, reason="invalid-request")
    mended = tmp_path / "mended.json"
    mended.write_bytes(OTP.replace(b"otp", b"opt"))
    refused = box.run("retry", number, "--value", mended)
    assert refused.exit_code == 1
    assert "unknown-scenario" in refused.stderr
    assert "'opt'" in refused.stderr
    mended.write_bytes(OTP)
    assert box.run("retry", number, "--value", mended).exit_code == 0
    sent = max(box.read(REQUESTS), key=lambda found: found.timestamp)
    assert sent.key == b"k"
    place = f"{REQUESTS}/1/{record.offset}"
    assert json.loads(sent.value) == json.loads(OTP) | {"idempotency_key": place}


def test_what_is_dropped_is_closed_with_its_reason(box: Box) -> None:
    topic = box.topic()
    first, second = box.bury(box.put(topic, b"a"), box.put(topic, b"b"))
    assert box.run("drop", first).exit_code == 2
    assert box.run("drop", first, "--why", "too late", "--by", "ivan", "--dry-run").stdout == f"{first}: would be dropped\n"
    assert box.run("drop", first, "--why", "too late", "--by", "ivan").stdout == f"{first}: dropped\n"
    assert [letter["id"] for letter in box.listed("--topic", topic)] == [second]
    assert [(end.action, end.by, end.why, end.sent) for end in box.closings([first])] == [("dropped", "ivan", "too late", None)]
    assert "by ivan: too late" in box.run("show", first).stdout
    assert len(box.read(topic)) == 2


def test_list_shows_the_newest_that_fit(box: Box) -> None:
    topic = box.topic()
    records = [box.put(topic, b"%d" % number) for number in range(3)]
    one, two = box.bury(*records[:2], reason="stage-failed", stage="evaluate")
    (three,) = box.bury(records[2], reason="invalid-json")

    def ids(*arguments: object) -> list[int]:
        return [letter["id"] for letter in box.listed("--topic", topic, *arguments)]

    assert ids() == [three, two, one]
    assert ids("--limit", 2) == [three, two]
    assert ids("--reason", "stage-failed") == ids("--stage", "evaluate") == [two, one]
    assert ids("--since", "1h") == [three, two, one]
    assert ids("--since", "2999-01-01T00:00:00Z") == []
    assert {count["reason"]: count["letters"] for count in box.listed("--topic", topic, "--summary")} == {
        "stage-failed": 2,
        "invalid-json": 1,
    }
    assert box.run("list", "--since", "yesterday").exit_code == 2


def test_personal_data_is_masked_unless_asked_for(box: Box) -> None:
    detail = "/to/phone: wrong, found '+393331234567', allowed: matching ^"
    (number,) = box.bury(box.put(REQUESTS, OTP, b"+393331234567"), detail=detail)
    for arguments in (["show", number], ["show", number, "--json"], ["list", "--limit", 1], ["list", "--limit", 1, "--json"]):
        masked, full = box.run(*arguments), box.run(*arguments, "--unmask")
        assert masked.exit_code == full.exit_code == 0
        assert "393331234567" not in masked.output
        assert "493817" not in masked.output
        assert "393331234567" in full.stdout
    assert '"scenario": "otp"' in box.run("show", number).stdout
    assert box.run("show", number, "--raw").stdout_bytes == OTP


def test_many_need_a_yes_where_nobody_can_be_asked(box: Box) -> None:
    topic = box.topic()
    ids = box.bury(*(ConsumerRecord(topic, 0, 10_000 + number, 0, 0, None, b"%d" % number, None, 0, 1, ()) for number in range(150)))
    command = [sys.executable, "-m", "inm", "dead", "retry", "--topic", topic]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | box.environment
        return subprocess.run([*command, *more], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)

    refused = run()
    assert (refused.returncode, "--yes" in refused.stderr, box.read(topic)) == (2, True, [])
    done = run("--yes")
    assert done.returncode == 0, done.stderr
    assert [int(line.partition(":")[0]) for line in done.stdout.splitlines()] == ids
    assert [record.value for record in box.read(topic)] == [b"%d" % number for number in range(150)]
    assert box.listed("--topic", topic) == []


def test_a_run_that_broke_off_is_taken_up_again(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = box.topic()
    values = {b"%d" % number for number in range(250)}
    ids = box.bury(*(ConsumerRecord(topic, 0, 10_000, 0, 0, None, value, None, 0, 1, ()) for value in values))
    close, written = Letterbox.close, 0

    async def breaks(self: Letterbox, closing: Closing, tenant: str) -> Any:
        nonlocal written
        written += 1
        if written > 120:
            raise OSError("the machine goes down")
        return await close(self, closing, tenant)

    monkeypatch.setattr(Letterbox, "close", breaks)
    broken = box.run("retry", "--topic", topic, "--yes")
    assert broken.exit_code == 1
    assert "the machine goes down" in broken.stderr
    monkeypatch.undo()
    left = box.listed("--topic", topic, "--limit", 1000)
    assert 100 < len(left) < 250
    assert box.run("retry", "--topic", topic, "--yes").exit_code == 0
    sent = [record.value for record in box.read(topic)]
    assert set(sent) == values
    assert len(sent) <= 250 + 100
    assert sorted(closing.closes for closing in box.closings(ids)) == ids


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "999999"], 1),
        (["retry", "999999"], 1),
        (["retry"], 2),
        (["retry", "1", "--reason", "stage-failed"], 2),
        (["retry", "--reason", "stage-failed", "--value", "-"], 2),
        (["drop", "--why", "all of them"], 2),
    ],
)
def test_what_makes_no_sense_is_refused(box: Box, arguments: list[str], code: int) -> None:
    result = box.run(*arguments)
    assert result.exit_code == code, result.output
    assert "Error: " in result.stderr
