"""Soundness: what is wrong with a plan or a window, beyond its shape and the names in it."""

from collections.abc import Iterator, Sequence
from datetime import date

from msgspec import structs

from inm.core.books import Book
from inm.core.faults import Fault
from inm.core.rules import Rules
from inm.core.scenarios import LAST, Rule, Scenario, Step, groups
from inm.core.windows import RECIPIENT, Holidays, Opening, Window, together
from inm.core.zones import is_zone

READ = frozenset({"email", "rest"})
"""Channels that may tell that something was read."""

SAMPLE = 1_798_761_600_000
"""2027-01-01T00:00:00Z, from which a year of each window is looked at: what is saved must not depend on when."""


def of_steps(steps: Sequence[Step], pointer: str, book: Book) -> Iterator[Fault]:
    """Faults of a plan's steps."""
    if steps and steps[0].parallel:
        yield Fault(f"{pointer}/0/parallel", "there is no step before it to begin with", "True")
    for index, step in enumerate(steps):
        if step.until == "read" and step.channel not in READ:
            allowed = "submitted, delivered"
            yield Fault(f"{pointer}/{index}/until", f"channel {step.channel} does not tell what was read", "read", allowed)
        if step.unless is not None:
            faults = Rules([Rule(when=step.unless)], book.request, book.user, LAST).faults
            yield from (structs.replace(fault, pointer=f"{pointer}/{index}/unless") for fault in faults)


def beyond(steps: Sequence[Step], validity: int) -> int | None:
    """The first step that begins only after the validity (seconds), if those before it take all their time."""
    begins = 0
    for group in groups(steps):
        if begins >= validity:
            return group[0][0]
        begins += max(step.after for _, step in group)
    return None


def of_window(window: Window, book: Book) -> Iterator[Fault]:
    """Faults of a window."""
    if window.zone not in (None, RECIPIENT) and not is_zone(window.zone or ""):
        yield Fault("/zone", "no such time zone", repr((window.zone or "")[:60]), "an IANA time zone as Europe/Rome, or recipient")
        return
    if together([_sample(window.name, book)], SAMPLE) is None:
        yield Fault("/open", "never opens")


def of_holidays(holidays: Holidays) -> Iterator[Fault]:
    """Days that no calendar has."""
    for index, day in enumerate(holidays.dates):
        try:
            date.fromisoformat(day if len(day) > len("12-25") else f"2028-{day}")  # a leap year
        except ValueError:
            yield Fault(f"/dates/{index}", "no such day", repr(day))


def of_windows(scenario: Scenario, book: Book) -> Iterator[Fault]:
    """The windows of a scenario and of a channel that are never open together. Its own is taken to be there."""
    for channel, name in book.tenant.windows.items() if scenario.window else ():
        both = [known for known in (scenario.window, name) if known in book.windows.documents]
        if len(both) == 2 and together([_sample(known, book) for known in both], SAMPLE) is None:
            yield Fault("/window", f"is never open together with {name}, the window of channel {channel}", scenario.window)


def _sample(name: str, book: Book) -> Opening:
    """A window in its own zone, or in the tenant's."""
    zone = book.windows.documents[name].zone
    return book.windows.bound(name, zone if zone and is_zone(zone) else book.tenant.timezone)
