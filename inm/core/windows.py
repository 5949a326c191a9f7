"""Windows: the hours in which something may be sent, by the clock on the recipient's wall.

A window is open at a moment if the wall clock of its zone then shows a time within its hours. So where the clock is put
forward, what would open in the hour that is left out opens at its end; where it is put back, an hour that comes twice is
open twice.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, Literal
from zlib import crc32
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from inm.core.records import Name

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"]
WEEK: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)", description="a time of day from 00:00 to 23:59")]
"""A time of day, ``07:30``."""
Until = Annotated[str, Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$(?!\n)", description="a time of day from 00:00 to 24:00")]
HolidayDate = Annotated[str, Meta(pattern=r"^([0-9]{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$(?!\n)")]
"""``2027-03-29``, or ``12-25`` of every year."""

HORIZON = 400
"""Days that a window is searched for its next opening: a year, and what a holiday may move it."""
RECIPIENT = "recipient"
"""In place of a zone: that of the recipient."""


class Hours(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """From and until when a window is open on some days. Until an earlier time than ``from`` is on the day after."""

    days: Annotated[list[Day], Meta(min_length=1, max_length=8)]
    """Those on which it opens. A holiday is ``holiday``, and no day of the week."""
    start: Clock = field(name="from")
    end: Until = field(name="to")


class Window(Struct, frozen=True, forbid_unknown_fields=True, tag="window", tag_field="kind", omit_defaults=True):
    """When something may be sent. What waits for it goes out spread over the first ``spread`` seconds."""

    tenant: Name
    name: Name
    open: Annotated[list[Hours], Meta(min_length=1, max_length=50)]
    zone: str | None = None
    """IANA name; ``recipient``: that of the recipient; the tenant's if absent."""
    holidays: Name | None = None
    """A document of kind holidays."""
    spread: Annotated[int, Meta(ge=0, le=4 * 3600)] = 300
    title: str = ""


class Holidays(Struct, frozen=True, forbid_unknown_fields=True, tag="holidays", tag_field="kind", omit_defaults=True):
    """Days that are no working days."""

    tenant: Name
    name: Name
    dates: Annotated[list[HolidayDate], Meta(max_length=2000)]
    title: str = ""


class Opening:
    """A window bound to its holidays and a zone. It remembers for how long it was found to be open or shut."""

    def __init__(self, name: str, hours: Sequence[Hours], holidays: Collection[str], zone: str, spread: int = 0) -> None:
        self.name = name
        self.hours = tuple(hours)
        self.holidays = frozenset(holidays)
        self.zone = ZoneInfo(zone)
        self.spread = spread
        self._open = self._shut = (0, 0)

    def is_open(self, moment: int) -> bool:
        """Whether something may be sent at ``moment`` (ms)."""
        if self._open[0] <= moment < self._open[1]:
            return True
        wall = _wall(moment, self.zone)
        today, now = wall.date(), wall.time()
        if any(_minutes(hours.start) <= _of_day(now) < _end(hours) for hours in self._on(today)):
            return True
        return any(_of_day(now) < _end(hours) - _DAY for hours in self._on(today - timedelta(1)))

    def next_open(self, moment: int) -> int | None:
        """The first time from ``moment`` on (ms) at which it is open; None if there is none within :data:`HORIZON`."""
        if self.is_open(moment):
            return moment
        if self._shut[0] <= moment < self._shut[1]:
            return self._shut[1]
        opens = next((edge for edge in self._edges(moment) if self.is_open(edge)), None)
        if opens is not None:
            self._shut = (moment, opens)
        return opens

    def next_close(self, moment: int) -> int | None:
        """The first time from ``moment`` on (ms) at which it is not; None if it does not close within :data:`HORIZON`."""
        if self._open[0] <= moment < self._open[1]:
            return self._open[1]
        if not self.is_open(moment):
            return moment
        closes = next((edge for edge in self._edges(moment) if not self.is_open(edge)), None)
        if closes is not None:
            self._open = (moment, closes)
        return closes

    def _on(self, day: date) -> list[Hours]:
        """The hours that begin on a day."""
        holiday = day.isoformat() in self.holidays or day.isoformat()[5:] in self.holidays
        name: Day = "holiday" if holiday else WEEK[day.weekday()]
        return [hours for hours in self.hours if name in hours.days]

    def _edges(self, moment: int) -> Iterator[int]:
        """Moments after ``moment``, in order, at which it may open or close: there are no others."""
        first = _wall(moment, self.zone).date() - timedelta(1)
        for number in range(HORIZON):
            day = first + timedelta(number)
            # Over midnight: what begins on a day ends on the next, after whatever is of that day itself before.
            edges = {edge for other in (day - timedelta(1), day) for edge in self._marks(other)} | {*_changes(day, self.zone)}
            yield from sorted(edge for edge in edges if edge > moment and _wall(edge, self.zone).date() == day)

    def _marks(self, day: date) -> Iterator[int]:
        midnight = datetime.combine(day, time())
        for hours in self._on(day):
            for minutes in (_minutes(hours.start), _end(hours)):
                wall = midnight + timedelta(minutes=minutes)
                yield from {_moment(wall.replace(tzinfo=self.zone, fold=fold)) for fold in (0, 1)}
        yield from {_moment(midnight.replace(tzinfo=self.zone, fold=fold)) for fold in (0, 1)}


