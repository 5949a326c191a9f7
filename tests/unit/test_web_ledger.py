"""The ledger over REST: what all workers have counted, or nothing."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from inm.core.completeness import HOUR, Tally, key
from inm.intake.counts import CountsView, Held
from inm.web import problems

NOON = 12 * HOUR
OTP, LETTER = key("acme", "otp", NOON), key("acme", "letter", NOON + HOUR)


class View(CountsView):
    """Of a worker that holds these tallies."""

    def __init__(self, app: Any, share: Held) -> None:
        super().__init__(app)
        self.share = share

    def _held(self, tenant: str) -> Held:
        return dict(self.share)


def served(view: CountsView) -> web.Application:
    async def get(request: web.Request) -> web.Response:
        return await view.get(request, "acme")

    async def held(request: web.Request) -> web.Response:
        return await view.held(request, "acme")

    app = web.Application(middlewares=[problems.middleware])
    app.add_routes([web.get("/v1/ledger", get), web.get("/internal/ledger", held)])
    return app


class Workers:
    """Two workers with half of the partitions each; the first one is asked."""

    def __init__(self, *shares: Held) -> None:
        self.shares = list(shares)
        self.servers: list[TestServer] = []
        self.lost = False

    async def start(self, session: aiohttp.ClientSession) -> None:
        for number in range(len(self.shares)):
            app = SimpleNamespace(partitions=4, http_client=session, owner_of=lambda _, partition: self.url(partition // 2))
            self.servers.append(TestServer(served(View(app, self.shares[number]))))
            await self.servers[-1].start_server()

    def url(self, number: int) -> str | None:
        return None if self.lost and number else str(self.servers[number].make_url("/"))


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer x"}) as session:
        yield session


async def ask(session: aiohttp.ClientSession, workers: Workers, **params: Any) -> tuple[int, Any]:
    await workers.start(session)
    async with session.get(workers.servers[0].make_url("/v1/ledger"), params=params) as answer:
        found = answer.status, await answer.json(content_type=None)
    for server in workers.servers:
        await server.close()
    return found


def halves() -> Workers:
    one = {"0": {OTP: Tally(3, {"delivered": 2}, due=1)}, "1": {}}
    other = {"2": {OTP: Tally(2, {"delivered": 1, "failed": 1}, due=1), LETTER: Tally(1, {"expired": 1})}, "3": {OTP: Tally(1)}}
    return Workers(one, other)


async def test_the_ledger_is_the_sum_over_all_workers(session: aiohttp.ClientSession) -> None:
    status, told = await ask(session, halves())
    assert status == 200
    letter = {"scenario": "letter", "hour": NOON + HOUR, "accepted": 1, "finals": {"expired": 1}, "open": 0}
    otp = {"scenario": "otp", "hour": NOON, "accepted": 6, "finals": {"delivered": 3, "failed": 1}, "open": 2, "overdue": 2}
    assert told["lines"] == [{"tenant": "acme", **each} for each in (letter, otp)]


async def test_a_part_of_it_can_be_asked_for(session: aiohttp.ClientSession) -> None:
    assert [line["scenario"] for line in (await ask(session, halves(), scenario="otp"))[1]["lines"]] == ["otp"]
    assert [line["scenario"] for line in (await ask(session, halves(), since=NOON + 1))[1]["lines"]] == ["letter"]
    assert (await ask(session, halves(), since="noon"))[0] == 400


async def test_while_a_partition_is_nowhere_there_is_no_ledger(session: aiohttp.ClientSession) -> None:
    workers = halves()
    workers.lost = True
    assert (await ask(session, workers))[0] == 503
