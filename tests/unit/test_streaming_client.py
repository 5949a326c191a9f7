"""The worker's Kafka client: only heartbeats of the assignment at hand renew the lease."""

from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver

from inm.streaming.client import LEASE_MARGIN, Client
from inm.streaming.fetching import Fetches

SESSION = 10.0


class Bare(Client):
    """Without aiokafka."""

    def __init__(self) -> None:
        self.alive = True
        self.fetches = Fetches()
        self.coordinator = SimpleNamespace(generation=4, _do_heartbeat=self._beat)
        self.consumer_ = SimpleNamespace(
            _fetcher=SimpleNamespace(_proc_fetch_request=None, _get_actions_per_node=None), _coordinator=self.coordinator
        )
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
