"""All binds of a route: they share a queue, a pace and the handling of receipts, and come back when lost."""

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from inm.channels.base import Receipts
from inm.channels.smpp import receipts as receipt
from inm.channels.smpp import wire
from inm.channels.smpp.account import Account
from inm.channels.smpp.codes import NOT_SENT, TOO_SLOW
from inm.channels.smpp.link import Count, Link, Refused
from inm.channels.smpp.pace import Pace
from inm.channels.smpp.queue import Message, Queue
from inm.core.records import Lane, Receipt
from inm.core.results import Answer, Result

log = logging.getLogger(__name__)

_SWEEP = 0.2
_CONNECT = 10.0
"""Seconds for connection, TLS and bind together."""
_BACKOFF_FIRST, _BACKOFF_LAST, _STABLE = 0.5, 30.0, 10.0
"""Seconds until a lost bind is tried again, doubling; from the start again only after a life of ``_STABLE``."""
_WAIT = 10.0
"""Seconds that a message waits in the queue of a route that is up."""
_DRAIN, _UNBIND = 5.0, 1.0
_TEMPORARY = 0x0000_0064
"""ESME_RX_T_APPN: the SMSC delivers the receipt again later."""


class Endpoint(NamedTuple):
    """Where an SMSC listens."""

    host: str
    port: int


