"""Signing in by an OpenID provider: authorization code with PKCE, state and nonce (OpenID Connect Core 1.0, section 3.1; RFC 7636)."""

import hmac
import logging
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from secrets import token_urlsafe
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import msgspec
from aiohttp import hdrs, web
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from msgspec import Struct
from yarl import URL

from inm.console.route import PREFIX, Route, get
from inm.console.visit import Visit
from inm.core import sessions
from inm.core.audit import Entry
from inm.core.documents import Account
from inm.settings.console import Oidc as Provider
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.console.console import Console

log = logging.getLogger("inm.console")

COOKIE = "inm_oidc"
PATIENCE = 600
"""Seconds for signing in at the provider."""
LEEWAY = 60
"""Seconds by which the provider's clock may differ from ours."""
ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
"""With which ID tokens may be signed: none that a client's secret, or nothing at all, would do for."""
KEPT = 3600.0
"""Seconds for which what a provider says of itself, and its keys, are gone by."""
AGAIN = 60.0
"""Seconds before its keys are asked for again because of one that is not known."""
TIMEOUT = aiohttp.ClientTimeout(total=10)
LARGEST = 256 * 1024


class Discovery(Struct, frozen=True):
    """What is needed of a provider's metadata."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class Begun(Struct, frozen=True, array_like=True):
    """A sign-in under way, in a cookie of its own."""

    provider: int
    state: str
    nonce: str
    verifier: str
    next: str
    at: int


class _Tokens(Struct, frozen=True):
    id_token: str


class Refused(Exception):
    """Why somebody was not let in; for the audit trail and the log."""


class Oidc:
    """The handlers."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._known: dict[str, tuple[float, Any]] = {}

    def routes(self) -> list[Route]:
        return [get("/oidc/callback", None, self.callback), get("/oidc/{number}", None, self.begin)]

    async def begin(self, visit: Visit) -> web.StreamResponse:
        """To the provider."""
        number = visit.request.match_info["number"]
        providers = self._console.settings.oidc
        if not number.isdecimal() or int(number) >= len(providers):
            raise Problem("not-found")
        provider = providers[int(number)]
        try:
            found = await self._discovery(provider)
        except Refused as refused:
            raise self._down(visit, refused) from refused
        state, nonce, verifier = (token_urlsafe(32) for _ in range(3))
        begun = Begun(int(number), state, nonce, verifier, visit.query("next", 1000), visit.now)
        query = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": self._back,
            "scope": provider.scope,
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": urlsafe_b64encode(sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        response = web.Response(status=303, headers={hdrs.LOCATION: str(URL(found.authorization_endpoint).update_query(query))})
        sealed = sessions.seal(self._console.secret, "oidc", msgspec.json.encode(begun).decode())
        self._console.set_cookie(response, COOKIE, sealed, max_age=PATIENCE)
        return response

    async def callback(self, visit: Visit) -> web.StreamResponse:
        """Back from it: the code is worth an ID token, and that names an account, or nobody comes in."""
        begun = self._begun(visit)
        provider = self._console.settings.oidc[begun.provider]
        try:
            account = await self._who(visit, provider, begun)
        except Refused as refused:
            log.warning("a sign-in by %s was refused: %s", provider.issuer, refused)
            entry = Entry(uuid4().hex, visit.now, provider.tenant, "", "sign-in-refused", why=str(refused), address=visit.request.remote)
            self._console.note(entry)
            words = visit.gettext("The provider did not say who you are, or there is no account for you here.")
            response: web.StreamResponse = self._console.sign_in.page(visit, provider.tenant, "", begun.next, words, 401)
        else:
            response = self._console.sign_in.begin(visit, account, begun.next)
        response.del_cookie(COOKIE, path=PREFIX)
        return response

    def _begun(self, visit: Visit) -> Begun:
        text = sessions.unseal(self._console.secret, "oidc", visit.request.cookies.get(COOKIE, "."))
        begun = msgspec.json.decode(text, type=Begun) if text is not None else None
        late = begun is None or visit.now - begun.at > PATIENCE * 1000
        if begun is None or late or not hmac.compare_digest(begun.state.encode(), visit.query("state").encode()):
            raise Problem("forbidden", visit.gettext("This sign-in was not begun here, or too long ago. Begin it again."))
        return begun

    async def _who(self, visit: Visit, provider: Provider, begun: Begun) -> Account:
        if visit.query("error"):
            raise Refused(f"it says {visit.query('error', 100)!r}")
        if visit.query("iss") not in ("", provider.issuer):
            raise Refused("the answer is of another issuer")
        claims = await self._claims(provider, begun, visit.query("code", 4000), visit.now // 1000)
        identity = claims.get(provider.claim)
        if not isinstance(identity, str) or not identity:
            raise Refused(f"the ID token has no {provider.claim}")
        if provider.claim == "email" and claims.get("email_verified") is False:
            raise Refused("the e-mail address is not verified")
        book = visit.app.catalogue.book(provider.tenant)
        found = [account for account in book.accounts.values() if account.identity == identity] if book else []
        if len(found) != 1 or found[0].disabled:
            raise Refused("no account, a disabled one or several have this identity")
        return found[0]

    async def _claims(self, provider: Provider, begun: Begun, code: str, now: int) -> dict[str, Any]:
        """The claims of the ID token that the code is worth. :class:`Refused` if it is not as it has to be."""
        found = await self._discovery(provider)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._back, "code_verifier": begun.verifier}
        secret = self._console.settings.secrets.get(provider.issuer)
        # of the ways to show the secret, the one that every provider must know (RFC 6749, section 2.3.1)
        shown = aiohttp.encode_basic_auth(quote(provider.client_id, safe=""), quote(secret, safe="")) if secret else None
        form |= {} if secret else {"client_id": provider.client_id}
        answer = await self._fetch("POST", found.token_endpoint, form, {hdrs.AUTHORIZATION: shown} if shown else {})
        try:
            tokens = msgspec.json.decode(answer, type=_Tokens)
            token = await self._verified(found, tokens.id_token)
            registry = jwt.JWTClaimsRegistry(
                now=lambda: now,
                leeway=LEEWAY,
                iss={"essential": True, "value": provider.issuer},
                aud={"essential": True, "value": provider.client_id},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": begun.nonce},
                sub={"essential": True},
            )
            registry.validate(token.claims)
        except (JoseError, msgspec.DecodeError, ValueError) as error:
            raise Refused(f"the ID token is not good: {error}") from error
        several = isinstance(token.claims["aud"], list) and len(token.claims["aud"]) > 1
        if token.claims.get("azp", None if several else provider.client_id) != provider.client_id:
            raise Refused("the ID token was made for another client")
        claims: dict[str, Any] = token.claims
        return claims

    async def _verified(self, found: Discovery, token: str) -> jwt.Token:
        """The token, if one of the provider's keys has signed it; one that is not known may be new."""
        place = found.jwks_uri
        try:
            return jwt.decode(token, KeySet.import_key_set(await self._json(place, dict[str, Any])), ALGORITHMS)
        except (JoseError, ValueError):
            if monotonic() - self._known[place][0] < AGAIN:
                raise
            del self._known[place]
            return jwt.decode(token, KeySet.import_key_set(await self._json(place, dict[str, Any])), ALGORITHMS)

    async def _discovery(self, provider: Provider) -> Discovery:
        found: Discovery = await self._json(f"{provider.issuer}/.well-known/openid-configuration", Discovery)
        if found.issuer.rstrip("/") != provider.issuer:
            raise Refused(f"it calls itself {found.issuer}")
        return found

    async def _json(self, url: str, kind: Any) -> Any:
        known = self._known.get(url)
        if known is None or monotonic() - known[0] > KEPT:
            try:
                known = self._known[url] = (monotonic(), msgspec.json.decode(await self._fetch("GET", url), type=kind))
            except msgspec.DecodeError as error:
                raise Refused(f"{url}: {error}") from error
        return known[1]

    async def _fetch(self, method: str, url: str, form: Any = None, headers: Mapping[str, str] | None = None) -> bytes:
        client = self._console.app.http_client
        try:
            async with client.request(method, url, data=form, headers=headers, timeout=TIMEOUT, allow_redirects=False) as answer:
                content = bytearray()
                async for chunk in answer.content.iter_any():
                    content += chunk
                    if len(content) > LARGEST:
                        raise Refused(f"{url} answers more than {LARGEST} bytes")
                if answer.status != 200:
                    raise Refused(f"{url} answers {answer.status}")
                return bytes(content)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Refused(f"{url} cannot be asked: {error!r}") from error

    @property
    def _back(self) -> str:
        return f"{self._console.settings.url}{PREFIX}/oidc/callback"

    def _down(self, visit: Visit, refused: Refused) -> Problem:
        log.warning("an OpenID provider cannot be used: %s", refused)
        return Problem("unavailable", visit.gettext("The provider cannot be asked now."), headers={"Retry-After": "30"})
