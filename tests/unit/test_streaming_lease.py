"""The lease: only heartbeats of the assignment at hand say that its partitions are still ours."""

from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver

from inm.streaming.thread import LEASE_MARGIN, ConsumerThread

SESSION = 10.0


class Thread(ConsumerThread):
    """Without aiokafka and without a thread."""

    def __init__(self) -> None:
        self.alive = True
        self.coordinator = SimpleNamespace(generation=4, _do_heartbeat=self._beat)
        self.consumer_ = SimpleNamespace(_fetcher=SimpleNamespace(), _coordinator=self.coordinator)
        self.__dict__["app"] = SimpleNamespace(conf=SimpleNamespace(broker_session_timeout=SESSION))

    async def _beat(self) -> bool:
        return self.alive

    def _ensure_consumer(self) -> Any:
        return self.consumer_


@pytest.fixture
async def thread(monkeypatch: pytest.MonkeyPatch) -> Thread:
    async def nothing(_: Any) -> None:
        return

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "on_start", nothing)
    monkeypatch.setattr("inm.streaming.thread.monotonic", lambda: 100.0)
    made = Thread()
    await made.on_start()
    made.leased = 4
    return made


@pytest.mark.parametrize(
    ("alive", "generation", "renewed"), [(True, 4, True), (False, 4, False), (True, 5, False)], ids=["ours", "not answered", "of the next"]
)
async def test_a_heartbeat_renews_the_lease_of_its_own_generation(thread: Thread, alive: bool, generation: int, renewed: bool) -> None:
    thread.alive, thread.coordinator.generation = alive, generation
    assert await thread.coordinator._do_heartbeat() is alive
    assert thread.lease_until == (100.0 + SESSION - LEASE_MARGIN if renewed else 0.0)
