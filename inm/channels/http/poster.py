"""Posts callbacks: signed, to where their documents say, and never into a private network that the tenant's list has not."""

import time
from collections.abc import Mapping

from yarl import URL

from inm.channels.http import codes
from inm.channels.http.client import Client, NoAnswerError, NotSentError
from inm.core import networks, webhooks
from inm.core.callbacks import Callback, Letter, Tried, content
from inm.core.networks import Network

TIMEOUT = 15.0
"""Seconds that an endpoint may take to answer: the lower end of what Standard Webhooks recommends."""
UNLIMITED = 0
"""Connections: each endpoint has its bound, and with a common one those that do not answer would hold up the others."""


class Poster:
    """Posts letters. Lives on one event loop. ``environment`` holds the secrets."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._clients: dict[tuple[Network, ...], Client] = {}

    async def post(self, callback: Callback, allowed: tuple[Network, ...], letter: Letter) -> Tried:
        """One attempt. Raises nothing for what the endpoint does."""
        objection = networks.objection(callback.url, allowed)
        if objection:
            return Tried("failed", f"the URL {objection}")
        try:
            keys = [webhooks.secret(text) for text in self._environment.get(callback.secret_env, "").split()]
        except ValueError as error:
            return Tried("failed", f"the variable {callback.secret_env} {error}")
        if not keys:
            return Tried("failed", f"the variable {callback.secret_env} is not set")
        body = content(letter)
        headers = webhooks.headers(keys, letter.id, int(time.time()), body) | {"Content-Type": "application/json"}
        try:
            reply = await self._client(allowed).call("POST", URL(callback.url), headers, body, TIMEOUT)
        except (NotSentError, NoAnswerError) as error:
            return Tried("failed", str(error)[: codes.TEXT_LIMIT])
        if reply.status // 100 == 2:
            return Tried("taken")
        rest = codes.retry_after(reply.headers.get("Retry-After"), time.time())
        return Tried("gone" if reply.status == 410 else "failed", f"HTTP status {reply.status}", rest)

    async def close(self) -> None:
        """Disconnect."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    def _client(self, allowed: tuple[Network, ...]) -> Client:
        """One for each list: a connection that one tenant may have is not another's."""
        if allowed not in self._clients:
            self._clients[allowed] = Client(allowed, connections=UNLIMITED)
        return self._clients[allowed]
