"""The pace of fetches: a fetch waits as long as it pays, and names what may have something."""

from collections.abc import Collection
from itertools import chain
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from inm.streaming import fetching
from inm.streaming.fetching import FETCH_MAX_WAIT, FETCH_MIN_BYTES, IDLE_WAIT, ROUND, WARM, Fetches, _machine

Plan = tuple[int, int, list[int]]
"""How long a fetch waits (ms), for how many bytes, and which partitions it names."""
TPS = [TopicPartition("topic", number) for number in range(6)]
ASSIGNMENT = SimpleNamespace(tps=frozenset(TPS), state_value=lambda tp: tp)


class Fetcher:
    """Fetches bring something while ``full``; a plan is how long the next one waits, for how much, and which partitions it names.

    Partitions lead to two brokers in turn; one that a fetch is under way to is not asked, as aiokafka has it.
    """

    def __init__(self) -> None:
        self.full = True
        self.in_flight: set[int] = set()
        self._records: dict[str, object] = {}
        self._fetch_max_wait_ms = self._fetch_min_bytes = 0

    async def _proc_fetch_request(self, _assignment: object, _node: int, _request: object) -> bool:
        return self.full

    def _get_actions_per_node(self, assignment: Any) -> tuple[list[tuple[int, Plan]]]:
        found: dict[int, list[int]] = {}
        for number in sorted(assignment.state_value(tp).partition for tp in assignment.tps):
            if number % 2 not in self.in_flight:
                found.setdefault(number % 2, []).append(number)
        return ([(node, (self._fetch_max_wait_ms, self._fetch_min_bytes, numbers)) for node, numbers in found.items()],)


class Bench:
    """Fetches under a clock of ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = {"monotonic": 200.0, "process_time": 50.0}
        for name in self.clock:
            monkeypatch.setattr(fetching, name, lambda name=name: self.clock[name])
        self.used, self.all = 1_000, 5_000
        monkeypatch.setattr(fetching, "_machine", lambda: (self.used, self.all))
        self.fetcher: Any = Fetcher()
        self.fetches = Fetches()
        self.fetches.pace(self.fetcher)

    async def after(self, *, full: bool) -> Plan:
        """The fetches after one that has brought something, or nothing: what they have in common, and all that they name."""
        self.fetcher.full = full
        await self.fetcher._proc_fetch_request(None, 1, None)
        plans: list[Plan] = [plan for _, plan in self.fetcher._get_actions_per_node(ASSIGNMENT)[0]]
        waits, bytes_, names = zip(*plans, strict=True)
        assert len(set(waits)) == len(set(bytes_)) == 1
        return waits[0], bytes_[0], sorted(chain.from_iterable(names))

    async def named(self) -> Collection[int]:
        """The partitions of the next fetches, in a process that has something to do."""
        return (await self.after(full=True))[2]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


ALL = list(range(6))


async def test_a_fetch_waits_long_only_where_the_last_one_brought_nothing_and_then_it_names_every_partition(bench: Bench) -> None:
    idle, busy = (IDLE_WAIT, 1, ALL), (FETCH_MAX_WAIT[0], FETCH_MIN_BYTES, ALL)
    assert [await bench.after(full=False), await bench.after(full=True), await bench.after(full=False)] == [idle, busy, idle]
    bench.fetcher._records = {"a partition that is left out": object()}
    assert (await bench.after(full=False))[:2] == busy[:2]


@pytest.mark.parametrize(("own", "machine"), [(1.0, 0.0), (0.0, 1.0), (0.3, 1.0)])
@pytest.mark.parametrize(
    ("busy", "brought", "wait"),
    [(1.0, 1, 5), (1.0, 8, 32), (0.8, 8, 16), (0.6, 8, 5), (0.1, 8, 5), (1.0, 500, 40), (0.8, 500, 40), (0.6, 500, 5)],
)
async def test_a_fetch_waits_by_what_the_last_one_brought_and_how_busy_process_or_machine_is(
    bench: Bench, own: float, machine: float, busy: float, brought: int, wait: int
) -> None:
    tps = [("topic", number) for number in range(brought)]
    bench.fetches.brought(tps)
    bench.clock["monotonic"] += 1.0
    bench.clock["process_time"] += own * busy
    bench.used += round(200 * machine * busy)
    bench.all += 200
    bench.fetches.brought(tps)
    assert (await bench.after(full=True))[:2] == (wait, FETCH_MIN_BYTES)


def test_the_machine_tells_how_busy_it_is() -> None:
    used, all_ = _machine()
    assert 0 < used < all_


async def test_what_has_brought_something_is_in_every_fetch_and_all_are_in_one_each_round(bench: Bench) -> None:
    assert await bench.named() == ALL
    bench.fetches.brought([("topic", 1)])
    assert [await bench.named() for _ in range(3)] == [[1]] * 3
    bench.clock["monotonic"] += ROUND
    assert [await bench.named() for _ in range(3)] == [ALL, [1], [1]]


async def test_what_this_process_wrote_to_is_in_the_next_fetch(bench: Bench) -> None:
    await bench.named()
    bench.fetches.expect([("topic", 4)])
    assert await bench.named() == [4]


async def test_what_has_brought_nothing_for_a_while_is_asked_for_each_round_again(bench: Bench) -> None:
    bench.fetches.brought([("topic", 1), ("topic", 2)])
    bench.clock["monotonic"] += WARM / 2
    bench.fetches.brought([("topic", 2)])
    assert await bench.named() == ALL
    bench.clock["monotonic"] += WARM / 2
    assert await bench.named() == ALL
    assert await bench.named() == [2]


async def test_a_process_in_which_nothing_is_warm_names_all(bench: Bench) -> None:
    assert [await bench.named() for _ in range(3)] == [ALL] * 3


async def test_a_broker_that_was_busy_when_all_were_asked_for_has_its_turn_afterwards(bench: Bench) -> None:
    assert await bench.named() == ALL
    bench.clock["monotonic"] += ROUND
    bench.fetches.expect([("topic", 2)])
    bench.fetcher.in_flight = {1}
    assert await bench.named() == [0, 2, 4]
    bench.fetcher.in_flight = set()
    assert set(await bench.named()) >= {1, 3, 5}
    assert await bench.named() == [2]
