"""PDUs as octets (SMPP 3.4, chapters 3 to 5).

What we write is byte for byte what aiosmpplib writes (a test compares them), only faster. What we
read is read leniently: one odd field of one SMSC must not cost the bind and all that is in flight.
"""

from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from aiosmpplib.protocol import BindTransceiver
from aiosmpplib.state import NPI, TON, SmppCommand, SmppCommandStatus

from inm.core.sms import Encoding

BIND_TRANSCEIVER = int(SmppCommand.BIND_TRANSCEIVER)
BIND_TRANSCEIVER_RESP = int(SmppCommand.BIND_TRANSCEIVER_RESP)
SUBMIT_SM = int(SmppCommand.SUBMIT_SM)
SUBMIT_SM_RESP = int(SmppCommand.SUBMIT_SM_RESP)
DELIVER_SM = int(SmppCommand.DELIVER_SM)
DELIVER_SM_RESP = int(SmppCommand.DELIVER_SM_RESP)
ENQUIRE_LINK = int(SmppCommand.ENQUIRE_LINK)
ENQUIRE_LINK_RESP = int(SmppCommand.ENQUIRE_LINK_RESP)
UNBIND = int(SmppCommand.UNBIND)
UNBIND_RESP = int(SmppCommand.UNBIND_RESP)
GENERIC_NACK = int(SmppCommand.GENERIC_NACK)
UNKNOWN_COMMAND = int(SmppCommandStatus.ESME_RINVCMDID)
RESPONSE = 0x8000_0000
"""The bit that makes a command id an answer (5.1.2.1)."""

HEADER = Struct("!IIII")
"""Length of the whole PDU, command id, command status, sequence number (3.2)."""
MAX_LENGTH = 0x1_0000 + 1024
"""Longer than the longest possible payload (message_payload, 64 KiB): what claims more is no PDU."""
LAST_SEQUENCE = 0x7FFF_FFFF

_TLV = Struct("!HH")
_DATA_CODING: dict[Encoding, int] = {"gsm7": 0x00, "ucs2": 0x08}
_UDHI = 0x40
_REGISTERED_DELIVERY = 0x01
# dest_addr_subunit = MS display (5.3.2.1): flash for either alphabet, inside SMPP 3.4.
_FLASH = _TLV.pack(0x0005, 1) + b"\x01"


class Garbage(Exception):
    """The stream does not hold PDUs: there is no way to find the next one."""


class Pdu(NamedTuple):
    """One PDU as it came; ``status`` may be any number and ``command`` one we do not know."""

    command: int
    status: int
    sequence: int
    body: bytes


def pdus(data: bytes) -> tuple[list[Pdu], bytes]:
    """The whole PDUs at the start of ``data``, and what is left of it. :class:`Garbage` if a length is impossible."""
    found = []
    start, end = 0, len(data)
    while end - start >= HEADER.size:
        length, command, status, sequence = HEADER.unpack_from(data, start)
        if not HEADER.size <= length <= MAX_LENGTH:
            raise Garbage(f"a PDU of {length} octets")
        if end - start < length:
            break
        found.append(Pdu(command, status, sequence, data[start + HEADER.size : start + length]))
        start += length
    return found, data[start:]


def pdu(command: int, sequence: int, body: bytes = b"", status: int = 0) -> bytes:
    """One PDU with its header."""
    return HEADER.pack(HEADER.size + len(body), command, status, sequence) + body


def bind_transceiver(sequence: int, system_id: str, password: str, system_type: str) -> bytes:
    """``ValueError`` if a field is longer than 4.1.5 allows: 15, 8 and 12 characters."""
    request = BindTransceiver(sequence_num=sequence, system_id=system_id, password=password, system_type=system_type)
    return bytes(request.pdu())


@lru_cache(maxsize=4096)
def source(sender: str, ton: int | None, npi: int | None) -> bytes:
    """Service type and source address. TON and NPI follow the form of the sender where they are ``None``.

    Letters: alphanumeric; a plus or more than 8 digits: international; fewer: a short code, which is
    network specific (5.2.5, 5.2.6). ``ValueError`` if the sender does not fit (at most 20 ASCII characters).
    """
    number = sender.removeprefix("+")
    if not (number.isascii() and number.isprintable() and 0 < len(number) <= 20):
        raise ValueError(f"a sender has 1 to 20 printable ASCII characters, not {sender!r}")
    if not number.isdigit():
        kind, plan = TON.ALPHANUMERIC, NPI.UNKNOWN
    elif sender != number or len(number) > 8:
        kind, plan = TON.INTERNATIONAL, NPI.ISDN
    else:
        kind, plan = TON.NETWORK_SPECIFIC, NPI.UNKNOWN
    return bytes([0, kind if ton is None else ton, plan if npi is None else npi]) + number.encode() + b"\0"


def _settings(encoding: Encoding, headed: bool) -> bytes:
    """esm_class, protocol_id, priority_flag, two empty times, registered_delivery, replace_if_present, data_coding, default id."""
    return bytes([_UDHI if headed else 0, 0, 0, 0, 0, _REGISTERED_DELIVERY, 0, _DATA_CODING[encoding], 0])


_SETTINGS = {(encoding, headed): _settings(encoding, headed) for encoding in _DATA_CODING for headed in (False, True)}


def submit_sm(source: bytes, to: str, encoding: Encoding, data: bytes, *, headed: bool, flash: bool) -> bytes:
    """The body of a submit_sm (4.4.1) with a receipt asked for.

    ``source`` comes from :func:`source`, ``to`` is E.164 digits without plus, ``data`` begins with a
    user data header if ``headed``.
    """
    body = b"".join((source, b"\x01\x01", to.encode(), b"\0", _SETTINGS[encoding, headed], bytes((len(data),)), data))
    return body + _FLASH if flash else body


class Deliver(NamedTuple):
    """What matters of a deliver_sm (4.6.1). ``data`` is the short message or else the message_payload."""

    esm_class: int
    data_coding: int
    data: bytes
    tlvs: dict[int, bytes]


MESSAGE_PAYLOAD = 0x0424


def deliver_sm(body: bytes) -> Deliver:
    """``ValueError`` or ``IndexError`` if the mandatory fields are not all there; broken TLVs are left out."""
    at = body.index(0) + 1
    at = body.index(0, at + 2) + 1
    at = body.index(0, at + 2) + 1
    esm_class = body[at]
    at = body.index(0, at + 3) + 1
    at = body.index(0, at) + 1
    data_coding, length = body[at + 2], body[at + 4]
    end = at + 5 + length
    options = tlvs(body, end) if end < len(body) else {}
    return Deliver(esm_class, data_coding, body[at + 5 : end] or options.get(MESSAGE_PAYLOAD, b""), options)


def tlvs(body: bytes, at: int) -> dict[int, bytes]:
    """Optional parameters from ``at`` on, by tag (5.3); reading ends at the first that is cut off."""
    found: dict[int, bytes] = {}
    while at + _TLV.size <= len(body):
        tag, length = _TLV.unpack_from(body, at)
        at += _TLV.size + length
        if at > len(body):
            break
        found[tag] = body[at - length : at]
    return found


def c_octets(data: bytes) -> str:
    """A C-octet string at the start of ``data``; a missing end is forgiven."""
    return data.split(b"\0", 1)[0].decode("latin-1")
