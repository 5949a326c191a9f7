"""What is kept of one notification: a row of the journeys table, which is also the ledger against doing it twice."""

from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from inm.core.edr import Edr, Event
from inm.core.grounds import Grounds
from inm.core.ids import delivery_id
from inm.core.records import Delivery, Lane, Notification, Outcome
from inm.core.scenarios import Step, Until


class Told(Struct, frozen=True, array_like=True):
    """A line of the story, for explain."""

    at: int
    event: str
    detail: str = ""


class Sent(Struct, array_like=True):
    """One attempt of one step, and what is known of it. Times are ms; ``arrived`` has a bit for each delivered part."""

    id: str
    step: int
    attempt: int
    channel: str
    route: str
    to: str
    sender: str
    template: str
    version: int
    language: str
    parts: int
    encoding: str | None
    decided: int
    state: str = "decided"
    superseded: bool = False
    """Another attempt follows it, so that its failure alone ends nothing."""
    arrived: int = 0
    provider_ids: tuple[str, ...] = ()
    started: int | None = None
    submitted: int | None = None
    delivered: int | None = None
    tone: str | None = None
    until: Until = "delivered"
    """What satisfies its step."""
    reports: bool = True
    """Whether the channel reports on what it took, as far as an answer has said so."""
    due: int = 0
    """When the next attempt is made (ms), if one has been scheduled."""


class Deadline(Struct, frozen=True, array_like=True):
    """When (ms) a step's time is over, or that for a report on what one of its attempts has submitted."""

    at: int
    kind: Literal["deadline", "silence"]
    step: int
    attempt: int = 1


class Journey(Struct, array_like=True):
    """One notification; a row of the journeys table. ``expires`` (ms) is when the row may go.

    ``state`` is the last event that counted. ``notification`` and ``plan`` are kept while steps may follow.
    """

    id: str
    key: str
    tenant: str
    scenario: str
    received: int
    lane: Lane
    steps: int
    expires: int
    request_id: str | None = None
    user: str | None = None
    step: int = 0
    """The last step that was begun or left out; 0: none is decided yet."""
    open: list[int] = []
    """The steps that were begun together last and can still end or begin something."""
    state: str = "accepted"
    final: bool = False
    pending: tuple[Event, str, int] | None = None
    """What the last steps came to, the reason, and the best known of them: the end, if no further step can be made."""
    held: int = 0
    """Until when (ms) it is held, if it is."""
    stopped: list[int] = []
    """Steps that are not to be sent any more, as far as they have not been."""
    calling: bool = False
    """The sender has called it back; the end is what becomes of what may be under way."""
    notification: Notification | None = None
    deliveries: list[Sent] = []
    events: list[Told] = []
    seen: list[str] = []
    fingerprint: str | None = None
    grounds: list[Grounds] = []
    """Of each step that was decided."""
    plan: list[Step] = []
    """As it was decided for the first step."""
    test: bool = False
    parent: str | None = None
    campaign: str | None = None
    row: int = 0
    """The notification's."""
    standing: int = 0
    """As what its campaign has counted it; 0 in a journey that begins, or is of none: see :mod:`inm.core.completeness`."""
    deadlines: list[Deadline] = []
    """Those of the open steps that are still to come."""

    @property
    def due(self) -> int:
        """When (ms) the first of its deadlines comes; 0: it has none."""
        return min([deadline.at for deadline in self.deadlines], default=0)


class Effects(Struct):
    """What is to be emitted. ``again`` goes back to evaluate.

    ``later`` goes there when the time that it is held until has come; ``children`` go there too, each under its own key.
    ``stopped`` are ids of deliveries that are not to be sent any more.
    """

    edrs: list[Edr] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    again: Notification | None = None
    later: Notification | None = None
    children: list[Notification] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    @property
    def delivery(self) -> Delivery | None:
        """The first of them."""
        return self.deliveries[0] if self.deliveries else None


def copy(journey: Journey) -> Journey:
    """A journey that may be changed without touching the given one."""
    return replace(
        journey,
        deliveries=[*map(replace, journey.deliveries)],
        events=[*journey.events],
        seen=[*journey.seen],
        grounds=[*journey.grounds],
        open=[*journey.open],
        stopped=[*journey.stopped],
        deadlines=[*journey.deadlines],
    )


def come(journey: Journey, now: int) -> tuple[Journey, list[Outcome]]:
    """The journey without the deadlines that have come by now (ms), and these as outcomes."""
    waiting = copy(journey)
    waiting.deadlines = [deadline for deadline in journey.deadlines if deadline.at > now]
    return waiting, [_outcome(journey, deadline) for deadline in journey.deadlines if deadline.at <= now]


def _outcome(journey: Journey, deadline: Deadline) -> Outcome:
    delivery = delivery_id(journey.id, deadline.step, deadline.attempt)
    return Outcome(
        id=f"{delivery}.{deadline.kind}",
        kind=deadline.kind,
        notification=journey.id,
        delivery=delivery,
        key=journey.key,
        at=deadline.at,
        step=deadline.step,
        attempt=deadline.attempt,
    )
