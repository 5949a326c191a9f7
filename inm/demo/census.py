"""Counts what became of the requests of a run, from the EDR topic alone."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from inm.core.edr import Edr

_decode = msgspec.json.Decoder(Edr).decode


class Census:
    """Feed it every EDR of the run; a record that is there twice (same id) counts once and is told."""

    def __init__(self, run: str) -> None:
        self.run = run
        self._prefix = f"{run}-"
        self.requested: dict[str, int] = {}
        """When each request was sent (ms), by its id."""
        self.crowds: dict[str, int] = {}
        """How many recipients a request has, if it is not one."""
        self.events: Counter[str] = Counter()
        self.final: Counter[str] = Counter()
        self.parts: set[tuple[str | None, str]] = set()
        self.mails = 0
        self.redelivered = 0
        self.repeated_records = 0
        self.latencies: list[int] = []
        self._seen: set[str] = set()
        self._accepted: set[str] = set()
        self._done: Counter[str] = Counter()
        self._ended: dict[str, str] = {}
        self.double_ends = 0

    def add(self, value: bytes) -> None:
        """Count one record; those of other runs are none of ours."""
        edr = _decode(value)
        if not (edr.request_id or "").startswith(self._prefix):
            return
        if edr.id in self._seen:
            self.repeated_records += 1
            return
        self._seen.add(edr.id)
        self.events[edr.event] += 1
        self._accepted.add(edr.notification)
        self.redelivered += edr.redelivered and edr.event == "submitted"
        if edr.channel == "sms":
            self.parts.update((edr.route, provider_id) for provider_id in edr.provider_ids)
        if edr.event == "submitted":
            self._submitted(edr)
        if edr.final:
            again = edr.notification in self._ended
            self.double_ends += again
            self._ended[edr.notification] = edr.id
            self.final[edr.event] += 1
            self._done[edr.request_id or ""] += not again

    def _submitted(self, edr: Edr) -> None:
        self.mails += edr.channel == "email"
        if edr.request_id in self.requested and edr.step == 1 and edr.attempt == 1:
            self.latencies.append(edr.at - self.requested[edr.request_id])

    @property
    def sms_parts(self) -> int:
        """Parts that the SMSC accepted, each with its own id: also those of messages of which another part was refused."""
        return len(self.parts)

    @property
    def accepted(self) -> int:
        return len(self._accepted)

    @property
    def missing(self) -> list[str]:
        """Requests of which a notification has no final EDR."""
        return sorted(name for name in self.requested if self._done[name] < self.crowds.get(name, 1))

    @property
    def expected(self) -> int:
        """How many notifications the requests make."""
        return len(self.requested) - len(self.crowds) + sum(self.crowds.values())

    @property
    def ended(self) -> int:
        return len(self._ended)

    def report(self, *, parts_at_smsc: int, mails_at_server: int, doubles_at_providers: int, seconds: float) -> dict[str, Any]:
        """The report of a run: what the EDRs say beside what the providers have."""
        return {
            "requested": len(self.requested),
            "accepted": self.accepted,
            "final": dict(self.final),
            "missing": self.expected - self.ended,
            "duplicates": doubles_at_providers + self.double_ends,
            "redelivered": self.redelivered,
            "repeated_edrs": self.repeated_records,
            "sms_parts_in_edrs": self.sms_parts,
            "sms_parts_at_smsc": parts_at_smsc,
            "mails_in_edrs": self.mails,
            "mails_at_server": mails_at_server,
            "latency_ms": percentiles(self.latencies),
            "seconds": round(seconds, 2),
        }


def percentiles(values: Iterable[int]) -> dict[str, int | None]:
    """p50, p95 and p99, by the nearest rank."""
    ordered = sorted(values)
    if not ordered:
        return {"p50": None, "p95": None, "p99": None}
    return {f"p{rank}": ordered[min(len(ordered) - 1, -(-len(ordered) * rank // 100) - 1)] for rank in (50, 95, 99)}
