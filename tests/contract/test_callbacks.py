"""Posts of callbacks: the reference implementation of Standard Webhooks takes them, and what an endpoint may answer."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from inm.channels.http import poster
from inm.channels.http.poster import Poster
from inm.core.callbacks import Callback, Letter, Tried
from inm.core.networks import parse

SECRETS = ["whsec_" + base64.b64encode(text * 24).decode() for text in (b"a", b"b")]
LETTER = Letter("3-abc.1.1.delivered.final", "delivered", 1_795_334_400_000, b'{"schema":1,"to":"+39333","text":"\xc3\xa8"}')
LOOPBACK = parse(["127.0.0.1"])


class Hook:
    """An endpoint; ``answer`` is what it says."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.answer: Any = lambda _: web.Response(status=204)
        self.url = ""

    async def post(self, request: web.Request) -> web.StreamResponse:
        self.posts.append((dict(request.headers), await request.read()))
        response: web.StreamResponse = self.answer(request)
        return response


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    hook = Hook()
    app = web.Application()
    app.router.add_post("/hook", hook.post)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield hook
    await runner.cleanup()


@pytest.fixture
async def posts() -> AsyncIterator[Poster]:
    made = Poster({"ACME_HOOK": f"{SECRETS[0]} {SECRETS[1]}", "ACME_BAD": "no secret"})
    yield made
    await made.close()


def callback(url: str, secret_env: str = "ACME_HOOK") -> Callback:
    return Callback("acme", "crm", url, secret_env)


@pytest.mark.parametrize("secret", SECRETS)
async def test_the_reference_implementation_takes_it(hook: Hook, posts: Poster, secret: str) -> None:
    assert await posts.post(callback(hook.url), LOOPBACK, LETTER) == Tried("taken")
    [(headers, body)] = hook.posts
    assert Webhook(secret).verify(body, headers)["data"] == {"schema": 1, "to": "+39333", "text": "è"}
    assert headers["webhook-id"] == LETTER.id
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "result"),
    [(200, "taken"), (299, "taken"), (301, "failed"), (307, "failed"), (400, "failed"), (410, "gone"), (503, "failed")],
)
async def test_what_a_status_means(hook: Hook, posts: Poster, status: int, result: str) -> None:
    hook.answer = lambda _: web.Response(status=status, headers={"Location": "/hook", "Retry-After": "7"})
    tried = await posts.post(callback(hook.url), LOOPBACK, LETTER)
    assert tried.result == result
    assert tried.rest == (0 if result == "taken" else 7)
    assert len(hook.posts) == 1, "no redirect is followed"


async def test_silence_is_a_failure(hook: Hook, posts: Poster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poster, "TIMEOUT", 0.2)

    def abort(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    hook.answer = abort
    assert (await posts.post(callback(hook.url), LOOPBACK, LETTER)).result == "failed"
    assert (await posts.post(callback("http://127.0.0.1:9/"), LOOPBACK, LETTER)).result == "failed"


async def test_no_way_leads_inside(hook: Hook, posts: Poster) -> None:
    for url in (hook.url, hook.url.replace("127.0.0.1", "localhost"), hook.url.replace("127.0.0.1", "0x7f.1")):
        assert (await posts.post(callback(url), (), LETTER)).result == "failed", url
        tried = await posts.post(callback(url), parse(["10.0.0.0/8"]), LETTER)
        assert "not allowed" in tried.error, "also of a name, which is looked up when it is called"
    assert not hook.posts


@pytest.mark.parametrize(("variable", "words"), [("ACME_BAD", "holds no webhook secret"), ("ACME_NONE", "is not set")])
async def test_without_a_secret_nothing_is_posted(hook: Hook, posts: Poster, variable: str, words: str) -> None:
    tried = await posts.post(callback(hook.url, variable), LOOPBACK, LETTER)
    assert tried.result == "failed"
    assert words in tried.error
    assert "no secret" not in tried.error
    assert not hook.posts
