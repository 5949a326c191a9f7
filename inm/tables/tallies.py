"""Tallies: how many notifications were accepted, and how they ended. Written by evaluate and journeys, with the journeys that they count.

By tenant, scenario and hour; and of campaigns. They lie in the table of journeys, under names that begin with a mark: so a
journey and its tally come into the changelog in one batch, and whatever happens a successor finds both or neither.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from inm.core import completeness
from inm.core.campaigns import Counts
from inm.core.completeness import KEEP, Tally
from inm.core.ledger import Effects, Journey, copy
from inm.core.records import Notification
from inm.streaming.stage import Output
from inm.tables.rows import Rows, T

OF_HOUR, OF_CAMPAIGN = "#", "!"
"""No notification's id begins so; they sort before all of them."""

LATEST = 10_000
"""Tallies that are remembered as they are used, at most."""


class Tallies:
    """Over the table of journeys."""

    def __init__(self, journeys: Rows[Journey]) -> None:
        self._journeys = journeys
        self._hours = Rows("journeys", Tally, journeys.table)
        self._campaigns = Rows("journeys", Counts, journeys.table)
        self._latest: dict[tuple[int, str], tuple[bytes, Any]] = {}
        """What was written last, as it is stored and as it is used."""

    def keep(self, out: Output, known: Journey | None, journey: Journey, effects: Effects) -> None:
        """Count what a record has made of a journey, before the journey's row is written. ``known``: as it was. Tests are not counted."""
        if not journey.test and completeness.counts(known, journey, effects):
            name = OF_HOUR + completeness.key(journey.tenant, journey.scenario, journey.received)
            tally = self._known(out, self._hours, name) or Tally()
            changed = completeness.count(tally, journey.deadlines, effects, begins=known is None)
            if changed is not None:
                self._put(out, self._hours, name, changed, max(out.now, changed.due) + KEEP)
        if journey.campaign is not None:
            name = f"{OF_CAMPAIGN}{journey.tenant}/{journey.campaign}"
            counts = completeness.share(self._known(out, self._campaigns, name) or Counts(), journey, effects.edrs)
            if counts is not None:
                self._put(out, self._campaigns, name, counts, out.now + KEEP)
            journey.standing = completeness.standing(journey)

    def _known(self, out: Output, rows: Rows[T], name: str) -> T | None:
        """A tally as it stands; the same few come again and again, and are not decoded each time."""
        stored = out.get(self._journeys.table, name.encode())
        latest = self._latest.get((out.partition, name))
        return latest[1] if latest is not None and latest[0] is stored else rows.read(stored, out.now)

    def _put(self, out: Output, rows: Rows[T], name: str, tally: T, end: int) -> None:
        if len(self._latest) == LATEST:
            self._latest.clear()
        self._latest[out.partition, name] = rows.put(out, name, tally, end), tally

    def repeat(self, out: Output, notification: Notification, known: Journey) -> None:
        """A notification that is in the ledger already: if it comes of another row of its campaign, that one counts as repeated, once."""
        mark = f"row/{notification.row}"
        if notification.campaign is None or notification.parent or notification.row == known.row or mark in known.seen:
            return
        changed = copy(known)
        changed.seen.append(mark)
        self._journeys.put(out, changed.id, changed, changed.expires, changed.due)
        name = f"{OF_CAMPAIGN}{notification.tenant}/{notification.campaign}"
        counts = self._campaigns.get(out, name) or Counts()
        self._campaigns.put(out, name, completeness.repeated(counts), out.now + KEEP)

    def of_campaigns(self, out: Output) -> Iterator[tuple[str, Counts]]:
        """What this partition has counted of each campaign, by the campaign's key."""
        for key, stored in self._journeys.table[out.partition].scan(OF_CAMPAIGN.encode(), _after(OF_CAMPAIGN)):
            counts = self._campaigns.read(stored, out.now)
            if counts is not None:
                yield key.decode()[1:], counts

    def of_hours(self, partition: int, now: int, tenant: str | None = None, after: str = "", limit: int | None = None) -> dict[str, Tally]:
        """The tallies of a tenant, or of all, in one partition, from behind a key on. ``KeyError`` if this worker does not hold it."""
        first = f"{OF_HOUR}{after}\0" if after else f"{OF_HOUR}{tenant}/" if tenant else OF_HOUR
        last = f"{OF_HOUR}{tenant}0".encode() if tenant else _after(OF_HOUR)  # 0 follows /
        rows = islice(self._journeys.table[partition].scan(first.encode(), last), limit)
        found = ((key.decode()[1:], self._hours.read(stored, now)) for key, stored in rows)
        return {key: tally for key, tally in found if tally is not None}

    def lately(self, partition: int, now: int, tenant: str, scenario: str, hour: int) -> list[Tally]:
        """The tallies of a scenario in one partition, of the hours (since 1970) from one on. ``KeyError`` as :meth:`of_hours`."""
        name = f"{OF_HOUR}{tenant}/{scenario}"
        rows = self._journeys.table[partition].scan(f"{name}/{hour:07}".encode(), f"{name}0".encode())  # 0 follows /
        return [tally for _, stored in rows if (tally := self._hours.read(stored, now)) is not None]


def _after(mark: str) -> bytes:
    return bytes([ord(mark) + 1])
