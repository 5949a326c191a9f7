"""The books of the demo's SMTP server."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec


@dataclass(frozen=True, slots=True)
class Received:
    """One message taken with 250."""

    queue_id: str
    message_id: str
    sender: str
    recipient: str
    subject: str
    size: int
    """Octets, with CRLF, after undoing doubled dots."""
    at: float
    """Seconds since 1970."""
    content: bytes = field(repr=False)


class Ledger:
    """What was taken, in order."""

    def __init__(self, file: Path | None = None) -> None:
        self.mails: list[Received] = []
        self._file = file.open("ab", buffering=0) if file else None

    def add(self, mail: Received) -> None:
        """Book a message, and write it to the file (a JSON object a line, without its content)."""
        self.mails.append(mail)
        if self._file:
            row = {name: value for name, value in asdict(mail).items() if name != "content"}
            self._file.write(msgspec.json.encode(row) + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    @property
    def count(self) -> int:
        """Messages taken, duplicates included."""
        return len(self.mails)

    @property
    def duplicates(self) -> dict[str, int]:
        """Message-IDs that came more than once for one recipient, and how often."""
        times = Counter((mail.message_id, mail.recipient) for mail in self.mails)
        return {message_id: n for (message_id, _), n in times.items() if n > 1}
