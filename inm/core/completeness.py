"""The completeness ledger: what was accepted, how it ended, and what is open; and the same for the recipients of a campaign.

Counted from the EDRs as they are emitted, record by record. A tally is written together with the row of the journey that it
counts, both or neither, so that the ledger of journeys keeps it from counting anything twice.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct, structs

from inm.core.campaigns import Counts
from inm.core.edr import Edr
from inm.core.ledger import Deadline, Effects, Journey

HOUR = 3600 * 1000
KEEP = 31 * 24 * HOUR
"""Milliseconds that a tally is kept after its last event or deadline: as long as ``inm.edr`` keeps what it counts, and a day."""
GRACE = 10 * 60 * 1000
"""Milliseconds after the last deadline of an hour's notifications from which those that are open are overdue."""

BEGUN, IN_LANE, SUBMITTED = 1, 2, 4
"""As what a journey's row has been counted."""


class Tally(Struct, omit_defaults=True, array_like=True):
    """The notifications of one tenant and scenario that were received in one hour."""

    accepted: int = 0
    finals: dict[str, int] = {}
    """By the event of the final EDR."""
    corrections: int = 0
    due: int = 0
    """The last deadline of any of them (ms)."""

    @property
    def open(self) -> int:
        """Those without a final EDR."""
        return self.accepted - sum(self.finals.values())


class Line(Struct, frozen=True, omit_defaults=True):
    """One line of the ledger."""

    tenant: str
    scenario: str
    hour: Annotated[int, Meta(description="When the hour began (ms) in which the requests were received.")]
    accepted: Annotated[int, Meta(description="Notifications that were accepted.")]
    finals: Annotated[dict[str, int], Meta(description="Those that have ended, by their final event.")]
    open: Annotated[int, Meta(description="Those that have not.")]
    corrections: Annotated[int, Meta(description="Corrections after the end.")] = 0
    overdue: Annotated[int, Meta(description="Those that are open although the last deadline of the hour has passed.")] = 0


class Snapshot(Struct, frozen=True, omit_defaults=True):
    """What one partition has counted, up to now, of the notifications of one tenant and scenario received in one hour; on ``inm.ledger``.

    Times in ms since 1970. A later record takes the place of an earlier one of the same key; the sum over partitions is the ledger.
    """

    partition: int
    tenant: str
    scenario: str
    hour: int
    accepted: int
    finals: dict[str, int]
    corrections: int = 0
    due: int = 0


def key(tenant: str, scenario: str, received: int) -> str:
    """Under what the tally of a notification lies; those of a tenant together, in the order of scenario and time."""
    return f"{tenant}/{scenario}/{received // HOUR:07}"


def line(key: str, tally: Tally, now: int) -> Line:
    """A tally as it is shown."""
    tenant, scenario, hour = key.split("/")
    overdue = tally.open if now > tally.due + GRACE else 0
    return Line(tenant, scenario, int(hour) * HOUR, tally.accepted, tally.finals, tally.open, tally.corrections, overdue)


def counts(known: Journey | None, journey: Journey, effects: Effects) -> bool:
    """Whether a change may make a difference to a tally; most that is reported does not."""
    if known is None or known.deadlines != journey.deadlines:
        return True
    return any(edr.final or edr.correction for edr in effects.edrs)


def count(tally: Tally, deadlines: Sequence[Deadline], effects: Effects, *, begins: bool) -> Tally | None:
    """The tally with what a record has caused to one notification, which ``begins`` with it or did before; None if that changes nothing."""
    finals = [edr.event for edr in effects.edrs if edr.final]
    corrections = sum([edr.correction for edr in effects.edrs])
    due = max([tally.due, *[deadline.at for deadline in deadlines]])
    if not (begins or finals or corrections or due > tally.due):
        return None
    return Tally(tally.accepted + begins, _added(tally.finals, finals), tally.corrections + corrections, due)


def _added(numbers: Mapping[str, int], events: Iterable[str]) -> dict[str, int]:
    added = dict(numbers)
    for event in events:
        added[event] = added.get(event, 0) + 1
    return added


# -- campaigns --------------------------------------------------------------------------------------


def standing(journey: Journey) -> int:
    """As what a journey counts: begun, in its lane, submitted."""
    standing = BEGUN
    for sent in journey.deliveries:
        if sent.submitted is not None:
            standing |= SUBMITTED
        if sent.state == "decided" and not sent.superseded and sent.step in journey.open and not journey.final:
            standing |= IN_LANE
    return standing


def share(counts: Counts, journey: Journey, edrs: Sequence[Edr]) -> Counts | None:
    """What a partition has counted of a campaign, with what a record has made of one notification; None if that changes nothing.

    The journey's row says as what it was counted before.
    """
    before, after = journey.standing, standing(journey)
    finals = [edr.event for edr in edrs if edr.final]
    parts = sum(edr.parts or 1 for edr in edrs if edr.event == "submitted")
    if before == after and not finals and not parts:
        return None

    def grown(bit: int) -> int:
        return bool(after & bit) - bool(before & bit)

    of_row = journey.parent is None
    return structs.replace(
        counts,
        taken=counts.taken + grown(BEGUN) * of_row,
        begun=counts.begun + grown(BEGUN),
        lane=counts.lane + grown(IN_LANE),
        submitted=counts.submitted + grown(SUBMITTED) * of_row,
        finals=_added(counts.finals, finals),
        parts=counts.parts + parts,
    )


def repeated(counts: Counts) -> Counts:
    """With one more row of a recipient that was there already."""
    return structs.replace(counts, repeated=counts.repeated + 1)


def summed(tallies: Iterable[tuple[str, Tally]]) -> dict[str, Tally]:
    """The tallies of several partitions, by key."""
    found: dict[str, Tally] = {}
    for place, tally in tallies:
        known = found.get(place, Tally())
        finals = Counter(known.finals)
        finals.update(tally.finals)
        found[place] = Tally(
            known.accepted + tally.accepted, dict(finals), known.corrections + tally.corrections, max(known.due, tally.due)
        )  # fmt: skip
    return found


# -- against the EDRs -------------------------------------------------------------------------------


class Recount:
    """Counts EDRs as they are read; one that was written twice counts once."""

    def __init__(self) -> None:
        self.lines: dict[str, Tally] = {}
        self._known: set[int] = set()
        """Hashes of notifications, and of records that count by themselves: ids of a million take too much memory."""

    def take(self, edr: Edr) -> None:
        """Count a record; one of a test counts as nothing."""
        if edr.test:
            return
        place = key(edr.tenant, edr.scenario, edr.times.received)
        tally = self.lines.get(place, Tally())
        accepted = self._first_time(edr.notification)
        if (edr.final or edr.correction) and self._first_time(edr.id):
            finals = _added(tally.finals, [edr.event] if edr.final else [])
            tally = Tally(tally.accepted, finals, tally.corrections + edr.correction)
        self.lines[place] = structs.replace(tally, accepted=tally.accepted + accepted)

    def _first_time(self, name: str) -> bool:
        before = len(self._known)
        self._known.add(hash(name))
        return len(self._known) > before

    def differences(self, tallies: Mapping[str, Tally]) -> Iterator[str]:
        """Each line that the ledger has otherwise, in a sentence."""
        for place in sorted({*self.lines, *tallies}):
            ours, theirs = tallies.get(place, Tally()), self.lines.get(place, Tally())
            for what in ("accepted", "finals", "corrections"):
                if getattr(ours, what) != getattr(theirs, what):
                    yield f"{place}: {what}: the ledger has {getattr(ours, what)}, the EDRs have {getattr(theirs, what)}"
