"""Signing in by an OpenID provider that is not ours."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import pytest

from inm.console.oidc import COOKIE
from inm.demo.ports import free_ports
from inm.settings.console import Console as Settings
from inm.settings.console import Oidc
from tests.support.console import SECRET, Browser, account, audit, served

OLGA = account("acme", "olga", "editor", identity="olga@acme.example")


@pytest.fixture
async def provider() -> AsyncIterator[str]:
    """The issuer of ``oidc-provider-mock``, a program of its own."""
    port = free_ports(1)[0]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"http://127.0.0.1:{port}/.well-known/openid-configuration") as answer:
                        found = await answer.json()
                        break
                except aiohttp.ClientError:
                    assert process.poll() is None
                    await asyncio.sleep(0.05)
        yield str(found["issuer"]).rstrip("/")
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("who", "enters"), [("olga@acme.example", True), ("eve@evil.example", False)])
async def test_who_the_provider_knows_and_we_do_too_comes_in(provider: str, who: str, enters: bool) -> None:
    oidc = Oidc(provider, "inm", "acme", title="Acme's accounts")
    settings = Settings(SECRET, "http://console.example", (oidc,), {provider: "the client's secret"})
    async with served(OLGA, settings=settings) as (client, app, _), aiohttp.ClientSession() as session:
        nobody = Browser(client, app, None)
        assert 'href="/console/oidc/0?next=/console/me"' in (await nobody.get("/sign-in?next=/console/me"))[1]
        status, _, headers = await nobody.get("/oidc/0?next=/console/me")
        assert status == 303
        nobody.headers["Cookie"] = headers["Set-Cookie"].partition(";")[0]
        async with session.post(headers["Location"], data={"sub": who}, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            back = urlsplit(answer.headers["Location"])
        assert f"{back.scheme}://{back.netloc}{back.path}" == "http://console.example/console/oidc/callback"
        status, text, headers = await nobody.get(f"/oidc/callback?{back.query}")
        if not enters:
            assert (status, "no account for you" in text) == (401, True)
            assert audit(app) == ["sign-in-refused"]
            return
        assert (status, headers["Location"]) == (303, "/console/me")
        cookies = headers.getall("Set-Cookie")  # type: ignore[attr-defined]
        assert any(re.match(f'{COOKIE}="";', cookie) for cookie in cookies)
        nobody.headers["Cookie"] = next(cookie for cookie in cookies if cookie.startswith("inm_session")).partition(";")[0]
        assert "olga" in (await nobody.get("/me"))[1]
        assert audit(app) == ["olga signed-in"]
