"""The worker's Kafka client: only heartbeats of the assignment at hand renew the lease, and a fetch waits as long as it pays."""

from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver

from inm.streaming.client import FETCH_MAX_WAIT, FETCH_MIN_BYTES, IDLE_WAIT, LEASE_MARGIN, Client

SESSION = 10.0


class Fetcher:
    """Fetches bring something while ``full``; what is planned is how long the next one waits, and for how much."""

    def __init__(self) -> None:
        self.full = True
        self._records: dict[str, object] = {}
        self._fetch_max_wait_ms = self._fetch_min_bytes = 0

    async def _proc_fetch_request(self, _assignment: object, _node: int, _request: object) -> bool:
        return self.full

    def _get_actions_per_node(self, _assignment: object) -> tuple[int, int]:
        return self._fetch_max_wait_ms, self._fetch_min_bytes


class Bare(Client):
    """Without aiokafka."""

    def __init__(self) -> None:
        self.alive = True
        self.coordinator = SimpleNamespace(generation=4, _do_heartbeat=self._beat)
        self.consumer_ = SimpleNamespace(_fetcher=Fetcher(), _coordinator=self.coordinator)
        self.__dict__["app"] = SimpleNamespace(conf=SimpleNamespace(broker_session_timeout=SESSION))

    async def _beat(self) -> bool:
        return self.alive

    def _ensure_consumer(self) -> Any:
        return self.consumer_


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> Bare:
    async def nothing(_: Any) -> None:
        return

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "on_start", nothing)
    monkeypatch.setattr("inm.streaming.client.monotonic", lambda: 100.0)
    made = Bare()
    await made.on_start()
    made.leased = 4
    return made


@pytest.mark.parametrize(
    ("alive", "generation", "renewed"), [(True, 4, True), (False, 4, False), (True, 5, False)], ids=["ours", "not answered", "of the next"]
)
async def test_a_heartbeat_renews_the_lease_of_its_own_generation(client: Bare, alive: bool, generation: int, renewed: bool) -> None:
    client.alive, client.coordinator.generation = alive, generation
    assert await client.coordinator._do_heartbeat() is alive
    assert client.lease_until == (100.0 + SESSION - LEASE_MARGIN if renewed else 0.0)


async def test_a_fetch_waits_long_only_where_the_last_one_brought_nothing_and_it_names_every_partition(client: Bare) -> None:
    fetcher: Any = client.consumer_._fetcher

    async def after(full: bool) -> tuple[int, int]:
        fetcher.full = full
        await fetcher._proc_fetch_request(None, 1, None)
        planned: tuple[int, int] = fetcher._get_actions_per_node(None)
        return planned

    idle, busy = (IDLE_WAIT, 1), (FETCH_MAX_WAIT[0], FETCH_MIN_BYTES)
    assert [await after(full=False), await after(full=True), await after(full=False)] == [idle, busy, idle]
    fetcher._records = {"a partition that is left out": object()}
    assert await after(full=False) == busy


@pytest.mark.parametrize(
    ("busy", "brought", "wait"), [(1.0, 1, 5), (1.0, 15, 30), (0.5, 15, 15), (0.1, 15, 5), (1.0, 500, 40), (0.5, 500, 40)]
)
async def test_a_fetch_waits_by_what_the_last_one_brought_and_how_busy_the_process_is(
    client: Bare, monkeypatch: pytest.MonkeyPatch, busy: float, brought: int, wait: int
) -> None:
    clock = {"monotonic": 200.0, "process_time": 50.0}
    for name in clock:
        monkeypatch.setattr(f"inm.streaming.client.{name}", lambda name=name: clock[name])
    client.brought(brought)
    clock["monotonic"] += 1.0
    clock["process_time"] += busy
    client.brought(brought)
    fetcher: Any = client.consumer_._fetcher
    await fetcher._proc_fetch_request(None, 1, None)
    assert fetcher._get_actions_per_node(None) == (wait, FETCH_MIN_BYTES)