class Windows:
    """The windows of a tenant, each bound to a zone once."""

    def __init__(self, windows: Iterable[Window] = (), holidays: Iterable[Holidays] = ()) -> None:
        self.documents = {window.name: window for window in windows}
        self.holidays = {days.name: days.dates for days in holidays}
        self._bound: dict[tuple[str, str], Opening] = {}

    def bound(self, name: str, zone: str) -> Opening:
        """A window in a zone (IANA name). ``KeyError`` if there is none of the name."""
        known = self._bound.get((name, zone))
        if known is None:
            window = self.documents[name]
            dates = self.holidays.get(window.holidays, []) if window.holidays else []
            known = self._bound[name, zone] = Opening(name, window.open, dates, zone, window.spread)
        return known


def together(openings: Sequence[Opening], moment: int) -> int | None:
    """The first time from ``moment`` on (ms) at which all of them are open; None if there is none within a year or so."""
    last = moment + HORIZON * 24 * 3600 * 1000
    while moment <= last:
        shut = next((one for one in openings if not one.is_open(moment)), None)
        if shut is None:
            return moment
        opens = shut.next_open(moment)
        if opens is None:
            return None
        moment = opens
    return None


def closing(openings: Collection[Opening], moment: int) -> int | None:
    """When the first of them closes, from ``moment`` on (ms); None if none does."""
    return min(filter(None, (one.next_close(moment) for one in openings)), default=None)


def spread(openings: Collection[Opening], opens: int, identity: str) -> int:
    """When (ms) one of those that wait until ``opens`` goes: within the window's first seconds, always the same for an ``identity``."""
    length = max((one.spread for one in openings), default=0) * 1000
    closes = closing(openings, opens)
    if closes is not None:
        length = min(length, (closes - opens) // 2)
    return opens + round(crc32(identity.encode()) / 0xFFFF_FFFF * length)


_DAY = 24 * 60


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def _end(hours: Hours) -> int:
    """In minutes from the midnight of the day on which they begin."""
    end = _minutes(hours.end)
    return end if end > _minutes(hours.start) else end + _DAY


def _of_day(now: time) -> float:
    return now.hour * 60 + now.minute + (now.second + now.microsecond / 1e6) / 60


def _wall(moment: int, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(milliseconds=moment)).astimezone(zone)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(wall: datetime) -> int:
    return (wall - _EPOCH) // timedelta(milliseconds=1)


def _changes(day: date, zone: ZoneInfo) -> Iterator[int]:
    """Moments of a day or the one after at which the zone's clock is put forward or back."""
    start = _moment(datetime.combine(day, time(), zone))
    end = start + 26 * 3600 * 1000
    before = _wall(start, zone).utcoffset()
    if before == _wall(end, zone).utcoffset():
        return
    while end - start > 1000:
        middle = (start + end) // 2000 * 1000
        if _wall(middle, zone).utcoffset() == before:
            start = middle
        else:
            end = middle
    yield end
