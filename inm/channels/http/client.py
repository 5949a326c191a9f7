"""Calls to the outside that nobody can turn against the inside: every address is looked at when it is connected to."""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from errno import EACCES
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohappyeyeballs import start_connection
from yarl import URL

from inm.core.networks import Network, permitted

MOST_READ = 64 * 1024
"""Bytes of an answer that are read; the rest is left."""
KEEP_ALIVE = 2.0
"""Seconds that an idle connection is kept: less than servers do, for what is written into one that they close is lost without a word."""


class NotSentError(Exception):
    """Nothing was written: it is safe to call again. ``refused``: a certificate or our own rules forbid it, and no call will help."""

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused


class NoAnswerError(Exception):
    """It was written, or may have been, and nobody knows what became of it."""


class ForbiddenError(OSError):
    """The address is on a private network that is not allowed."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, its headers, and as much of its body as is read."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """A pool of connections. It follows no redirects, keeps no cookies and believes no proxy settings. Lives on one event loop."""

    def __init__(
        self, networks: Sequence[Network] = (), *, connections: int = 20, connect_timeout: float = 5.0, tls: ssl.SSLContext | None = None
    ) -> None:
        """``networks`` are private ones that may be called nevertheless; ``connect_timeout`` in seconds, with TLS."""
        self._networks = tuple(networks)
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_timeout)
        self._connect_timeout = connect_timeout
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def call(self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None, limit: float) -> Reply:
        """The answer, within ``limit`` seconds. :class:`NotSentError`, :class:`NoAnswerError`."""
        progress = SimpleNamespace(written=False)
        end = asyncio.get_running_loop().time() + limit
        try:
            async with asyncio.timeout_at(end):
                answer = await self._open().request(
                    method, url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=progress, timeout=self._timeout
                )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            words = f"{type(error).__name__}: {error}"
            if progress.written:
                raise NoAnswerError(words) from error
            raise NotSentError(words, refused=_is_refusal(error)) from error
        async with answer:
            return Reply(answer.status, answer.headers, await _read(answer, end))

    async def probe(self, url: URL) -> None:
        """Connect and hang up. :class:`NotSentError` if that does not work."""
        assert url.host
        assert url.port
        try:
            async with asyncio.timeout(self._connect_timeout):
                found = await asyncio.get_running_loop().getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
                sock = await start_connection(found, happy_eyeballs_delay=0.25, socket_factory=self._socket)
                sock.close()
        except (OSError, TimeoutError, UnicodeError) as error:
            raise NotSentError(f"{type(error).__name__}: {error}", refused=_is_refusal(error)) from error

    async def close(self) -> None:
        """Disconnect."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._connections, keepalive_timeout=KEEP_ALIVE, socket_factory=self._socket, ssl=self._tls or True
            )  # fmt: skip
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_note_written)
            self._session = aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[trace],
                headers={"User-Agent": "INM", "Accept-Encoding": "identity"},
                auto_decompress=False,
            )
        return self._session

    def _socket(self, found: Any) -> socket.socket:
        """A socket for an address that a name was resolved to, or that stood in the URL: what passes here is what is connected to."""
        family, kind, protocol, _, place = found
        address = ip_address(str(place[0]).partition("%")[0])
        if not permitted(address, self._networks):
            raise ForbiddenError(EACCES, f"{address} is on a private network that is not allowed")
        return socket.socket(family, kind, protocol)


async def _note_written(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: aiohttp.TraceRequestHeadersSentParams) -> None:
    context.trace_request_ctx.written = True


async def _read(answer: aiohttp.ClientResponse, end: float) -> bytes:
    """The body, up to the limit and the end of time. The status stands, also if the body never ends as it should."""
    body = bytearray()
    try:
        async with asyncio.timeout_at(end):
            async for piece in answer.content.iter_any():
                body += piece
                if len(body) > MOST_READ:
                    answer.close()
                    break
    except (aiohttp.ClientError, TimeoutError, OSError):
        answer.close()
    return bytes(body[:MOST_READ])


def _is_refusal(error: BaseException) -> bool:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return isinstance(cause, ForbiddenError | ssl.SSLError | ssl.CertificateError) or isinstance(
        error, aiohttp.ClientSSLError | aiohttp.InvalidURL | ValueError
    )
