"""One bind: a connection, its window, and what became of each part that was written."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol, cast

from inm.channels.smpp import wire
from inm.channels.smpp.account import Account
from inm.channels.smpp.codes import NO_ANSWER, NOT_SENT, refusal
from inm.channels.smpp.pace import Pace
from inm.channels.smpp.queue import Message, Queue
from inm.core.latest import Latest
from inm.core.results import Answer, Result

log = logging.getLogger(__name__)

Count = Literal[
    "binds",  # accepted by the SMSC
    "lost",  # connections that ended without our asking
    "garbage",  # connections ended because no PDU could be found any more
    "throttled",  # parts answered with RTHROTTLED or RMSGQFUL
    "timeouts",  # parts without an answer in time
    "late",  # answers to parts that had been given up
    "receipts",  # taken over
    "unreadable",  # deliver_sm that is broken, or a receipt without id: acknowledged and dropped
    "mobile-originated",  # acknowledged and dropped
]

_GIVEN_UP = 1000
"""Parts of which it is remembered that they were given up: their answers may still come."""

_RETRY_FIRST, _RETRY_LAST = 0.1, 2.0
"""Seconds until a throttled part goes again, doubling."""


class Refused(Exception):
    """The SMSC answered the bind with something else than ESME_ROK."""

    def __init__(self, status: int, overlay: Mapping[int, Result]) -> None:
        answer = refusal(status, overlay)
        super().__init__(answer.text or answer.code)
        self.answer = Answer(Result.ROUTE_FAULT, reason="route-refused", code=answer.code, text=answer.text)


class Owner(Protocol):
    """What a link shares with its siblings."""

    queue: Queue
    pace: Pace
    counts: Counter[Count]

    def deliver(self, link: "Link", requests: list[wire.Pdu]) -> None:
        """Take the deliver_sm that came at once; the owner answers them."""

    def pump_later(self, seconds: float) -> None:
        """Have all links pumped when the pace allows the next part."""

    def settled(self) -> None:
        """Something that was under way has ended."""


class _Flight(NamedTuple):
    """A part, and when it was written."""

    written: float
    message: Message
    part: int
    tries: int


class Link(asyncio.Protocol):
    """One connection, from connect to its end; a new one is made for each."""

    def __init__(self, owner: Owner, account: Account) -> None:
        self._owner = owner
        self._account = account
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._sequence = 0
        self._flights: dict[int, _Flight] = {}
        self._given_up: Latest[int, _Flight] = Latest(_GIVEN_UP)
        self._newest = 0.0
        """When the last one of those that were answered was written."""
        self._backlog: deque[tuple[Message, int, int]] = deque()
        self._later = 0
        self._full = False
        self._heard = self._loop.time()
        self._asked = False
        self._bind_answer: asyncio.Future[int] = self._loop.create_future()
        self.bound = False
        self.closing = False
        self.lost: asyncio.Future[None] = self._loop.create_future()

    # the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        self._heard = self._loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio. What was written has an unknown fate; what waits are the rests of messages begun here."""
        self.bound = False
        flights, self._flights = self._flights, {}
        backlog, self._backlog = self._backlog, deque()
        for flight in flights.values():
            flight.message.settle(flight.part, NO_ANSWER)
        for message, part, _ in backlog:
            message.settle(part, NOT_SENT)
        if not self._bind_answer.done():
            self._bind_answer.set_exception(exc or ConnectionResetError("closed by the SMSC before it answered the bind"))
        if not self.lost.done():
            self.lost.set_result(None)
        self._owner.settled()

    def pause_writing(self) -> None:
        """Called by asyncio: the SMSC reads slower than we write."""
        self._full = True

    def resume_writing(self) -> None:
        """Called by asyncio."""
        self._full = False
        self.pump()

    async def bind(self) -> None:
        """Bind as transceiver. :class:`Refused` or ``OSError`` if that fails."""
        account = self._account
        self.write(wire.bind_transceiver(self._next(), account.system_id, account.password, account.system_type))
        status = await self._bind_answer
        if status:
            raise Refused(status, account.overlay)
        self.bound = True

    def unbind(self) -> None:
        """Say good-bye; the connection ends with the answer."""
        self.write(wire.pdu(wire.UNBIND, self._next()))

    def abort(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def write(self, data: bytes) -> None:
        """Write whole PDUs; nothing happens on a connection that has ended."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # out

    @property
    def idle(self) -> bool:
        """Whether nothing is under way here."""
        return not (self._flights or self._backlog or self._later)

    def pump(self) -> None:
        """Write parts as window, pace and socket allow, all in one go."""
        if not self.bound or self._full:
            return
        owner, account, flights, backlog = self._owner, self._account, self._flights, self._backlog
        now = self._loop.time()
        out: list[bytes] = []
        while len(flights) < account.window and (backlog or (len(owner.queue) and not self.closing)):
            wait = owner.pace.wait(now)
            if wait:
                owner.pump_later(wait)
                break
            if not backlog:
                message = owner.queue.take()
                backlog.extend((message, part, 0) for part in range(len(message.bodies)))
            message, part, tries = backlog.popleft()
            if part == tries == 0:
                message.since = now
            sequence = self._next()
            flights[sequence] = _Flight(now, message, part, tries)
            body = message.bodies[part]
            out += (wire.HEADER.pack(wire.HEADER.size + len(body), wire.SUBMIT_SM, 0, sequence), body)
        if out:
            self.write(b"".join(out))
            owner.pace.wrote(now, self._loop.time())

    def sweep(self, now: float) -> None:
        """Give up parts whose time is over, and find out whether the peer is alive."""
        while self._flights:
            sequence = next(iter(self._flights))
            if self._flights[sequence].written + self._account.submit_timeout > now:
                break
            flight = self._flights.pop(sequence)
            self._owner.counts["timeouts"] += 1
            self._given_up.put(sequence, flight)
            flight.message.settle(flight.part, NO_ANSWER)
        silence = now - self._heard
        if self.bound and silence >= 2 * self._account.enquire_interval:
            log.warning("nothing heard for %.0f s, not even an answer to enquire_link: connection ended", silence)
            self.abort()
        elif self.bound and silence >= self._account.enquire_interval and not self._asked:
            self._asked = True
            self.write(wire.pdu(wire.ENQUIRE_LINK, self._next()))

    def _next(self) -> int:
        self._sequence = self._sequence % wire.LAST_SEQUENCE + 1
        return self._sequence

    # in

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._heard = self._loop.time()
        self._asked = False
        try:
            found, self._rest = wire.pdus(self._rest + data if self._rest else data)
        except wire.Garbage as garbage:
            log.warning("%s: connection ended", garbage)
            self._owner.counts["garbage"] += 1
            self.abort()
            return
        delivers = []
        for pdu in found:
            if pdu.command == wire.SUBMIT_SM_RESP:
                self._answered(pdu)
            elif pdu.command == wire.DELIVER_SM:
                delivers.append(pdu)
            else:
                self._other(pdu)
        if delivers:
            self._owner.deliver(self, delivers)
        self.pump()
        self._owner.settled()

    def _answered(self, pdu: wire.Pdu) -> None:
        """A submit_sm_resp, or a generic_nack in its place."""
        flight = self._flights.pop(pdu.sequence, None)
        if flight is None:
            self._late(pdu)
            return
        self._owner.pace.answered(self._heard, flight.written, overtaken=flight.written < self._newest)
        self._newest = max(self._newest, flight.written)
        if pdu.status == 0 and pdu.command == wire.SUBMIT_SM_RESP:
            self._owner.pace.accepted(self._heard)
            flight.message.settle(flight.part, self._accepted(pdu))
            return
        answer = refusal(pdu.status, self._account.overlay)
        if answer.result is Result.THROTTLED:
            self._throttled(flight, answer)
        else:
            flight.message.settle(flight.part, answer)

    def _accepted(self, pdu: wire.Pdu) -> Answer:
        provider_id = wire.c_octets(pdu.body)
        return Answer(Result.SENT, [self._account.provider_id(provider_id)] if provider_id else [])

    def _late(self, pdu: wire.Pdu) -> None:
        """The answer to a part that was given up. Nobody waits for it; but if it was accepted, receipts will come for it."""
        self._owner.counts["late"] += 1
        flight = self._given_up.pop(pdu.sequence)
        if flight is not None and pdu.status == 0 and pdu.command == wire.SUBMIT_SM_RESP:
            flight.message.accept(flight.part, self._accepted(pdu))

    def _throttled(self, flight: _Flight, answer: Answer) -> None:
        """Slow down, and let the part go again while its message has time: its siblings may be accepted already."""
        self._owner.counts["throttled"] += 1
        self._owner.pace.throttled(self._heard)
        delay = min(_RETRY_FIRST * 2**flight.tries, _RETRY_LAST)
        if self.closing or self._heard + delay > flight.message.since + self._account.submit_timeout:
            flight.message.settle(flight.part, answer)
            return
        self._later += 1
        self._loop.call_later(delay, self._again, flight, answer)

    def _again(self, flight: _Flight, answer: Answer) -> None:
        self._later -= 1
        if self.bound and not self.closing:
            self._backlog.append((flight.message, flight.part, flight.tries + 1))
            self.pump()
        else:
            flight.message.settle(flight.part, answer)
            self._owner.settled()

    def _other(self, pdu: wire.Pdu) -> None:
        match pdu.command:
            case wire.ENQUIRE_LINK:
                self.write(wire.pdu(wire.ENQUIRE_LINK_RESP, pdu.sequence))
            case wire.BIND_TRANSCEIVER_RESP | wire.GENERIC_NACK if not self._bind_answer.done():
                self._bind_answer.set_result(pdu.status)
            case wire.GENERIC_NACK:
                self._answered(pdu)
            case wire.UNBIND:
                # Nothing more may be written; the SMSC closes after our answer, or the sweep ends it.
                self.bound = False
                self.write(wire.pdu(wire.UNBIND_RESP, pdu.sequence))
                self._loop.call_later(1.0, self.abort)
            case wire.UNBIND_RESP:
                self.abort()
            case command if command & wire.RESPONSE:
                pass
            case _:
                self.write(wire.pdu(wire.GENERIC_NACK, pdu.sequence, status=wire.UNKNOWN_COMMAND))
