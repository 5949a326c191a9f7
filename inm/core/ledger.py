"""What is kept of one notification: a row of the journeys table, which is also the ledger against doing it twice."""

from copy import copy as shallow

from msgspec import Struct, field

from inm.core.edr import Edr, Event
from inm.core.grounds import Grounds
from inm.core.records import Delivery, Lane, Notification, Outcome
from inm.core.scenarios import Step


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


class Journey(Struct, array_like=True):
    """One notification; a row of the journeys table. ``expires`` (ms) is when the row may go.

    ``state`` is the last event that counted; ``pending`` what the end will be if no further step can be made.
    ``notification`` and ``plan`` are kept while steps may follow.
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
    step: int = 1
    until: str = "delivered"
    state: str = "accepted"
    final: bool = False
    pending: tuple[Event, str] | None = None
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


class Effects(Struct):
    """What is to be emitted. ``deadline`` is an outcome for when its ``at`` has come; ``again`` goes back to evaluate.

    ``children`` go there too, each under its own key.
    """

    edrs: list[Edr] = field(default_factory=list)
    delivery: Delivery | None = None
    deadline: Outcome | None = None
    again: Notification | None = None
    children: list[Notification] = field(default_factory=list)


def copy(journey: Journey) -> Journey:
    """A journey that may be changed without touching the given one."""
    copied = shallow(journey)
    copied.deliveries = [shallow(sent) for sent in journey.deliveries]
    copied.events = [*journey.events]
    copied.seen = [*journey.seen]
    copied.grounds = [*journey.grounds]
    return copied
