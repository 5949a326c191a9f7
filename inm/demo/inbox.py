"""A customer's system that takes messages by HTTP and reports on them, keeps books of what it took, and misbehaves as it is told.

``python -m inm.demo.inbox --port 8081 --receipts http://127.0.0.1:6066/v1/receipts/inbox-1`` runs it alone.
"""

import asyncio
import logging
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import aiohttp
import click
import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from inm.core import webhooks
from inm.core.records import ReceiptState

log = logging.getLogger("inm.demo.inbox")

SECRET = "whsec_aW5ib3gtb2YtdGhlLWRlbW8tbm8tc2VjcmV0"
"""What is posted, to it and by it, is signed with this unless it is given another."""
RECEIPT_TRIES = 20
RECEIPT_PAUSE = 0.5
"""How often a receipt is posted that nobody takes, and how many seconds lie between."""

Fault = Literal["silence", "close", "garbage", "endless", "redirect"]
"""After a message was taken: no answer, a closed connection, nonsense, an answer without end. Instead of taking it: a redirect."""


class Message(Struct, forbid_unknown_fields=True):
    """The body that a message must have: as INM sends it unless the route says otherwise."""

    id: Annotated[str, Meta(min_length=1)]
    to: Annotated[str, Meta(min_length=1)]
    sender: str
    text: Annotated[str, Meta(min_length=1)]
    title: str | None
    data: dict[str, str]
    language: str
    tenant: str
    scenario: str
    expires: int


@dataclass(frozen=True, slots=True)
class Received:
    """A message that was taken. ``at`` in seconds since 1970."""

    message: Message
    at: float


@dataclass(slots=True)
class Behaviour:
    """What the system does; may be changed while it runs and holds from the next message on."""

    refuse: Callable[[Message], int | None] = lambda _: None
    """A status instead of 202, or None to take it."""
    fault: Fault | None = None
    delay: float = 0.0
    """Seconds before an answer."""
    retry_after: int | None = None
    """Sent with refusals."""
    receipts: Callable[[Message], tuple[ReceiptState, ...]] = lambda _: ("delivered",)
    """What is reported of a message, one after the other."""
    receipt_delay: float = 0.1


@dataclass(slots=True)
class Ledger:
    """What was taken, in order, also a message that came again; and what was not."""

    taken: list[Received] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    reported: Counter[str] = field(default_factory=Counter)
    """Receipts that were taken, by state."""
    lost: int = 0
    """Receipts that nobody took."""

    @property
    def duplicates(self) -> dict[str, int]:
        """Ids that were taken more than once, and how often."""
        times = Counter(received.message.id for received in self.taken)
        return {name: count for name, count in times.items() if count > 1}


