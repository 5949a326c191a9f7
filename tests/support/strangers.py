"""Providers that others wrote: jsmpp's SMSC simulator, and aiosmtpd with a handler of its own."""

import asyncio
import re
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler

from inm.demo import java
from inm.demo.child import Child
from inm.demo.ports import free_ports
from tests.support.tap import until

JSMPP = "org.jsmpp:jsmpp-examples:3.0.1"
SUBMIT_SM = 4
GSM7 = {0x02: "$", 0x04: "è", 0x00: "@"}
"""Where it differs from ASCII, as far as the texts here need it (3GPP TS 23.038, 6.2.1)."""


class Jsmpp:
    """Takes system id ``inm`` and password ``secret``; ids are hexadecimal in answers and decimal in receipts."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "jsmpp.log"
        (self.port,) = free_ports(1)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        names = {"jsmpp.simulator.port": self.port, "jsmpp.client.systemId": "inm", "jsmpp.client.password": "secret"}
        names["org.slf4j.simpleLogger.defaultLogLevel"] = "debug"
        jvm = ["-Xmx128m", *(f"-D{name}={value}" for name, value in names.items())]
        command = await asyncio.to_thread(java.command, JSMPP, "org.jsmpp.examples.SMPPServerSimulator", jvm=jvm)
        child = Child(command, self.log)
        try:
            await until(lambda: "Listening" in self.log.read_text(errors="replace"))
            yield
        finally:
            await asyncio.to_thread(child.stop)

    def texts(self) -> dict[str, list[str]]:
        """The messages by destination, put together from the octets that jsmpp says it received."""
        whole: dict[tuple[str, bytes], dict[int, str]] = defaultdict(dict)
        for line in re.findall(r"Received PDU ([0-9a-f]+)", self.log.read_text(errors="replace")):
            pdu = bytes.fromhex(line)
            if struct.unpack_from(">II", pdu)[1] == SUBMIT_SM:
                destination, reference, number, text = _read(pdu)
                assert number not in whole[destination, reference], f"part {number} came twice"
                whole[destination, reference][number] = text
        found: dict[str, list[str]] = defaultdict(list)
        for (destination, _), parts in whole.items():
            found[destination].append("".join(parts[number] for number in sorted(parts)))
        return found


def _read(pdu: bytes) -> tuple[str, bytes, int, str]:
    """Destination, concatenation reference (the sequence number if it is not concatenated), part, text (SMPP 3.4, 4.4.1)."""
    _service, rest = pdu[16:].split(b"\0", 1)
    _source, rest = rest[2:].split(b"\0", 1)
    destination, rest = rest[2:].split(b"\0", 1)
    esm_class, (_schedule, _validity, after) = rest[0], rest[3:].split(b"\0", 2)
    coding, length = after[2], after[4]
    data = after[5 : 5 + length]
    reference, number = pdu[12:16], 1
    if esm_class & 0x40:
        header, data = data[1 : 1 + data[0]], data[1 + data[0] :]
        reference, number = header[2:-2], header[-1]
    text = data.decode("utf-16-be") if coding == 8 else "".join(GSM7.get(octet, chr(octet)) for octet in data)
    return destination.decode(), reference, number, text


class Mailbox(MessageHandler):
    """aiosmtpd's own handler for parsed messages."""

    def __init__(self) -> None:
        super().__init__(message_class=EmailMessage)
        self.mails: list[EmailMessage] = []

    def handle_message(self, message: Message) -> None:
        self.mails.append(message_from_bytes(message.as_bytes(), policy=policy.default))


@contextmanager
def stock_smtp() -> Iterator[tuple[int, Mailbox]]:
    """Stock aiosmtpd in a thread of its own: its port and its box."""
    (port,) = free_ports(1)
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=port, ready_timeout=10)
    controller.start()
    try:
        yield port, box
    finally:
        controller.stop()
