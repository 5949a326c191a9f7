"""Campaigns: one scenario for a large audience, which lies in a cursor and is released at the pace that the routes take.

Their states, the orders that change them, and what is counted of them. Times are ms since 1970.
"""

from collections import Counter
from typing import Annotated, Literal

from msgspec import Meta, Struct, structs

from inm.core.audience import Report, Row, merged
from inm.core.records import Name
from inm.core.reference import Person

State = Literal["loading", "ready", "running", "paused", "done", "cancelled"]
Action = Literal["start", "pause", "resume", "cancel", "pace"]

STATES: dict[State, str] = {
    "loading": "its audience is being read",
    "ready": "its audience is complete; it waits for its start",
    "running": "its recipients are released, from its time on",
    "paused": "nothing more is released until it is resumed",
    "done": "all recipients are released",
    "cancelled": "no further recipient will be released",
}

NEXT: dict[Action, dict[State, State]] = {
    "start": {"ready": "running", "running": "running"},
    "pause": {"running": "paused", "paused": "paused"},
    "resume": {"paused": "running", "running": "running"},
    "cancel": {"loading": "cancelled", "ready": "cancelled", "running": "cancelled", "paused": "cancelled", "cancelled": "cancelled"},
    "pace": {"loading": "loading", "ready": "ready", "running": "running", "paused": "paused"},
}
"""What an action makes of a state; in a state that is not here it is refused."""

ENDED = frozenset({"done", "cancelled"})

KEEP = 30 * 24 * 3600 * 1000
"""Milliseconds after its last event until a campaign that has not ended is cancelled; after as many more it is forgotten."""
ANSWERS = 20
"""Orders whose answers a campaign remembers: by them an order that is read again is known."""
SILENCE = 10 * 60 * 1000
"""After so many ms in which no recipient got into the ledger, what was released and is not there holds up the others no longer."""
MARKS = 12
MARK_EVERY = 1000
"""By how many points of time, so many ms apart at least, the rate is measured."""

Pace = Annotated[int, Meta(ge=1, le=100_000)]
"""Recipients a second."""
Share = Annotated[float, Meta(ge=0, le=1)]


class Create(Struct, frozen=True, tag="create", omit_defaults=True):
    """A campaign is wanted. ``id`` names the order."""

    id: str
    tenant: Name
    name: Name
    scenario: Name
    author: Person
    at: int
    pace: Pace | None = None
    max_faulty: Share = 0.01


class Act(Struct, frozen=True, tag="act", omit_defaults=True):
    """Something is to be done with a campaign. ``starts`` goes with start, ``pace`` with pace: None is as fast as the routes."""

    id: str
    tenant: Name
    name: Name
    action: Action
    author: Person
    at: int
    starts: int | None = None
    pace: Pace | None = None
    why: str | None = None


class Counts(Struct, frozen=True, omit_defaults=True):
    """What has become of recipients, as one partition has counted it up to now. ``lane``: those that wait for their route at the moment."""

    taken: int = 0
    """Recipients that are in the ledger."""
    repeated: int = 0
    """Rows of a recipient that was there already."""
    lane: int = 0
    submitted: int = 0
    finals: dict[str, int] = {}
    """By the event of their final EDR; of notifications, which are more than recipients where one has several."""
    begun: int = 0
    """Notifications in the ledger."""
    parts: int = 0
    """Short messages that providers took; 1 each for other channels."""


_NUMBERS = ("taken", "repeated", "lane", "submitted", "begun", "parts")


class Counted(Struct, frozen=True, tag="counted"):
    """The counts of one partition, all of them up to now: a later record of it takes the place of an earlier one."""

    tenant: str
    name: str
    partition: int
    counts: Counts


Order = Create | Act | Counted
"""What ``inm.campaigns`` carries."""


class Piece(Struct, frozen=True, omit_defaults=True):
    """Some rows of an audience, on ``inm.audiences``. ``number`` counts from 0 without gaps; the last one makes it complete."""

    tenant: Name
    name: Name
    number: int
    rows: list[Row]
    report: Report
    last: bool = False


class Answered(Struct, frozen=True, array_like=True):
    """What became of an order: done, or ``fault`` says why not."""

    order: str
    fault: str = ""


class Campaign(Struct, omit_defaults=True):
    """A row of the campaigns table. The cursor is ``piece`` and ``row``: what comes next."""

    tenant: str
    name: str
    scenario: str
    author: str
    created: int
    changed: int
    """When an order, a piece or a count last changed it."""
    state: State = "loading"
    pace: int | None = None
    starts: int = 0
    max_faulty: float = 0.01
    pieces: int = 0
    report: Report = Report()
    piece: int = 0
    row: int = 0
    released: int = 0
    clock: int = 0
    """When :attr:`credit` was right."""
    credit: float = 0.0
    """Recipients that its pace allows beside those of the time since."""
    heard: int = 0
    """When a recipient last got into the ledger."""
    counts: dict[int, Counts] = {}
    marks: list[tuple[int, int]] = []
    """Times, and how many recipients had left the lane by then."""
    answers: list[Answered] = []
    erased: bool = False
    """Its audience is deleted."""

    @property
    def ends(self) -> int:
        """When the row may go: after its audience is deleted."""
        return max(self.changed, self.starts) + 2 * KEEP


