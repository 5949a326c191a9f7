"""The REST door of two real workers over a real Kafka."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from inm.core.ids import partition_of_notification
from inm.demo.inbox import SECRET
from inm.demo.kafka import Kafka
from inm.demo.ports import free_ports

ROOT = Path(__file__).parents[2]
ACME, VOLTA = ("inm_live_" + name + "_" + name[0] * 40 for name in ("acme1", "volta1"))
AUTHORIZED = {"Authorization": f"Bearer {ACME}"}
PARTITIONS = 4
# Not for its brokers, but for what asks for it has Kafka fetched before the first test's clock runs.
pytestmark = pytest.mark.usefixtures("fresh_kafka")


class Site:
    """A broker and two workers with one configuration."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.kafka = running.enter_context(Kafka(folder / "kafka"))
        self.ports = free_ports(2)
        self.urls = [f"http://127.0.0.1:{port}" for port in self.ports]
        self._folder = folder
        self._running = running
        for number in range(2):
            self._start(number)

    def _start(self, number: int) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("INM_") or name == "INM_CACHE"}
        environment |= {
            "INM_BROKER": self.kafka.bootstrap,
            "INM_CONFIG": str(ROOT / "config"),
            "INM_DATA_DIR": str(self._folder / "data"),
            "INM_PARTITIONS": str(PARTITIONS),
            "INM_SMSC_PASSWORD": "secret",
            "INM_INBOX_SECRET": SECRET,
            "INM_API_KEYS": f"acme={ACME},volta={VOLTA}",
        }
        log = self._running.enter_context((self._folder / f"worker-{number}.log").open("wb"))
        command = [sys.executable, "-m", "inm", "worker", "--id", f"w{number}", "--http-port", str(self.ports[number])]
        worker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self._running.callback(worker.wait)
        self._running.callback(worker.kill)

    def log(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self._folder.glob("worker-*.log")))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as running:
        yield Site(tmp_path_factory.mktemp("rest"), running)


