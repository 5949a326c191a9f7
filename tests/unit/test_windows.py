"""Windows: laws over all zones, the hours that there are twice or not at all, and whom a number belongs to."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inm.core.windows import WEEK, Holidays, Hours, Opening, Window, Windows, closing, spread, together
from inm.core.zones import is_zone, zone_of

DAY = 24 * 3600 * 1000
ZONES = ("Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago", "UTC", "Africa/Cairo", "Asia/Gaza")


def at(text: str, zone: str = "Europe/Rome") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def utc(text: str) -> int:
    return at(text, "UTC")


def window(*hours: dict[str, object], zone: str = "Europe/Rome", holidays: tuple[str, ...] = (), spread: int = 0) -> Opening:
    document = {"kind": "window", "tenant": "acme", "name": "w", "open": list(hours), "holidays": "all", "spread": spread}
    return Windows([msgspec.convert(document, Window)], [Holidays("acme", "all", list(holidays))]).bound("w", zone)


def hours(start: str, end: str, *days: str) -> dict[str, object]:
    return {"days": list(days or WEEK), "from": start, "to": end}


def test_it_is_open_in_its_hours_and_opens_next_when_they_begin() -> None:
    daytime = window(hours("08:00", "21:00", "mon", "tue", "wed", "thu", "fri"), hours("10:00", "18:00", "sat"))
    assert daytime.is_open(at("2026-11-23T08:00"))  # a Monday
    assert not daytime.is_open(at("2026-11-23T21:00"))
    assert daytime.next_open(at("2026-11-23T12:00")) == at("2026-11-23T12:00")
    assert daytime.next_open(at("2026-11-23T21:00")) == at("2026-11-24T08:00")
    assert daytime.next_open(at("2026-11-27T22:00")) == at("2026-11-28T10:00")
    assert daytime.next_open(at("2026-11-28T18:00")) == at("2026-11-30T08:00")
    assert daytime.next_close(at("2026-11-23T12:00")) == at("2026-11-23T21:00")


def test_over_midnight_the_hours_are_of_the_day_on_which_they_begin() -> None:
    night = window(hours("22:00", "07:00", "fri"))
    assert night.is_open(at("2026-11-27T23:00"))
    assert night.is_open(at("2026-11-28T06:59"))
    assert not night.is_open(at("2026-11-28T07:00"))
    assert not night.is_open(at("2026-11-27T06:00"))
    assert night.next_close(at("2026-11-27T22:00")) == at("2026-11-28T07:00")
    assert night.next_open(at("2026-11-28T07:00")) == at("2026-12-04T22:00")


def test_from_midnight_to_midnight_it_never_closes() -> None:
    always = window(hours("00:00", "24:00"))
    assert always.next_close(at("2026-11-27T22:00")) is None
    assert always.next_open(at("2026-10-25T02:30")) == at("2026-10-25T02:30")


def test_a_holiday_is_no_day_of_the_week() -> None:
    shop = window(hours("08:00", "20:00"), hours("10:00", "12:00", "holiday"), holidays=("12-25", "2026-12-24"))
    assert shop.next_open(at("2026-12-24T07:00")) == at("2026-12-24T10:00")
    assert shop.next_open(at("2027-12-24T07:00")) == at("2027-12-24T08:00")
    assert shop.next_open(at("2027-12-25T07:00")) == at("2027-12-25T10:00")
    assert window(hours("08:00", "20:00"), holidays=("12-25",)).next_open(at("2026-12-24T20:00")) == at("2026-12-26T08:00")


def test_an_hour_that_is_left_out_opens_at_its_end_and_one_that_comes_twice_is_open_twice() -> None:
    early = window(hours("02:30", "04:00"))
    assert early.next_open(utc("2027-03-28T00:00")) == utc("2027-03-28T01:00"), "02:00 to 03:00 is left out: it is 03:00"
    assert early.next_open(utc("2026-10-25T00:00")) == utc("2026-10-25T00:30"), "02:30, summer time"
    assert early.next_close(utc("2026-10-25T00:30")) == utc("2026-10-25T01:00"), "it is 02:00 again"
    assert early.next_open(utc("2026-10-25T01:00")) == utc("2026-10-25T01:30")
    within = window(hours("02:00", "03:00"))
    assert within.next_open(at("2027-03-28T00:00")) == at("2027-03-29T02:00"), "on that day there is no such hour"
    midnight = window(hours("00:00", "06:00"), zone="America/Santiago")  # put forward at midnight
    assert midnight.next_open(at("2026-09-05T12:00", "America/Santiago")) == utc("2026-09-06T04:00")


def test_what_never_opens_has_no_opening() -> None:
    assert window(hours("08:00", "09:00", "holiday")).next_open(at("2026-01-01T00:00")) is None
    day, night = window(hours("08:00", "20:00")), window(hours("20:00", "08:00"))
    assert together([day, night], at("2026-01-01T00:00")) is None
    late = window(hours("18:00", "22:00", "sun"))
    assert together([day, late], at("2026-11-23T00:00")) == at("2026-11-29T18:00")
    assert closing([day, late], at("2026-11-29T18:00")) == at("2026-11-29T20:00")


clocks = st.integers(0, 24 * 4 - 1).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
spans = st.builds(hours, clocks, clocks, st.sampled_from(WEEK), st.sampled_from(WEEK)) | st.builds(hours, clocks, clocks)
openings = st.builds(lambda zone, *spans: window(*spans, zone=zone, holidays=("2026-03-29", "10-25")), st.sampled_from(ZONES), spans, spans)
moments = st.integers(1_767_225_600, 1_830_211_200).map(lambda second: second * 1000)
turning = st.sampled_from(ZONES).flatmap(lambda zone: st.integers(-4, 30).map(lambda hour: at("2026-03-28T00:00", zone) + hour * 3_600_000))


def shown(window: Opening, moment: int) -> bool:
    """The law that is meant: the wall clock shows a time within the hours of that day, or of the night before."""
    wall = datetime.fromtimestamp(moment / 1000, UTC).astimezone(window.zone)

    def on(day: datetime) -> list[Hours]:
        date = day.date().isoformat()
        name = "holiday" if {date, date[5:]} & window.holidays else WEEK[day.weekday()]
        return [one for one in window.hours if name in one.days]

    clock = f"{wall:%H:%M}"
    today = any(one.start <= clock and (clock < one.end or one.end <= one.start) for one in on(wall))
    return today or any(one.end <= one.start and clock < one.end for one in on(wall - timedelta(1)))


@settings(deadline=None, max_examples=60)
@given(openings, moments | turning)
def test_it_opens_at_the_first_moment_at_which_it_is_open(window: Opening, moment: int) -> None:
    opens = window.next_open(moment)
    assert opens is not None
    assert opens >= moment
    assert shown(window, opens)
    quarter = 15 * 60_000
    steps = range(moment, min(opens, moment + 2 * DAY), quarter)
    assert not any(shown(window, earlier) for earlier in steps)
    assert opens == moment or not shown(window, opens - 1)
    closes = window.next_close(opens)
    assert closes is None or (not shown(window, closes) and shown(window, closes - 1))
    assert all(shown(window, later) for later in range(opens, min(closes or opens + 2 * DAY, opens + 2 * DAY), quarter))


@settings(deadline=None, max_examples=60)
@given(openings, moments | turning, st.text(min_size=1), st.integers(0, 7200))
def test_what_waits_goes_within_the_window(window: Opening, moment: int, identity: str, length: int) -> None:
    window.spread = length
    opens = window.next_open(moment)
    assert opens is not None
    goes = spread([window], opens, identity)
    assert goes == spread([window], opens, identity)
    assert opens <= goes <= opens + length * 1000
    assert window.is_open(goes)


def test_what_waits_is_spread_evenly() -> None:
    open_all_day = window(hours("08:00", "20:00"), spread=600)
    begins = at("2026-11-23T08:00")
    minutes = [0] * 10
    for number in range(10_000):
        minutes[min(9, (spread([open_all_day], begins, f"3-{number}") - begins) // 60_000)] += 1
    assert min(minutes) > 850
    assert max(minutes) < 1150


@pytest.mark.parametrize(
    ("phone", "home", "zone"),
    [
        ("+393331234567", "Europe/Rome", "Europe/Rome"),
        ("+16502530000", "Europe/Rome", "America/Los_Angeles"),
        ("+442079460000", "Europe/Rome", "Europe/London"),
        ("+79161234567", "Europe/Moscow", "Europe/Moscow"),
        ("+819012345678", "Europe/Rome", "Asia/Tokyo"),
        ("+881612345678", "Europe/Rome", "Europe/Rome"),
        ("+9991234567", "Europe/Rome", "Europe/Rome"),
        ("nonsense", "Europe/Rome", "Europe/Rome"),
    ],
)
def test_a_number_tells_the_zone(phone: str, home: str, zone: str) -> None:
    assert zone_of(phone, home) == zone


def test_zones_are_those_of_the_tz_database() -> None:
    assert is_zone("Europe/Rome")
    assert not any(map(is_zone, ("Mars/Olympus", "../etc/passwd", "", "Europe")))
