"""Strict reading of what a client sends (SMPP 3.4, chapter 4), and the receipts it gets."""

import struct
import time
from functools import lru_cache
from typing import Literal, NamedTuple

from aiosmpplib.state import SmppCommandStatus as Status

Alphabet = Literal["gsm0338", "ucs2"]
Form = Literal["text", "tlv", "both"]

_ALPHABETS: dict[int, tuple[Alphabet, bool]] = {
    0x00: ("gsm0338", False),
    0x08: ("ucs2", False),
    0x10: ("gsm0338", True),
    0x18: ("ucs2", True),
    0xF0: ("gsm0338", True),
}
_STATES = {"ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "ACCEPTD": 6, "UNKNOWN": 7, "REJECTD": 8}
_ALPHANUMERIC = 5
_DEST_ADDR_SUBUNIT = 0x0005


class Violation(Exception):
    """The PDU breaks a rule of the protocol; ``status`` is the answer to it."""

    def __init__(self, status: Status, rule: str) -> None:
        super().__init__(rule)
        self.status = status


class Part(NamedTuple):
    """One submitted short message. ``text`` is encoded and without header; ``reference`` and the rest are its header's."""

    source: str
    destination: str
    alphabet: Alphabet
    flash: bool
    text: bytes
    registered: bool
    reference: int = 0
    number: int = 1
    total: int = 1


class _Reader:
    """Takes fields off a PDU body and complains about each that is not as it must be."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def c_octets(self, field: str, size: int, status: Status) -> str:
        end = self._body.find(0, self._at, self._at + size)
        if end < 0:
            raise Violation(status, f"{field}: no end within {size} octets")
        value = self._body[self._at : end]
        self._at = end + 1
        if not value.isascii():
            raise Violation(status, f"{field}: not ASCII")
        return value.decode()

    def octets(self, count: int) -> bytes:
        value = self._body[self._at : self._at + count]
        self._at += count
        if len(value) < count:
            raise Violation(Status.ESME_RINVCMDLEN, "the PDU ends inside a field")
        return value

    def tlvs(self) -> dict[int, bytes]:
        found = {}
        while self._at < len(self._body):
            try:
                tag, length = struct.unpack("!HH", self.octets(4))
                found[tag] = self.octets(length)
            except Violation:
                raise Violation(Status.ESME_RINVOPTPARSTREAM, "an optional parameter is cut off") from None
        return found


def bind_request(body: bytes) -> tuple[str, str]:
    """System id and password of a bind (4.1). :class:`Violation` if it is malformed."""
    reader = _Reader(body)
    system_id = reader.c_octets("system_id", 16, Status.ESME_RINVSYSID)
    password = reader.c_octets("password", 9, Status.ESME_RINVPASWD)
    reader.c_octets("system_type", 13, Status.ESME_RINVSYSTYP)
    reader.octets(3)
    reader.c_octets("address_range", 41, Status.ESME_RBINDFAIL)
    return system_id, password


def submit_sm(body: bytes) -> Part:
    """The short message in a submit_sm. :class:`Violation` if anything about it is wrong."""
    reader = _Reader(body)
    reader.c_octets("service_type", 6, Status.ESME_RINVSERTYP)
    ton, _ = reader.octets(2)
    source = reader.c_octets("source_addr", 21, Status.ESME_RINVSRCADR)
    reader.octets(2)
    destination = reader.c_octets("destination_addr", 21, Status.ESME_RINVDSTADR)
    esm_class, _, _ = reader.octets(3)
    for field in ("schedule_delivery_time", "validity_period"):
        if len(reader.c_octets(field, 17, Status.ESME_RINVSCHED)) not in (0, 16):
            raise Violation(Status.ESME_RINVSCHED, f"{field}: neither empty nor 16 characters")
    registered, _, data_coding, _, length = reader.octets(5)
    data = reader.octets(length)
    options = reader.tlvs()
    if not destination.isdigit():
        raise Violation(Status.ESME_RINVDSTADR, "destination_addr: not digits")
    if (len(source) > 11) if ton == _ALPHANUMERIC else not source.isdigit():
        raise Violation(Status.ESME_RINVSRCADR, "source_addr: not of its type of number")
    if data_coding not in _ALPHABETS:
        raise Violation(Status.ESME_RUNKNOWNERR, f"data_coding {data_coding:#x}")
    alphabet, flash = _ALPHABETS[data_coding]
    text, reference, number, total = _concatenation(data) if esm_class & 0x40 else (data, 0, 1, 1)
    _check_size(alphabet, len(data) - len(text), text)
    shown = flash or options.get(_DEST_ADDR_SUBUNIT) == b"\x01"
    return Part(source, destination, alphabet, shown, text, bool(registered & 3), reference, number, total)


def _concatenation(data: bytes) -> tuple[bytes, int, int, int]:
    """Text, reference, number and total of a part with header (3GPP TS 23.040, 9.2.3.24)."""
    match data[:3]:
        case b"\x05\x00\x03":
            reference, size = data[3], 6
        case b"\x06\x08\x04":
            reference, size = int.from_bytes(data[3:5]), 7
        case _:
            raise Violation(Status.ESME_RINVESMCLASS, "UDHI is set, but there is no concatenation header")
    if len(data) <= size:
        raise Violation(Status.ESME_RINVMSGLEN, "a part without text")
    total, number = data[size - 2 : size]
    if not 1 <= number <= total:
        raise Violation(Status.ESME_RINVESMCLASS, f"part {number} of {total}")
    return data[size:], reference, number, total


def _check_size(alphabet: Alphabet, header: int, text: bytes) -> None:
    """What is in the air has at most 140 octets, and no part ends inside a character."""
    if alphabet == "ucs2":
        whole = len(text) % 2 == 0 and not (text and text[-2] & 0xFC == 0xD8)
        air = header + len(text)
    else:
        whole = not text.endswith(b"\x1b") and text.isascii()
        air = -(-(-(-header * 8 // 7) + len(text)) * 7 // 8)
    if not whole:
        raise Violation(Status.ESME_RINVMSGLEN, "the text ends inside a character, or has none of its alphabet")
    if air > 140:
        raise Violation(Status.ESME_RINVMSGLEN, f"{air} octets")


class Receipt(NamedTuple):
    """What to report of a part that was taken."""

    message_id: int
    part: Part
    state: str
    account: str = ""
    """Whose message it is: it goes to binds of the same system_id, or to any if nobody says."""


@lru_cache(maxsize=1)
def _date(minute: int) -> str:
    """``YYMMDDhhmm`` of a minute since 1970."""
    return time.strftime("%y%m%d%H%M", time.gmtime(minute * 60))


def deliver_sm(receipt: Receipt, form: Form) -> bytes:
    """A deliver_sm with the receipt as text (appendix B), as optional parameters, or as both."""
    part, state = receipt.part, receipt.state
    text = b""
    if form != "tlv":
        date = _date(int(time.time()) // 60)
        error, done = ("000", "001") if state == "DELIVRD" else ("001", "000")
        text = (
            f"id:{receipt.message_id} sub:001 dlvrd:{done} submit date:{date} done date:{date} stat:{state} err:{error} text:".encode()
            + part.text[:20]
        )
    options = b""
    if form != "text":
        named = str(receipt.message_id).encode() + b"\0"
        options = struct.pack("!HH", 0x001E, len(named)) + named + struct.pack("!HHB", 0x0427, 1, _STATES[state])
    addresses = b"\0\1\1" + part.destination.encode() + b"\0\0\0" + part.source.encode() + b"\0"
    return b"".join((addresses, b"\x04\0\0\0\0\0\0\0\0", bytes([len(text)]), text, options))
