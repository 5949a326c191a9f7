"""SMS text: which alphabet, how many parts, and the user data of each (3GPP TS 23.038 and 23.040)."""

import re
from codecs import charmap_encode
from typing import Literal, NamedTuple
from zlib import crc32

from aiosmpplib.codec import GSM_BASIC_DECODE_MAP, GSM_EXTENDED_DECODE_MAP

Encoding = Literal["gsm7", "ucs2"]

MAX_PARTS = 255
"""The total in a concatenation header is one octet (TS 23.040, 9.2.3.24.1)."""

ESCAPE = 0x1B
_GSM7_CODES = {ord(char): bytes([code]) for code, char in GSM_BASIC_DECODE_MAP.items()} | {
    ord(char): bytes([ESCAPE, code]) for code, char in GSM_EXTENDED_DECODE_MAP.items()
}
_fits_gsm7 = re.compile("[" + re.escape("".join(map(chr, _GSM7_CODES))) + "]*").fullmatch
_same_as_ascii = re.compile(r"[\n\r !\"#%-?A-Za-z]*").fullmatch
"""Most texts: where the two alphabets agree, and the fastest of all encoders will do."""


class Segments(NamedTuple):
    """How a text travels: its alphabet and its number of parts."""

    encoding: Encoding
    parts: int


class UserData(NamedTuple):
    """A text ready to be submitted: one item of ``parts`` a short message, with header if there are several."""

    encoding: Encoding
    parts: list[bytes]


class _Alphabet(NamedTuple):
    """Sizes in octets as SMPP carries them: a septet fills an octet, a UCS-2 unit two."""

    encoding: Encoding
    single: int
    narrow: int
    """Beside a header of 6 octets, which has an 8-bit reference."""
    wide: int
    """Beside a header of 7 octets, which has a 16-bit reference."""
    unit: int


# 140 octets hold 160 septets or 70 units; 134 hold 153 or 67; 133 hold 152 or 66.
_GSM7 = _Alphabet("gsm7", 160, 153, 152, 1)
_SHORT = _GSM7.single // 2
"""Characters that a single message holds even if each of them takes two septets."""
_UCS2 = _Alphabet("ucs2", 140, 134, 132, 2)


def segment(text: str) -> Segments:
    """Alphabet and number of parts of ``text``, as providers bill them: 160/153 septets or 70/67 UCS-2 units."""
    if len(text) <= _SHORT and _fits_gsm7(text):  # as a rule
        return Segments("gsm7", 1)
    alphabet, octets = _encode(text)
    if len(octets) <= alphabet.single:
        return Segments(alphabet.encoding, 1)
    return Segments(alphabet.encoding, len(_split(octets, alphabet.narrow, alphabet.unit)))


def foreign(text: str) -> str:
    """The characters that GSM-7 has not, each once: they make a text UCS-2."""
    return "".join(dict.fromkeys(character for character in text if ord(character) not in _GSM7_CODES))


def user_data(text: str, reference: int) -> UserData:
    """The short messages that carry ``text``; ``reference`` (16 bits) joins them.

    The 16-bit form of the header leaves room for one septet or unit less. Where that would cost
    another part, the 8-bit form is used, so that there are never more parts than :func:`segment` counts.
    ``ValueError`` above :data:`MAX_PARTS`.
    """
    alphabet, octets = _encode(text)
    if len(octets) <= alphabet.single:
        return UserData(alphabet.encoding, [octets])
    narrow = _split(octets, alphabet.narrow, alphabet.unit)
    wide = _split(octets, alphabet.wide, alphabet.unit)
    total = len(narrow)
    if total > MAX_PARTS:
        raise ValueError(f"the text needs {total} parts, at most {MAX_PARTS} can be joined")
    if len(wide) == total:
        head = bytes([6, 0x08, 4, reference >> 8 & 0xFF, reference & 0xFF, total])
    else:
        head, wide = bytes([5, 0x00, 3, reference & 0xFF, total]), narrow
    return UserData(alphabet.encoding, [head + bytes([number]) + piece for number, piece in enumerate(wide, 1)])


def reference(delivery: str) -> int:
    """The 16-bit concatenation reference of a delivery id: a resend of the same delivery has the same one."""
    return crc32(delivery.encode()) & 0xFFFF


def _encode(text: str) -> tuple[_Alphabet, bytes]:
    if _same_as_ascii(text):
        return _GSM7, text.encode("ascii")
    if _fits_gsm7(text):
        return _GSM7, charmap_encode(text, "strict", _GSM7_CODES)[0]
    return _UCS2, text.encode("utf-16-be", "replace")


def _split(octets: bytes, room: int, unit: int) -> list[bytes]:
    """Pieces of at most ``room`` octets that end neither in an escape nor between two surrogates."""
    pieces = []
    start = 0
    while start + room < len(octets):
        end = start + room
        last = octets[end - unit]
        if last == ESCAPE if unit == 1 else last & 0xFC == 0xD8:
            end -= unit
        pieces.append(octets[start:end])
        start = end
    return [*pieces, octets[start:]]