@pytest.fixture
async def http(site: Site) -> AsyncIterator[aiohttp.ClientSession]:
    """A client, once both workers have their share of the partitions."""
    async with aiohttp.ClientSession() as session:
        while await shares(site, session) != [PARTITIONS // 2] * 2:  # noqa: ASYNC110 - other processes start: there is nothing to await
            await asyncio.sleep(0.1)
        yield session


async def shares(site: Site, session: aiohttp.ClientSession) -> list[int]:
    """How many partitions each worker is ready with, by its own metrics."""
    held = []
    for url in site.urls:
        try:
            async with session.get(f"{url}/metrics") as answer:
                lines = (await answer.text()).splitlines()
        except aiohttp.ClientError:
            return []
        held += [int(float(line.split()[1])) for line in lines if line.startswith("inm_table_partitions ")]
    return held


async def post(http: aiohttp.ClientSession, url: str, body: Any, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    async with http.post(f"{url}/v1/requests", json=body, headers=AUTHORIZED | headers) as answer:
        return answer.status, json.loads(await answer.read()), dict(answer.headers)


async def story(http: aiohttp.ClientSession, url: str, notification: str) -> dict[str, Any]:
    """The story from that worker, once the notification is decided."""
    while True:
        async with http.get(f"{url}/v1/notifications/{notification}", headers=AUTHORIZED) as answer:
            assert answer.status in (200, 404), await answer.text()
            if answer.status == 200:
                return await answer.json()  # type: ignore[no-any-return]
        await asyncio.sleep(0.02)


def request(user: str, **fields: str) -> dict[str, Any]:
    """An otp for a user without any address: it ends at once."""
    return {"scenario": "otp", "to": {"user": user}, "fields": fields}


async def test_every_story_is_told_by_every_worker(site: Site, http: aiohttp.ClientSession) -> None:
    status, document, _ = await post(http, site.urls[0], [request(f"u{number}", code="1") for number in range(24)])
    ids = [item["notifications"][0]["id"] for item in document["requests"]]
    assert (status, len(set(ids))) == (202, 24)
    assert {partition_of_notification(notification) for notification in ids} == set(range(PARTITIONS))
    for notification in ids:
        first, second = [await story(http, url, notification) for url in site.urls]
        assert first == second
        assert (first["id"], first["state"], first["final"]) == (notification, "failed", True)


async def test_one_key_is_one_request_over_all_workers(site: Site, http: aiohttp.ClientSession) -> None:
    posts = [post(http, site.urls[number % 2], request("replayed", code="1"), **{"Idempotency-Key": "one"}) for number in range(20)]
    answers = await asyncio.gather(*posts)
    assert {status for status, _, _ in answers} == {202}
    (notification,) = {document["requests"][0]["notifications"][0]["id"] for _, document, _ in answers}
    assert {headers["Location"] for _, _, headers in answers} == {f"/v1/notifications/{notification}"}
    await story(http, site.urls[0], notification)
    for url in site.urls:
        status, _, headers = await post(http, url, request("replayed", code="1"), **{"Idempotency-Key": "one"})
        assert (status, headers.get("Idempotency-Replayed")) == (202, "true")
        status, problem, _ = await post(http, url, request("replayed", code="2"), **{"Idempotency-Key": "one"})
        assert (status, problem["type"]) == (422, "/problems/idempotency-mismatch")
    assert len((await story(http, site.urls[0], notification))["events"]) == 2  # accepted and failed, once each


async def test_other_tenants_see_nothing(site: Site, http: aiohttp.ClientSession) -> None:
    _, document, _ = await post(http, site.urls[0], request("private", code="1"))
    notification = document["requests"][0]["notifications"][0]["id"]
    await story(http, site.urls[0], notification)
    for url in site.urls:
        async with http.get(f"{url}/v1/notifications/{notification}", headers={"Authorization": f"Bearer {VOLTA}"}) as answer:
            assert answer.status == 404


async def test_what_is_answered_202_is_on_the_topic(site: Site, http: aiohttp.ClientSession) -> None:
    status, _, _ = await post(http, site.urls[1], request("stored", code="1") | {"request_id": "stored-1"})
    assert status == 202
    async with AIOKafkaConsumer(bootstrap_servers=site.kafka.bootstrap, auto_offset_reset="earliest") as consumer:
        partitions = [TopicPartition("inm.requests.acme", number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        keys: list[bytes] = []
        while len(keys) < sum(ends.values()):
            keys += [record.key for records in (await consumer.getmany(timeout_ms=1000)).values() for record in records]
    assert b"stored-1" in keys


async def test_faust_shows_nothing_of_its_own(site: Site, http: aiohttp.ClientSession) -> None:
    for path in ("/", "/stats/", "/graph/", "/router/", "/table/", "/performance/"):
        async with http.get(site.urls[0] + path) as answer:
            assert (answer.status, answer.content_type, answer.headers["Server"]) == (404, "application/problem+json", "INM")


async def test_no_key_is_in_the_log_also_of_a_malformed_request(site: Site, http: aiohttp.ClientSession) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.ports[0])
    writer.write(f"GET / HTTP/1.1\r\nAuthorization: Bearer {ACME}\0\r\n\r\n".encode())
    assert (await reader.read()).startswith(b"HTTP/1.0 400")
    writer.close()
    assert "ready:" in site.log()
    assert ACME not in site.log()


async def test_a_broker_that_is_down_is_503_in_bounded_time(site: Site, http: aiohttp.ClientSession) -> None:
    """Last in this file, for it takes the broker away."""
    site.kafka.stop()
    async with asyncio.timeout(20):
        status, problem, headers = await post(http, site.urls[0], request("late", code="1"))
    assert (status, problem["type"], headers["Retry-After"]) == (503, "/problems/unavailable", "5")
