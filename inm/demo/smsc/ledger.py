"""What the SMSC accepted, and what it counted."""

from codecs import charmap_decode
from collections import Counter, OrderedDict, deque
from typing import Any, NamedTuple

from aiosmpplib.codec import find_codec_info

from inm.demo.smsc.pdus import Alphabet, Part


class Sms(NamedTuple):
    """One whole message as the handset shows it."""

    source: str
    destination: str
    text: str
    parts: int
    flash: bool
    alphabet: Alphabet


class Ledger:
    """Counts of everything accepted; of whole messages the last ``keep`` with their text."""

    def __init__(self, keep: int = 10_000, open_at_most: int = 100_000) -> None:
        self.parts = 0
        self.messages = 0
        self.duplicates = 0
        """Whole messages with the same destination and text as an earlier one."""
        self.duplicate_parts = 0
        """Parts of a message under way that came twice."""
        self.last: deque[Sms] = deque(maxlen=keep)
        self.violations: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self.most_unanswered = 0
        """Submits without answer at one time on one bind."""
        self.receipts_sent = 0
        self.receipts_taken = 0
        self._texts: Counter[int] = Counter()
        self._open: OrderedDict[tuple[str, str, int, int], dict[int, Part]] = OrderedDict()
        self._open_at_most = open_at_most

    def add(self, part: Part) -> None:
        """Note an accepted part."""
        self.parts += 1
        if part.total == 1:
            self._complete([part])
            return
        key = (part.source, part.destination, part.reference, part.total)
        parts = self._open.setdefault(key, {})
        self.duplicate_parts += part.number in parts
        parts[part.number] = part
        if len(parts) == part.total:
            del self._open[key]
            self._complete([parts[number] for number in sorted(parts)])
        elif len(self._open) > self._open_at_most:
            self._open.popitem(last=False)

    def copies(self, destination: str, text: str) -> int:
        """How often ``destination`` got this very text."""
        return self._texts[hash((destination, text))]

    @property
    def incomplete(self) -> int:
        """Messages of which parts are missing."""
        return len(self._open)

    def summary(self) -> dict[str, Any]:
        """All counts, for a report."""
        names = ("parts", "messages", "duplicates", "duplicate_parts", "incomplete", "receipts_sent", "receipts_taken")
        counts = {name: getattr(self, name) for name in names}
        return counts | {"violations": dict(self.violations), "refused": {f"{code:#x}": n for code, n in self.refused.items()}}

    def _complete(self, parts: list[Part]) -> None:
        first = parts[0]
        text = _decode(first.alphabet, first.text if len(parts) == 1 else b"".join([part.text for part in parts]))
        copy = hash((first.destination, text))
        self._texts[copy] += 1
        self.messages += 1
        self.duplicates += self._texts[copy] > 1
        self.last.append(Sms(first.source, first.destination, text, len(parts), first.flash, first.alphabet))


_decode_gsm = find_codec_info("gsm0338").decode
_ESCAPE = b"\x1b"
_EXTENSION = [_ESCAPE + character.encode() for character in "\x0a\x14()/<=>@e"]
"""Form feed, ^ { } \\ [ ~ ] | and the euro sign."""
_TABLE = "".join(_decode_gsm(octets, "replace")[0] for octets in [*(bytes([septet]) for septet in range(128)), *_EXTENSION])
"""The alphabet and its extension for Python's own decoder: aiosmpplib takes a character at a time."""


def _decode(alphabet: Alphabet, text: bytes) -> str:
    if alphabet == "gsm0338":
        octets = text
        if _ESCAPE in octets:
            for place, pair in enumerate(_EXTENSION, 128):
                octets = octets.replace(pair, bytes([place]))
        if _ESCAPE not in octets:
            return charmap_decode(octets, "replace", _TABLE)[0]
    return str(find_codec_info(alphabet).decode(text, "replace")[0])
