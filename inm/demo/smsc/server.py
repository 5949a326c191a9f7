"""The server: connections, binds, answers and receipts in their time."""

import asyncio
import heapq
import random
import secrets
import ssl
import struct
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar, cast

from aiosmpplib.state import SmppCommand as Command
from aiosmpplib.state import SmppCommandStatus as Status

from inm.demo.smsc.behaviour import Behaviour, Verdict
from inm.demo.smsc.ledger import Ledger
from inm.demo.smsc.pdus import Form, Part, Receipt, Violation, bind_request, deliver_sm, submit_sm

T = TypeVar("T")

_HEADER = struct.Struct("!IIII")
_RESPONSE = 0x8000_0000
_LONGEST = 70_000
_RECEIPT_WINDOW = 500
"""Receipts without answer on one bind."""
_TICK = 0.005


class Smsc:
    """An SMSC with one account, and more whose names begin with its own. ``port`` 0 takes a free one; ``seed`` fixes what chance does."""

    def __init__(
        self, system_id: str = "inm", password: str = "secret", behaviour: Behaviour | None = None, port: int = 0, seed: int = 1
    ) -> None:
        self.account = (system_id, password)
        self.behaviour = behaviour or Behaviour()
        self.ledger = Ledger()
        self.port = port
        self.binds: list[_Connection] = []
        self.connections: set[_Connection] = set()
        self.binds_accepted = 0
        self.chance = random.Random(seed)
        self._server: asyncio.Server | None = None
        # Not by the seed: a second run on the same cluster would use the first one's ids again.
        self._last_id = secrets.randbelow(10**9) + 10**9
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None
        self._receipts: defaultdict[str, deque[Receipt]] = defaultdict(deque)
        self._second, self._in_second = 0, 0

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen on the loopback interface."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Break every connection and stop listening; what was under way is lost."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
        await self.leave()

    async def leave(self) -> None:
        """Break every connection and stop listening, until :meth:`start`; receipts of what it took are kept, as an SMSC does."""
        if self._server is not None:
            self._server.close()
            self.drop()
            await self._server.wait_closed()

    def drop(self) -> None:
        """Break every connection, as a failing network does."""
        for connection in list(self.connections):
            connection.abort()

    def inject(self, data: bytes) -> None:
        """Write ``data`` to every bind, whatever it is."""
        for bind in self.binds:
            bind.write(data)

    def judge(self, part: Part) -> Verdict:
        """What becomes of a submit."""
        behaviour = self.behaviour
        if behaviour.rate is not None:
            second = int(time.monotonic())
            if second != self._second:
                self._second, self._in_second = second, 0
            self._in_second += 1
            if self._in_second > behaviour.rate:
                return Verdict(Status.ESME_RTHROTTLED)
        return behaviour.decide(part.destination) or Verdict(self._draw(behaviour.errors) or 0, self._draw(behaviour.receipts))

    def take(self, part: Part) -> int:
        """Accept a part; its message id."""
        self.ledger.add(part)
        self._last_id += 1
        return self._last_id

    def report(self, receipt: Receipt) -> None:
        """Send a receipt over the next bind of its account in turn; it waits while there is none."""
        self._receipts[receipt.account].append(receipt)
        self.flush_receipts()

    def flush_receipts(self) -> None:
        """Send what receipts wait, as far as binds have room."""
        for account, waiting in self._receipts.items():
            binds = [bind for bind in self.binds if account in ("", bind.account)] if waiting else []
            while waiting and (free := [bind for bind in binds if len(bind.unanswered) < _RECEIPT_WINDOW]):
                receipt = waiting.popleft()
                free[receipt.message_id % len(free)].report(receipt, self.behaviour.receipt_form)
                self.ledger.receipts_sent += 1

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do ``action`` after ``seconds``; many actions share a timer."""
        if seconds <= 0:
            action()
            return
        loop = asyncio.get_running_loop()
        self._order += 1
        heapq.heappush(self._due, (loop.time() + seconds, self._order, action))
        # A shorter wait than the pending one is at most one tick late: the delays of a run are alike.
        if self._timer is None or self._due[0][1] == self._order:
            self._set_timer(seconds)

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(max(seconds, _TICK), self._tick)

    def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer = None
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        if self._due:
            self._set_timer(self._due[0][0] - now)

    def _draw(self, mix: Mapping[T, float]) -> T | None:
        if not mix:
            return None
        chance = self.chance.random()
        for outcome, probability in mix.items():
            chance -= probability
            if chance < 0:
                return outcome
        return None


class _Connection(asyncio.Protocol):
    """One client of the SMSC."""

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._out: list[bytes] = []
        self._sequence = self._submits = 0
        self.account = ""
        self.unanswered: dict[int, Receipt] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._smsc.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        smsc = self._smsc
        smsc.connections.discard(self)
        if self in smsc.binds:
            smsc.binds.remove(self)
        for receipt in self.unanswered.values():
            smsc.later(smsc.behaviour.redelivery_delay, partial(smsc.report, receipt))

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def write(self, data: bytes) -> None:
        """Write with what else this turn of the loop brings."""
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(data)

    def report(self, receipt: Receipt, form: Form) -> None:
        self._sequence += 1
        self.unanswered[self._sequence] = receipt
        self._send(Command.DELIVER_SM, self._sequence, deliver_sm(receipt, form))

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        start = 0
        while len(data) - start >= _HEADER.size:
            length, command, status, sequence = _HEADER.unpack_from(data, start)
            if not _HEADER.size <= length <= _LONGEST:
                self._smsc.ledger.violations["command_length"] += 1
                self.abort()
                return
            if len(data) - start < length:
                break
            self._handle(command, status, sequence, data[start + _HEADER.size : start + length])
            start += length
        self._rest = data[start:]

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    def _send(self, command: int, sequence: int, body: bytes = b"", status: int = 0) -> None:
        self.write(_HEADER.pack(_HEADER.size + len(body), command, status, sequence) + body)

    def _handle(self, command: int, status: int, sequence: int, body: bytes) -> None:
        try:
            match command:
                case Command.SUBMIT_SM:
                    self._submit(sequence, body)
                case Command.DELIVER_SM_RESP:
                    self._reported(status, sequence)
                case Command.ENQUIRE_LINK:
                    self._send(Command.ENQUIRE_LINK_RESP, sequence)
                case Command.BIND_TRANSCEIVER:
                    self._bind(sequence, body)
                case Command.UNBIND:
                    self._unbind(sequence)
                case _ if not command & _RESPONSE:
                    self._smsc.ledger.violations[f"command {command:#x}"] += 1
                    self._send(Command.GENERIC_NACK, sequence, status=Status.ESME_RINVCMDID)
        except Violation as violation:
            self._smsc.ledger.violations[str(violation)] += 1
            self._smsc.ledger.refused[violation.status] += 1
            self._send(command | _RESPONSE, sequence, status=violation.status)

    def _bind(self, sequence: int, body: bytes) -> None:
        smsc = self._smsc
        if self in smsc.binds:
            raise Violation(Status.ESME_RALYBND, "bind on a bound connection")
        system_id, password = bind_request(body)
        status = smsc.behaviour.refuse_binds
        if not system_id.startswith(smsc.account[0]):  # others with such a name are accounts of their own
            status = Status.ESME_RINVSYSID
        elif password != smsc.account[1]:
            status = Status.ESME_RINVPASWD
        self._send(Command.BIND_TRANSCEIVER_RESP, sequence, b"" if status else b"demo\0", status)
        if not status:
            self.account = system_id
            smsc.binds.append(self)
            smsc.binds_accepted += 1
            smsc.flush_receipts()

    def _unbind(self, sequence: int) -> None:
        if self not in self._smsc.binds:
            raise Violation(Status.ESME_RINVBNDSTS, "unbind on an unbound connection")
        self._smsc.binds.remove(self)
        self._send(Command.UNBIND_RESP, sequence)

    def _submit(self, sequence: int, body: bytes) -> None:
        smsc, behaviour = self._smsc, self._smsc.behaviour
        if self not in smsc.binds:
            raise Violation(Status.ESME_RINVBNDSTS, "submit_sm on an unbound connection")
        part = submit_sm(body)
        status, state, fault = smsc.judge(part)
        if fault == "close":
            self.abort()
            return
        message_id = 0 if status else smsc.take(part)
        if status:
            smsc.ledger.refused[status] += 1
        receipt = Receipt(message_id, part, state, self.account) if message_id and state and part.registered else None
        if receipt and behaviour.receipt_before_answer:
            smsc.report(receipt)
        if fault == "garbage":
            self.write(smsc.chance.randbytes(64))
        elif fault is None:
            written = f"{message_id:x}" if behaviour.ids == "hex" else str(message_id)
            answer = b"" if status else written.encode() + b"\0"
            self._submits += 1
            smsc.ledger.most_unanswered = max(smsc.ledger.most_unanswered, self._submits)
            smsc.later(behaviour.answer_delay, partial(self._answer, sequence, answer, status))
        if receipt and not behaviour.receipt_before_answer:
            for _ in range(behaviour.receipt_copies):
                late = behaviour.receipt_jitter * smsc.chance.random()
                smsc.later(behaviour.answer_delay + behaviour.receipt_delay + late, partial(smsc.report, receipt))

    def _answer(self, sequence: int, body: bytes, status: int) -> None:
        self._submits -= 1
        self._send(Command.SUBMIT_SM_RESP, sequence, body, status)

    def _reported(self, status: int, sequence: int) -> None:
        smsc = self._smsc
        receipt = self.unanswered.pop(sequence, None)
        if receipt is None:
            smsc.ledger.violations["deliver_sm_resp to nothing"] += 1
        elif status:
            smsc.later(smsc.behaviour.redelivery_delay, partial(smsc.report, receipt))
        else:
            smsc.ledger.receipts_taken += 1
            smsc.flush_receipts()
