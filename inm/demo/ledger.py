"""The books of a chaos run: what was sent, what became of it, and what a provider has twice."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from time import monotonic
from types import TracebackType
from typing import Any, Self

import msgspec

from inm.core.edr import Edr
from inm.demo.mails import Received
from inm.demo.run import Run
from inm.demo.smsc import Smsc
from inm.demo.smsc.pdus import Part
from inm.demo.smtp import SmtpServer

_decode = msgspec.json.Decoder(Edr).decode


class Books:
    """``with Books(smsc, smtp) as books``: what providers take meanwhile, whole messages with the ids of their parts, and when."""

    def __init__(self, smsc: Smsc, smtp: SmtpServer) -> None:
        self.messages: dict[tuple[str, bytes], list[list[str]]] = defaultdict(list)
        self.times: list[float] = []
        self._open: dict[tuple[str, int, int], dict[int, tuple[bytes, str]]] = defaultdict(dict)
        self._smsc = smsc
        self._smtp = smtp
        self._earlier = smtp.ledger.count
        self._take: Callable[[Part], int] = smsc.take

    def __enter__(self) -> Self:
        self._smsc.take = self._book  # type: ignore[method-assign]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._smsc.take = self._take  # type: ignore[method-assign, assignment]

    def _book(self, part: Part) -> int:
        provider_id = self._take(part)
        self.times.append(monotonic())
        parts = self._open[part.destination, part.reference, part.total]
        parts[part.number] = (part.text, str(provider_id))
        if len(parts) >= part.total:
            del self._open[part.destination, part.reference, part.total]
            whole = [parts[number] for number in sorted(parts)]
            self.messages[part.destination, b"".join(text for text, _ in whole)].append([name for _, name in whole])
        return provider_id

    @property
    def mails(self) -> list[Received]:
        """Every mail that the server took meanwhile."""
        return self._smtp.ledger.mails[self._earlier :]

    def longest_gap(self, since: float, until: float) -> float:
        """Seconds in which nothing was taken, at most, between two times of the monotonic clock."""
        times = [since, *(at for at in self.times if since < at < until), until]
        return max(later - earlier for earlier, later in pairwise(times))


class Marks:
    """What EDRs say of doubtful submits, by notification, and which notification a provider's id is of."""

    def __init__(self) -> None:
        self.marked: set[str] = set()
        self.notifications: dict[str, str] = {}

    def add(self, value: bytes) -> None:
        """Take in an EDR."""
        edr = _decode(value)
        self.notifications.update(dict.fromkeys(edr.provider_ids, edr.notification))
        # retried and unknown: the provider may have had it and not have said so, and the scenario wants it again
        if edr.redelivered or edr.duplicate or edr.event in ("unknown", "retried"):
            self.marked.add(edr.notification)

    def notification(self, ids: list[str]) -> str | None:
        """The notification that one of these provider ids is of."""
        return next((self.notifications[provider_id] for provider_id in ids if provider_id in self.notifications), None)


def doubles(books: Books, marks: Marks) -> Iterator[tuple[str, int, bool]]:
    """What a provider has more than once: its notification (or the provider's ids), the extra copies, whether an EDR tells of it."""
    for copies in books.messages.values():
        if len(copies) > 1:
            ids = [name for copy in copies for name in copy]
            notification = marks.notification(ids)
            yield notification or " ".join(ids), len(copies) - 1, notification in marks.marked
    mails: dict[tuple[str, str], list[str]] = defaultdict(list)
    for mail in books.mails:
        mails[mail.recipient, mail.subject].append(mail.message_id)
    for message_ids in mails.values():
        if len(message_ids) > 1:
            notification = message_ids[0].strip("<").partition("@")[0].rsplit(".", 2)[0]
            yield notification, len(message_ids) - 1, notification in marks.marked


def report(run: Run, books: Books, marks: Marks, faults: list[dict[str, Any]]) -> dict[str, Any]:
    """The ledger of a run."""
    census = run.census
    double = list(doubles(books, marks))
    return {
        "sent": census.expected,
        "final": dict(census.final),
        "missing": census.expected - census.ended,
        "missing_requests": census.missing[:20],
        "double": sum(copies for _, copies, _ in double),
        "double_explained": sum(copies for _, copies, explained in double if explained),
        "unexplained": [notification for notification, _, explained in double if not explained][:20],
        "double_ends": census.double_ends,
        "repeated_edrs": census.repeated_records,
        "dead_letters": dict(run.dead),
        "poison": run.poison.report(),
        "exits": [f"{name}: {code}" for name, code in run.installation.exits],
        "longest_gap_s": max((fault["gap_s"] for fault in faults), default=0.0),
        "faults": faults,
    }


def balanced(found: Mapping[str, Any]) -> bool:
    """Whether a ledger says that nothing is missing, ended twice, or double without an explanation."""
    lost = found["missing"] or found["poison"]["unburied"] or found["poison"]["misread"]
    return not (lost or found["double_ends"] or found["double"] > found["double_explained"])
