"""What a provider says is not taken on trust: a strict simulator that lies in every way that the protocol knows."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from inm.console import oidc
from inm.console.console import Console
from inm.settings.console import Console as Settings
from inm.settings.console import Oidc
from inm.streaming.chunks import now_ms
from tests.support.console import SECRET, App, Browser, Client, account, audit, served

KEY = RSAKey.generate_key(2048, {"kid": "1", "alg": "RS256", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "1", "alg": "RS256", "use": "sig"})
NEW = ECKey.generate_key("P-256", {"kid": "2", "alg": "ES256", "use": "sig"})
OLGA = account("acme", "olga", "editor", identity="olga@acme.example")
GONE = account("acme", "gone", "editor", identity="gone@acme.example", disabled=True)


class Simulator:
    """A provider. ``lies`` take the place of what it would say in the ID token; ``sign`` is how it signs."""

    def __init__(self) -> None:
        self.issuer = ""
        self.lies: dict[str, Any] = {}
        self.keys: list[Any] = [KEY]
        self.signer: Any = KEY
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "1"}
        self.metadata: dict[str, Any] = {}
        self.asked: list[dict[str, str]] = []
        self.nonce = ""

    async def discovery(self, _: web.Request) -> web.Response:
        found = {"issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize"}
        return web.json_response(found | {"token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys"} | self.metadata)

    async def jwks(self, _: web.Request) -> web.Response:
        return web.json_response(KeySet(self.keys).as_dict(private=False))

    async def token(self, request: web.Request) -> web.Response:
        self.asked.append({name: str(value) for name, value in (await request.post()).items()} | {"auth": request.headers["Authorization"]})
        now = now_ms() // 1000
        claims = {"iss": self.issuer, "aud": "inm", "sub": "7", "iat": now, "exp": now + 300, "nonce": self.nonce}
        claims = {name: value for name, value in (claims | {"email": "olga@acme.example"} | self.lies).items() if value is not None}
        if self.header["alg"] == "none":
            return web.json_response({"id_token": "eyJhbGciOiJub25lIn0.e30."})
        return web.json_response({"id_token": jwt.encode(self.header, claims, self.signer, [self.header["alg"]])})


Parts = tuple[Client, App, Console, Simulator]


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    simulator = Simulator()
    provider = web.Application()
    provider.router.add_get("/.well-known/openid-configuration", simulator.discovery)
    provider.router.add_get("/keys", simulator.jwks)
    provider.router.add_post("/token", simulator.token)
    async with TestServer(provider) as server:
        simulator.issuer = str(server.make_url("")).rstrip("/")
        settings = Settings(SECRET, "https://console.example", (Oidc(simulator.issuer, "inm", "acme"),), {simulator.issuer: "s&cret"})
        async with served(OLGA, GONE, settings=settings) as (client, app, console):
            yield client, app, console, simulator


async def enter(parts: Parts, state: str | None = None, **query: str) -> tuple[int, str]:
    """Begin, come back with a code, and say what is answered."""
    client, app, _, simulator = parts
    nobody = Browser(client, app, None)
    _, _, headers = await nobody.get("/oidc/0?next=/console/me")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(headers["Location"]).query).items()}
    simulator.nonce = asked["nonce"]
    assert (asked["code_challenge_method"], asked["redirect_uri"]) == ("S256", "https://console.example/console/oidc/callback")
    nobody.headers["Cookie"] = headers["Set-Cookie"].partition(";")[0]
    more = "".join(f"&{name}={value}" for name, value in query.items())
    status, text, headers = await nobody.get(f"/oidc/callback?code=c&state={state or asked['state']}{more}")
    return status, headers.get("Location", text)


async def test_a_good_token_is_a_session(parts: Parts) -> None:
    assert await enter(parts) == (303, "/console/me")
    [asked] = parts[3].asked
    assert (asked["grant_type"], asked["code"]) == ("authorization_code", "c")
    assert len(asked["code_verifier"]) >= 43
    assert asked["auth"].startswith("Basic ")


NOW = now_ms() // 1000
LIES: list[dict[str, Any]] = [
    {"iss": "https://evil.example"}, {"aud": "another"}, {"aud": ["inm", "x"]}, {"azp": "x"}, {"exp": NOW - 3600}, {"exp": None},
    {"iat": None}, {"nonce": "another"}, {"nonce": None}, {"sub": None}, {"email": "eve@evil.example"}, {"email": None}, {"email": 7},
    {"email_verified": False}, {"email": "gone@acme.example"}, {"email": "OLGA@acme.example"},
]  # fmt: skip


@pytest.mark.parametrize("lies", LIES, ids=lambda lies: next(iter(lies)))
async def test_a_token_that_is_wrong_in_one_thing_is_nothing(parts: Parts, lies: dict[str, Any]) -> None:
    parts[3].lies = lies
    status, text = await enter(parts)
    assert (status, "no account for you here" in text) == (401, True)
    assert audit(parts[1]) == ["sign-in-refused"]


async def test_a_signature_that_is_none_of_the_providers_is_nothing(parts: Parts) -> None:
    simulator = parts[3]
    simulator.signer = OTHER
    assert (await enter(parts))[0] == 401
    simulator.header = {"alg": "none"}
    assert (await enter(parts))[0] == 401
    simulator.header, simulator.signer = {"alg": "HS256", "kid": "1"}, OctKey.import_key("k" * 64)
    assert (await enter(parts))[0] == 401


async def test_a_new_key_is_fetched_but_not_all_the_time(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = parts[3]
    assert (await enter(parts))[0] == 303
    simulator.keys, simulator.signer, simulator.header = [KEY, NEW], NEW, {"alg": "ES256", "kid": "2"}
    assert (await enter(parts))[0] == 401
    monkeypatch.setattr(oidc, "AGAIN", 0.0)
    assert (await enter(parts))[0] == 303


async def test_only_what_was_begun_here_is_ended_here(parts: Parts) -> None:
    assert (await enter(parts, state="another"))[0] == 403
    assert (await enter(parts, iss="https://evil.example"))[0] == 401
    assert (await enter(parts, error="access_denied"))[0] == 401
    assert not parts[3].asked
    client, app, _, _ = parts
    assert (await Browser(client, app, None).get("/oidc/callback?code=c&state=s"))[0] == 403
    assert (await Browser(client, app, None).get("/oidc/1"))[0] == 404


async def test_a_provider_that_is_away_or_another_is_said(parts: Parts) -> None:
    client, app, _, simulator = parts
    simulator.metadata = {"issuer": "https://evil.example"}
    assert (await Browser(client, app, None).get("/oidc/0"))[0] == 503