def key(tenant: str, name: str) -> str:
    """What a campaign is called in tables and topics."""
    return f"{tenant}/{name}"


def refusal(campaign: Campaign, order: Act) -> str:
    """Why an order cannot be carried out now; empty if it can."""
    allowed = NEXT[order.action]
    if campaign.state not in allowed:
        return f"it is {campaign.state}: {STATES[campaign.state]}; {order.action} is for one that is {' or '.join(allowed)}"
    if order.action != "start" or campaign.state != "ready":
        return ""
    if not campaign.report.rows:
        return "its audience has no row that can be sent to"
    share = campaign.report.faulty_share
    if share > campaign.max_faulty:
        return f"{share:.2%} of its rows are faulty; allowed are {campaign.max_faulty:.2%}"
    return ""


def create(order: Create, now: int) -> Campaign:
    """A campaign without its audience."""
    return Campaign(
        order.tenant, order.name, order.scenario, order.author, order.at, now, pace=order.pace, max_faulty=order.max_faulty,
        answers=[Answered(order.id)],
    )  # fmt: skip


def recreate(campaign: Campaign, order: Create, now: int) -> Campaign:
    """Where there is one of that name: the same order again changes nothing, another one is refused."""
    return campaign if answer_to(campaign, order.id) else _answered(campaign, order.id, "there is a campaign of this name", now)


def act(campaign: Campaign, order: Act, now: int) -> Campaign:
    """The campaign after an order, with its answer. The same order again changes nothing."""
    if answer_to(campaign, order.id):
        return campaign
    fault = refusal(campaign, order)
    changed = _answered(campaign, order.id, fault, now)
    if fault:
        return changed
    changed.state = NEXT[order.action][campaign.state]
    if order.action == "start" and campaign.state == "ready":
        changed.starts, changed.author = order.starts or 0, order.author
    if order.action == "pace":
        changed.pace = order.pace
    if changed.state == "running" and campaign.state != "running":
        changed.clock, changed.credit, changed.marks, changed.heard = now, 0.0, [], now
    return changed


def forgotten(campaign: Campaign, now: int) -> bool:
    """Whether nothing has happened to it for so long that nobody wants it any more."""
    return campaign.state not in ENDED and now > max(campaign.changed, campaign.starts) + KEEP


def answer_to(campaign: Campaign, order: str) -> Answered | None:
    """What became of an order; None if it has not been read."""
    return next((answered for answered in campaign.answers if answered.order == order), None)


def has_done(before: Campaign | None, after: Campaign, order: str) -> bool:
    """Whether it is this order that has just been carried out, and was not refused."""
    answered = answer_to(after, order)
    return answered is not None and not answered.fault and (before is None or answer_to(before, order) is None)


def _answered(campaign: Campaign, order: str, fault: str, now: int) -> Campaign:
    return structs.replace(campaign, changed=now, answers=[*campaign.answers, Answered(order, fault)][-ANSWERS:])


def take(campaign: Campaign, piece: Piece, now: int) -> Campaign:
    """The campaign with a piece of its audience. The same one again, one before its turn, or after the last, changes nothing."""
    if campaign.state != "loading" or piece.number != campaign.pieces:
        return campaign
    return structs.replace(
        campaign, changed=now, pieces=campaign.pieces + 1, report=merged(campaign.report, piece.report),
        state="ready" if piece.last else "loading",
    )  # fmt: skip


def count(campaign: Campaign, counted: Counted, now: int) -> Campaign:
    """The campaign with what a partition has counted."""
    known = campaign.counts.get(counted.partition, Counts())
    grown = (counted.counts.taken, counted.counts.repeated) != (known.taken, known.repeated)
    changed = structs.replace(campaign, changed=now, counts={**campaign.counts, counted.partition: counted.counts})
    changed.heard = now if grown else campaign.heard
    passed = changed.released - waiting(changed, now)
    if not changed.marks or now - changed.marks[-1][0] >= MARK_EVERY:
        changed.marks = [*changed.marks, (now, passed)][-MARKS:]
    return changed


def total(campaign: Campaign) -> Counts:
    """The counts of all partitions."""
    everywhere = campaign.counts.values()
    sums = {name: sum(getattr(counts, name) for counts in everywhere) for name in _NUMBERS}
    finals: Counter[str] = Counter()
    for counts in everywhere:
        finals.update(counts.finals)
    return Counts(**sums, finals=dict(finals))


def waiting(campaign: Campaign, now: int) -> int:
    """Recipients that were released and have not been handed to their route: under way to the lane, or in it."""
    counts = total(campaign)
    under_way = campaign.released - counts.taken - counts.repeated
    if now - campaign.heard > SILENCE:
        under_way = 0  # such as what ended in inm.dead
    return max(0, under_way) + counts.lane
