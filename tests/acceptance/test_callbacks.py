"""Callbacks of a running installation: signed results to who wants them, and one that is dead delays nobody."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiokafka import AIOKafkaProducer
from standardwebhooks import Webhook

from tests.support.asks import Asker
from tests.support.commands import done
from tests.support.lab import Lab
from tests.support.tap import Tap, until

DOCUMENT = """\
kind: callback
tenant: lab
name: {name}
url: {url}
secret_env: LAB_CALLBACK_SECRET
scenarios: [insistent]
"""


class Hook:
    """An endpoint of a producer's; ``status`` is what it answers."""

    def __init__(self, secret: str) -> None:
        self.name = f"hook-{uuid4().hex[:6]}"
        self.status = 204
        self.tried = 0
        self.taken: dict[str, dict[str, Any]] = {}
        self.times = 0
        self._webhook = Webhook(secret)

    async def post(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.tried += 1
        event = self._webhook.verify(body, dict(request.headers))
        if self.status < 300:
            self.times += 1
            self.taken[request.headers["webhook-id"]] = event
        return web.Response(status=self.status)

    def results(self) -> dict[str, str]:
        """What became of requests, by their ids; others' tests may send some without."""
        return {event["data"].get("request_id"): event["type"] for event in self.taken.values()}


@pytest_asyncio.fixture(loop_scope="session")
async def hooks(installation: Lab, tmp_path: Path) -> AsyncIterator[tuple[Hook, Hook]]:
    """Two endpoints, applied and listening."""
    pair = Hook(installation.inbox.secret), Hook(installation.inbox.secret)
    app = web.Application()
    for hook in pair:
        app.router.add_post(f"/{hook.name}", hook.post)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    for hook in pair:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/{hook.name}"
        (tmp_path / f"{hook.name}.yaml").write_text(DOCUMENT.format(name=hook.name, url=url))
    await done(installation, "apply", tmp_path)
    yield pair
    await done(installation, "delete", *(f"lab/callback/{hook.name}" for hook in pair))
    await runner.cleanup()


@pytest.fixture
def asker(tap: Tap, producer: AIOKafkaProducer) -> Asker:
    return Asker(tap, producer)


async def standing(installation: Lab, hook: Hook) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {installation.live_key}"}
    async with aiohttp.ClientSession() as session, session.get(f"{installation.url()}/v1/callbacks/{hook.name}", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def test_results_come_and_who_is_gone_is_told_nothing_until_somebody_wants_it(
    installation: Lab, tap: Tap, asker: Asker, hooks: tuple[Hook, Hook], phone: str
) -> None:
    alive, gone = hooks
    gone.status = 410
    finals = [await asker.ask(phone, text=f"code {number}") for number in range(5)]
    wanted = {final.request_id: "notification.delivered" for final in finals}
    await until(lambda: wanted.items() <= alive.results().items(), what=lambda: (alive.results(), wanted))
    assert alive.times == len(alive.taken)
    assert {final.id for final in finals} <= alive.taken.keys()
    assert json.loads(json.dumps(alive.taken[finals[0].id]["data"]))["to"] == phone

    letter = await tap.letter(f"lab/{gone.name}")
    assert (letter.reason, letter.stage) == ("callback-suspended", "callbacks")
    found = await standing(installation, gone)
    assert (found["state"], found["reason"]) == ("suspended", "gone")
    assert found["waiting"] >= len(finals)
    assert (await standing(installation, alive))["state"] == "working"
    tried, gone.status = gone.tried, 200
    after = await asker.ask(phone, text="and another")
    assert after.event == "delivered", asker.story(after)
    await until(lambda: after.request_id in alive.results())
    assert gone.tried == tried

    await done(installation, "callbacks", "resend", f"lab/{gone.name}", "--since", "1h")
    wanted[after.request_id] = "notification.delivered"
    await until(lambda: wanted.items() <= gone.results().items(), what=lambda: (gone.results(), wanted))
    found = await standing(installation, gone)
    assert found["state"] == "working"


async def test_an_endpoint_that_fails_gets_its_results_when_it_is_back_also_over_a_restart(
    installation: Lab, asker: Asker, hooks: tuple[Hook, Hook], phone: str
) -> None:
    alive, failing = hooks
    failing.status = 500
    first = await asker.ask(phone, text="one")
    await until(lambda: failing.tried >= 1 and first.request_id in alive.results())
    installation.kill_worker("worker-1")
    await installation.start_worker("worker-1")
    failing.status = 204
    await until(lambda: first.request_id in failing.results(), 60)
    assert failing.times == 1
