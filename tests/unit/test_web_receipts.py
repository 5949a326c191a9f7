"""The door for receipts, over an application without Kafka: who is let in, and when he is told that we have them."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from io import BytesIO
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from inm.channels import rest
from inm.channels.base import Channel
from inm.channels.magic import MagicRest
from inm.channels.rest import RestRoute
from inm.core import webhooks
from inm.core.records import Receipt
from inm.intake import receipts
from inm.intake.receipts import Receipts
from inm.web import problems
from tests.unit.test_web import problem

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u"
CLIENT = TestClient[web.Request, web.Application]


class App:
    """The parts of a worker that the door uses. ``answer`` is what Kafka says: an error, or nothing (None)."""

    kafka_down = (OSError,)

    def __init__(self) -> None:
        self.ready = True
        self.taken: list[Receipt] = []
        self.answer: Exception | bool | None = True
        url = "https://svc.example/"
        self.routes: dict[str, Channel] = {"svc": rest.build(RestRoute("svc", url, receipt_secret=SECRET)), "magic-rest": MagicRest()}
        self.routes["deaf"] = rest.build(RestRoute("deaf", url))
        setattr(self.routes["svc"], "_take", self._take)  # noqa: B010 - what open does, without its connections

    async def _take(self, found: Sequence[Receipt]) -> None:
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            await asyncio.Event().wait()
        self.taken += found


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def client(app: App) -> AsyncIterator[CLIENT]:
    web_app = web.Application(middlewares=[problems.middleware])
    web_app.router.add_post("/v1/receipts/{route}", Receipts(app).post)  # type: ignore[arg-type]
    async with TestClient(TestServer(web_app)) as client:
        yield client


async def post(client: CLIENT, content: Any, *, route: str = "svc", **changed: str) -> Any:
    body = msgspec.json.encode(content)
    headers = webhooks.headers([webhooks.secret(SECRET)], "evt-1", int(time.time()), body) | {"Content-Type": "application/json"}
    return await client.post(
        f"/v1/receipts/{route}", data=BytesIO(body), headers=headers | {name.replace("_", "-"): text for name, text in changed.items()}
    )


async def test_receipts_are_taken(client: CLIENT, app: App) -> None:
    answer = await post(client, [{"id": "m-1", "state": "delivered"}, {"id": "m-2", "state": "opened by a dog"}])
    assert answer.status == 200
    assert await answer.json() == {"taken": 1, "ignored": 1}
    assert [(one.route, one.provider_id, one.state) for one in app.taken] == [("svc", "m-1", "delivered")]


async def test_nothing_to_take_is_fine(client: CLIENT, app: App) -> None:
    assert (await post(client, [])).status == 200
    assert not app.taken


async def test_who_does_not_sign_is_not_let_in(client: CLIENT, app: App) -> None:
    await problem(await post(client, [{"id": "m-1", "state": "delivered"}], webhook_signature="v1,bm8="), "invalid-signature")
    await problem(await post(client, [], webhook_timestamp="1"), "invalid-signature")
    assert not app.taken


@pytest.mark.parametrize("route", ["nobody", "deaf", "magic-rest"])
async def test_routes_that_have_no_receipts(client: CLIENT, route: str) -> None:
    await problem(await post(client, [], route=route), "not-found")


async def test_too_many_and_too_much(client: CLIENT) -> None:
    await problem(await post(client, [{}] * 1001), "invalid-json")
    await problem(await post(client, "x" * 2_100_000), "too-large")
    await problem(await post(client, [], Content_Type="text/plain"), "unsupported-media-type")


async def test_who_is_not_told_so_sends_again(client: CLIENT, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "ACK_TIMEOUT", 0.01)
    for answer in (OSError("down"), None):
        app.answer = answer
        refused = await post(client, [{"id": "m-1", "state": "delivered"}])
        await problem(refused, "unavailable")
        assert refused.headers["Retry-After"] == "5"
    app.ready = False
    await problem(await post(client, []), "unavailable")
