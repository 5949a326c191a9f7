"""Loads: the same key once, bounded calls and time, and a source that fails is left in peace and found again."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from inm.core.sources import Kind, Lookup, Row, Source
from inm.sources import breaker
from inm.sources import loader as loader_module
from inm.sources.base import Client, SourceError
from inm.sources.breaker import FAILURES, FIRST, LONGEST, Breaker
from inm.sources.loader import Failed, Found, Loader

SOURCE = Source("acme", "crm", "sql", "ACME_URL", Lookup("SELECT 1 WHERE id IN :keys"), timeout=5, batch=10, connections=2)


class Fake(Client):
    """Knows every key that does not begin with ``no``; answers when it is let."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.fails: Exception | None = None
        self.delay = 0.0
        self.busy = self.busiest = 0
        self.closed = False

    async def fetch(self, kind: Kind, keys: Sequence[str]) -> Mapping[str, list[Row] | str]:
        self.calls.append(list(keys))
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await self.open.wait()
            await asyncio.sleep(self.delay)
        finally:
            self.busy -= 1
        if self.fails:
            raise self.fails
        return {key: [{"id": key}] for key in keys if not key.startswith("no")}

    async def close(self) -> None:
        self.closed = True


@asynccontextmanager
async def loading(source: Source = SOURCE) -> AsyncIterator[tuple[Loader, Fake]]:
    fake = Fake()
    loader = Loader(source, lambda: fake, lambda: 7)
    yield loader, fake
    await loader.close()
    assert fake.closed or not fake.calls


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_known_and_unknown_are_told_apart() -> None:
    async with loading() as (loader, _):
        assert await loader.load("users", ["a", "no"]) == {"a": Found([{"id": "a"}], 7), "no": Found((), 7)}


async def test_the_same_key_is_asked_for_once_however_many_want_it() -> None:
    async with loading() as (loader, fake):
        fake.open.clear()
        loads = [asyncio.create_task(loader.load("users", ["a", "b"])) for _ in range(5)]
        await settled()
        fake.open.set()
        assert all([set(await load) == {"a", "b"} for load in loads])
        assert fake.calls == [["a", "b"]]
        await loader.load("users", ["a"])
        assert fake.calls == [["a", "b"], ["a"]]


async def test_calls_are_bounded_and_grow_while_the_source_is_busy() -> None:
    async with loading() as (loader, fake):
        fake.open.clear()
        loads = [asyncio.create_task(loader.load("users", [str(number)])) for number in range(25)]
        await settled()
        fake.open.set()
        await asyncio.gather(*loads)
        assert fake.busiest == SOURCE.connections
        assert [len(call) for call in fake.calls] == [1, 1, 10, 10, 3]


async def test_nobody_waits_longer_than_the_limit() -> None:
    async with loading(structs.replace(SOURCE, timeout=0.05)) as (loader, fake):
        fake.open.clear()
        keys = [str(number) for number in range(100)]
        results = await asyncio.wait_for(loader.load("users", keys), 4)
        assert set(results) == set(keys)
        assert all(isinstance(result, Failed) for result in results.values())
        assert len(fake.calls) <= FAILURES + SOURCE.connections


async def test_what_has_waited_too_long_is_not_asked_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "PATIENCE", 0.02)
    async with loading(structs.replace(SOURCE, timeout=0.05, connections=1, batch=1)) as (loader, fake):
        fake.open.clear()
        results = await loader.load("users", ["a", "b", "c"])
        fake.open.set()
        await loader.load("users", ["d"])
        assert ["c"] not in fake.calls
        assert results["c"] == Failed("busy")


async def test_a_crowd_waits_for_its_turn_while_the_source_answers() -> None:
    async with loading(structs.replace(SOURCE, timeout=0.2, connections=1, batch=1)) as (loader, fake):
        fake.delay = 0.01
        keys = [str(number) for number in range(50)]
        results = await loader.load("users", keys)
        assert all(isinstance(result, Found) for result in results.values())


@pytest.mark.parametrize("error", [SourceError("refused", "42P01"), RuntimeError("a defect, or a driver's own")])
async def test_a_source_that_fails_is_left_in_peace_and_asked_again_later(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "FIRST", 0.05)
    async with loading() as (loader, fake):
        fake.fails = error
        for number in range(FAILURES + 5):
            (result,) = (await loader.load("users", [str(number)])).values()
            assert isinstance(result, Failed)
        assert len(fake.calls) == FAILURES
        assert result == Failed("open")
        fake.fails = None
        while isinstance(result, Failed):
            await asyncio.sleep(0.01)
            result = (await loader.load("users", ["a"]))["a"]
        assert len(fake.calls) == FAILURES + 1


async def test_a_client_that_cannot_be_made_is_a_failure_like_any_other() -> None:
    def refuse() -> Client:
        raise SourceError("misconfigured", "no such variable")

    loader = Loader(SOURCE, refuse, lambda: 7)
    assert await loader.load("users", ["a"]) == {"a": Failed("misconfigured")}
    await loader.close()


async def test_users_and_offers_of_one_name_are_two() -> None:
    async with loading() as (loader, fake):
        await asyncio.gather(loader.load("users", ["a"]), loader.load("offers", ["a"]))
        assert fake.calls == [["a"], ["a"]]


@given(st.lists(st.tuples(st.floats(0, 40), st.booleans()), max_size=60))
def test_an_open_breaker_lets_one_through_at_a_time_and_not_for_longer_than_it_says(steps: list[tuple[float, bool]]) -> None:
    breaker, now, refused_since = Breaker(), 0.0, None
    for gap, well in steps:
        now += gap
        if breaker.admits(now):
            refused_since = None
            assert not breaker.open or not breaker.admits(now)
            breaker.told(well, now)
            assert not well or not breaker.open
        else:
            refused_since = refused_since or now
            assert now - refused_since <= LONGEST


def test_a_breaker_opens_after_failures_in_a_row_and_waits_longer_each_time() -> None:
    breaker, now = Breaker(), 0.0
    for number in range(FAILURES):
        assert breaker.admits(now), number
        breaker.told(False, now)
    waits = []
    for _ in range(8):
        assert not breaker.admits(now)
        wait = next(tenth / 10 for tenth in range(1, 1000) if breaker.admits(now + tenth / 10))
        waits.append(wait)
        now += wait
        breaker.told(False, now)
    assert waits == [FIRST, 2, 4, 8, 16, LONGEST, LONGEST, LONGEST]