class Inbox:
    """The system: ``start`` it, look into its ``ledger``, change its ``behaviour``, ``stop`` it. Lives on one event loop."""

    def __init__(self, *, port: int = 0, secret: str = SECRET) -> None:
        """``port`` 0 takes a free one."""
        self.port = port
        self.secret = secret
        self.behaviour = Behaviour()
        self.ledger = Ledger()
        self.receipt_urls: list[str] = []
        """Where receipts are posted to: to one after the other until they are taken, and to nobody if there is none."""
        self._key = webhooks.secret(secret)
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where messages are posted to."""
        return f"http://127.0.0.1:{self.port}/messages"

    async def start(self) -> None:
        """Listen on the loopback interface, on the same port each time."""
        app = web.Application()
        app.router.add_post("/messages", self._post)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5), trust_env=False)

    async def stop(self) -> None:
        """Hang up, listen no more, and forget receipts that were not taken."""
        if self._runner is None or self._session is None:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()
        await self._runner.cleanup()
        await self._session.close()
        self._runner = self._session = None

    async def report(self, name: str, *states: ReceiptState) -> None:
        """Post receipts of a message until they are taken, or nobody wants them."""
        items = [{"id": name, "state": state, "at": time.time()} for state in states]
        body = msgspec.json.encode(items)
        assert self._session
        for number in range(RECEIPT_TRIES):
            headers = webhooks.headers([self._key], f"{name}.{number}", int(time.time()), body) | {"Content-Type": "application/json"}
            try:
                url = self.receipt_urls[number % len(self.receipt_urls)]
                async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                    if answer.ok:
                        self.ledger.reported.update(states)
                        return
                    log.warning("a receipt was answered %d: %s", answer.status, await answer.text())
            except (aiohttp.ClientError, TimeoutError) as error:
                log.warning("a receipt could not be posted: %r", error)
            await asyncio.sleep(RECEIPT_PAUSE)
        self.ledger.lost += len(states)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            name = webhooks.verify(self._key, request.headers, body, int(time.time()))
            message = msgspec.json.decode(body, type=Message)
        except webhooks.SignatureError as error:
            return self._refuse(401, str(error))
        except msgspec.DecodeError as error:
            return self._refuse(400, str(error))
        if request.content_type != "application/json" or name != message.id:
            return self._refuse(400, "the content type or the id is another one")
        status = self.behaviour.refuse(message)
        if status is not None:
            return self._refuse(status, "not for this recipient")
        if self.behaviour.fault == "redirect":
            raise web.HTTPTemporaryRedirect("http://169.254.169.254/")
        return await self._take(request, message)

    async def _take(self, request: web.Request, message: Message) -> web.StreamResponse:
        self.ledger.taken.append(Received(message, time.time()))
        states = self.behaviour.receipts(message)
        if self.receipt_urls and states:
            self._spawn(self._report(message.id, states))
        await asyncio.sleep(self.behaviour.delay)
        fault = self.behaviour.fault
        if fault in _FAULTS:
            return await _FAULTS[fault](request)
        return web.json_response({"id": message.id}, status=202)

    async def _report(self, name: str, states: tuple[ReceiptState, ...]) -> None:
        for state in states:
            await asyncio.sleep(self.behaviour.receipt_delay)
            await self.report(name, state)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refuse(self, status: int, words: str) -> web.Response:
        self.ledger.refused[status] += 1
        after = self.behaviour.retry_after
        return web.Response(status=status, text=words, headers={} if after is None else {"Retry-After": str(after)})


async def _silence(_: web.Request) -> web.StreamResponse:
    response: web.StreamResponse = await asyncio.get_running_loop().create_future()
    return response


async def _close(request: web.Request) -> web.StreamResponse:
    assert request.transport
    request.transport.abort()
    return web.Response()


async def _garbage(request: web.Request) -> web.StreamResponse:
    assert isinstance(request.transport, asyncio.Transport)
    request.transport.write("¿Qué?\r\n\r\n".encode())
    return await _close(request)


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=202)
    await response.prepare(request)
    while True:
        await response.write(b" " * 65536)


_FAULTS: Mapping[str | None, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
    "silence": _silence,
    "close": _close,
    "garbage": _garbage,
    "endless": _endless,
}


async def serve(port: int, secret: str, receipts: str | None) -> None:
    """Run a system until SIGINT or SIGTERM."""
    inbox = Inbox(port=port, secret=secret)
    inbox.receipt_urls += [receipts] if receipts else []
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    await inbox.start()
    click.echo(inbox.url)
    await stopped.wait()
    await inbox.stop()
    click.echo(f"{len(inbox.ledger.taken)} messages, {len(inbox.ledger.duplicates)} of them more than once", err=True)


@click.command()
@click.option("--port", default=8081, show_default=True, help="Port on 127.0.0.1; 0 takes a free one. The URL is printed.")
@click.option("--secret", envvar="INM_INBOX_SECRET", default=SECRET, help="What both sides sign with.")
@click.option("--receipts", help="Where to post receipts: http://127.0.0.1:6066/v1/receipts/inbox-1")
def main(port: int, secret: str, receipts: str | None) -> None:
    """Take messages over HTTP and report on them."""
    asyncio.run(serve(port, secret, receipts))


if __name__ == "__main__":
    main()
