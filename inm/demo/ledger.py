"""The books of a chaos run: what was sent, what became of it, and what a provider has twice."""

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from time import monotonic
from typing import Any

import msgspec

from inm.core.edr import Edr
from inm.demo.census import Census
from inm.demo.smsc import Smsc
from inm.demo.smsc.pdus import Part
from inm.demo.smtp import SmtpServer

_decode = msgspec.json.Decoder(Edr).decode


class Books:
    """Every part that the SMSC takes, with its id and time. Made before the traffic begins."""

    def __init__(self, smsc: Smsc) -> None:
        self.ids: dict[tuple[str, bytes, int], list[str]] = defaultdict(list)
        self.times: list[float] = []
        self._take: Callable[[Part], int] = smsc.take
        smsc.take = self._book  # type: ignore[method-assign]

    def _book(self, part: Part) -> int:
        provider_id = self._take(part)
        self.ids[part.destination, part.text, part.number].append(str(provider_id))
        self.times.append(monotonic())
        return provider_id

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

    def explain(self, ids: list[str]) -> bool:
        """Whether the notification that one of these provider ids is of says that it may have been submitted before."""
        return any(self.notifications.get(provider_id) in self.marked for provider_id in ids)


def doubles(books: Books, smtp: SmtpServer, marks: Marks) -> tuple[int, int]:
    """Extra copies at the providers, and how many of them are explained."""
    total = explained = 0
    for ids in books.ids.values():
        if len(ids) > 1:
            total += len(ids) - 1
            explained += (len(ids) - 1) * marks.explain(ids)
    mails: dict[tuple[str, str], list[str]] = defaultdict(list)
    for mail in smtp.ledger.mails:
        mails[mail.recipient, mail.subject].append(mail.message_id)
    for message_ids in mails.values():
        if len(message_ids) > 1:
            total += len(message_ids) - 1
            notification = message_ids[0].strip("<").partition("@")[0].rsplit(".", 2)[0]
            explained += (len(message_ids) - 1) * (notification in marks.marked)
    return total, explained


def report(
    census: Census, books: Books, smtp: SmtpServer, marks: Marks, dead: dict[str, int], faults: list[dict[str, Any]]
) -> dict[str, Any]:
    """The ledger of a run."""
    double, explained = doubles(books, smtp, marks)
    return {
        "sent": len(census.requested),
        "final": dict(census.final),
        "missing": len(census.requested) - census.ended,
        "double": double,
        "double_explained": explained,
        "double_ends": census.double_ends,
        "repeated_edrs": census.repeated_records,
        "dead_letters": dead,
        "longest_gap_s": max((fault["gap_s"] for fault in faults), default=0.0),
        "faults": faults,
    }