class Session:
    """Submits messages and takes receipts over one transceiver to each of ``endpoints``, one of which may be there several times.

    Lives on the event loop on which it is opened. ``name`` is the route's; ``patience`` is how many
    seconds a message waits while no bind is up.
    """

    def __init__(
        self,
        name: str,
        endpoints: Sequence[Endpoint],
        account: Account,
        pace: Pace,
        *,
        patience: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.queue = Queue()
        self.pace = pace
        self.counts: Counter[Count] = Counter()
        self._name = name
        self._endpoints = endpoints
        self._account = account
        self._patience = patience
        self._tls = tls
        self._links: list[Link] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._handovers: set[asyncio.Task[None]] = set()
        self._receipts: Receipts | None = None
        self._fault = NOT_SENT
        self._down_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._closing = False
        self._drained = asyncio.Event()

    @property
    def up(self) -> bool:
        """Whether a bind is up."""
        return any(link.bound for link in self._links)

    def open(self, receipts: Receipts) -> None:
        """Begin to connect; ``receipts`` takes what the SMSC reports."""
        self._receipts = receipts
        loop = asyncio.get_running_loop()
        self._down_since = loop.time()
        self._keepers = [loop.create_task(self._keep(endpoint)) for endpoint in self._endpoints]
        self._sweep()

    async def submit(self, messages: Sequence[tuple[Sequence[bytes], Lane, Callable[[Answer], None]]]) -> list[Answer]:
        """Submit messages, each the bodies of its submit_sm, its lane and who is told if it is accepted late; one answer each, in order.

        When cancelled, what was not written is not submitted.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        waiting = []
        for bodies, lane, late in messages:
            message = Message(bodies, lane, now, loop.create_future(), late)
            waiting.append(message)
            if self._closing:
                message.settle_all(NOT_SENT)
            else:
                self.queue.put(message)
        self._pump()
        try:
            for message in waiting:
                await message.settled
        except asyncio.CancelledError:
            # Nobody will hear of them any more, so what is not written yet must not be.
            for message in waiting:
                message.settled.cancel()
            self.queue.drop_cancelled()
            raise
        return [message.answer() for message in waiting]

    def release(self) -> None:
        """Give back what was not begun."""
        self._give_up(float("inf"), TOO_SLOW)

    async def close(self) -> None:
        """Give back what was not written, wait for the answers to what was, unbind."""
        self._closing = True
        for link in self._links:
            link.closing = True
        self._give_up(float("inf"), NOT_SENT)
        self._drained.clear()
        self.settled()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._drained.wait(), _DRAIN)
        if self._handovers:
            await asyncio.wait(self._handovers, timeout=_DRAIN)
        links = list(self._links)
        for link in links:
            if link.bound:
                link.unbind()
        ends = [link.lost for link in links]
        if ends:
            await asyncio.wait(ends, timeout=_UNBIND)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, *ends, return_exceptions=True)
        for timer in (self._timer, self._sweeper):
            if timer is not None:
                timer.cancel()
        self._give_up(float("inf"), NOT_SENT)

    # what the links need

    def pump_later(self, seconds: float) -> None:
        """Pump all links when the pace allows the next part."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._pump)

    def settled(self) -> None:
        """Note that something under way has ended."""
        if self._closing and all(link.idle for link in self._links):
            self._drained.set()

    def deliver(self, link: Link, requests: list[wire.Pdu]) -> None:
        """Answer the deliver_sm that came at once: receipts when they are durable, everything else now."""
        at = time.time_ns() // 1_000_000
        found: list[Receipt] = []
        sequences: list[int] = []
        done = bytearray()
        for request in requests:
            taken = self._read(request, at)
            if taken is None:
                done += wire.pdu(wire.DELIVER_SM_RESP, request.sequence, b"\0")
            else:
                found.append(taken)
                sequences.append(request.sequence)
        if done:
            link.write(bytes(done))
        if found:
            task = asyncio.get_running_loop().create_task(self._hand_over(link, found, sequences))
            self._handovers.add(task)
            task.add_done_callback(self._handovers.discard)

    def _read(self, request: wire.Pdu, at: int) -> Receipt | None:
        try:
            deliver = wire.deliver_sm(request.body)
            if not receipt.is_receipt(deliver):
                self.counts["mobile-originated"] += 1
                return None
            report = receipt.read(deliver)
        except (ValueError, IndexError):
            report = None
        if report is None:
            # A refusal would only bring it back, or end the bind.
            self.counts["unreadable"] += 1
            log.warning("%s: a deliver_sm could not be read", self._name)
            return None
        return Receipt(self._name, receipt.receipt_id(report.provider_id), report.state, at, report.reason, report.code, report.word)

    async def _hand_over(self, link: Link, found: list[Receipt], sequences: list[int]) -> None:
        assert self._receipts is not None
        status = 0
        try:
            await self._receipts(found)
            self.counts["receipts"] += len(found)
        except Exception:
            log.exception("%s: %d receipts could not be taken over; the SMSC will repeat them", self._name, len(found))
            status = _TEMPORARY
        link.write(b"".join(wire.pdu(wire.DELIVER_SM_RESP, sequence, b"\0", status) for sequence in sequences))

    # the binds

    def _pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for link in self._links:
            link.pump()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for link in self._links:
            link.sweep(now)
        if self.up:
            self._down_since = now
            self._give_up(now - _WAIT, TOO_SLOW)
        elif now - self._down_since >= self._patience:
            self._give_up(now - self._patience, self._fault)
        self.settled()
        self._sweeper = loop.call_later(_SWEEP, self._sweep)

    def _give_up(self, since: float, answer: Answer) -> None:
        for message in self.queue.older_than(since):
            message.settle_all(answer)

    async def _keep(self, endpoint: Endpoint) -> None:
        """Keep one bind up until cancelled."""
        delay = _BACKOFF_FIRST
        while not self._closing:
            began = time.monotonic()
            await self._live(endpoint)
            if time.monotonic() - began >= _STABLE:
                delay = _BACKOFF_FIRST
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 (so that workers do not come back all at once)
            delay = min(delay * 2, _BACKOFF_LAST)

    async def _live(self, endpoint: Endpoint) -> None:
        """One connection, from connect to its end."""
        link = Link(self, self._account)
        try:
            async with asyncio.timeout(_CONNECT):
                await asyncio.get_running_loop().create_connection(lambda: link, endpoint.host, endpoint.port, ssl=self._tls)
                self._links.append(link)
                await link.bind()
            self.counts["binds"] += 1
            self._fault = NOT_SENT
            log.info("%s: bound to %s:%d", self._name, *endpoint)
            link.pump()
            await link.lost
            if not self._closing:
                self.counts["lost"] += 1
                log.warning("%s: lost the bind to %s:%d", self._name, *endpoint)
        except Refused as refused:
            self._fault = refused.answer
            log.warning("%s: %s:%d refused the bind: %s", self._name, *endpoint, refused)
        except ssl.SSLError as error:
            self._fault = Answer(Result.ROUTE_FAULT, reason="route-refused", text=error.reason)
            log.warning("%s: no TLS with %s:%d: %s", self._name, *endpoint, error.reason)
        except (OSError, TimeoutError, UnicodeError) as error:
            log.warning("%s: no connection to %s:%d: %s", self._name, *endpoint, str(error) or "timed out")
        except Exception:
            log.exception("%s: the bind to %s:%d ended by a defect", self._name, *endpoint)
        finally:
            link.abort()
            if link in self._links:
                self._links.remove(link)
