"""Every topic: its name, its key, how many partitions it has and how long Kafka keeps it.

User-keyed topics all have ``settings.partitions`` partitions, so that a user's notifications, outcomes, data and rows of
every table are on one worker.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from inm.core.ids import partition_of
from inm.core.records import LANES, Lane
from inm.streaming.emitter import LATER, PROMPT
from inm.streaming.restore import TOMBSTONES

USERS = "inm.users"
RETRIES = "inm.retries"
SCHEDULE = "inm.schedule"
RECEIPTS = "inm.receipts"
OUTCOMES = "inm.outcomes"
EDR = "inm.edr"
DEAD = "inm.dead"
BEGUN = "inm.begun"
CHANGES = "inm.changes"
REFERENCE = "inm.reference"
ROUTES = "inm.routes"
CAMPAIGNS = "inm.campaigns"
AUDIENCES = "inm.audiences"
CALLBACKS = "inm.callbacks"
LEDGER = "inm.ledger"
AUDIT = "inm.audit"
SESSIONS = "inm.sessions"

CHANNELS = ("sms", "email", "rest")
TABLES = ("users", "journeys", "counters", "schedule", "outbox", "campaigns", "audiences", "callbacks")

DAY = 24 * 3600 * 1000


def requests(tenant: str) -> str:
    """The public topic of a tenant's requests: any key."""
    return f"inm.requests.{tenant}"


def tenant_of(topic: str) -> str:
    """The tenant that a request topic says."""
    return topic.removeprefix("inm.requests.")


def notifications(lane: Lane | None) -> str:
    """Notifications to decide; lanes part here, as far as the request or its scenario says so: a rule's own lane counts from there on."""
    return f"inm.notifications.{lane or 'normal'}"


def deliveries(channel: str, lane: str) -> str:
    """Steps to send; lanes are topics so that a one-time password never stands behind a campaign."""
    return f"inm.deliveries.{channel}.{lane}"


def changelog(table: str) -> str:
    """What a table is restored from."""
    return f"inm.{table}.changelog"


NOTIFICATIONS = tuple(map(notifications, LANES))
DELIVERIES = tuple(deliveries(channel, lane) for channel in CHANNELS for lane in LANES)
COPARTITIONED = frozenset({CAMPAIGNS, AUDIENCES, *NOTIFICATIONS, USERS, RETRIES, SCHEDULE, RECEIPTS, OUTCOMES, *DELIVERIES})
"""Topics that are consumed together with the tables: partition n of all of them is on one worker."""

_ON_THE_WAY = (*NOTIFICATIONS, *DELIVERIES)
LINGERS = {
    **dict.fromkeys((name for name in _ON_THE_WAY if name.endswith(".bulk")), LATER),
    **dict.fromkeys((USERS, *(name for name in _ON_THE_WAY if not name.endswith(".bulk"))), PROMPT),
    **dict.fromkeys((EDR, LEDGER, *map(changelog, TABLES)), LATER),
}
"""Which topics are on the way to a recipient that waits, and which nobody waits for: how long a batch of theirs gathers."""


@dataclass(frozen=True)
class Topic:
    """A topic as it is created. ``public`` topics are an interface for others."""

    name: str
    partitions: int
    key: str
    public: bool = False
    config: dict[str, str] = field(default_factory=dict)


def of_requests(tenants: Iterable[str], partitions: int) -> list[Topic]:
    """The topics that tenants' requests come in."""
    # the broker's clock instead of each producer's: validity counts from it
    config = {"retention.ms": str(7 * DAY), "message.timestamp.type": "LogAppendTime"}
    return [Topic(requests(tenant), partitions, "any", True, config) for tenant in tenants]


def catalogue(tenants: Iterable[str], partitions: int) -> list[Topic]:
    """All topics of an installation with these tenants."""
    week, month = {"retention.ms": str(7 * DAY)}, {"retention.ms": str(30 * DAY)}
    compact = {
        "cleanup.policy": "compact",
        "delete.retention.ms": str(TOMBSTONES),
        "segment.ms": str(DAY),
        "min.cleanable.dirty.ratio": "0.3",
    }
    internal = [*NOTIFICATIONS, RETRIES, SCHEDULE, OUTCOMES, *DELIVERIES]
    return [
        *of_requests(tenants, partitions),
        *(Topic(name, partitions, "user", False, week) for name in internal),
        Topic(RECEIPTS, partitions, "route and provider message id", False, week),
        Topic(BEGUN, partitions, "none, by partition", False, {"retention.ms": str(DAY)}),
        Topic(USERS, partitions, "user", True, week),
        Topic(EDR, partitions, "user", True, month),
        Topic(LEDGER, partitions, "partition, tenant, scenario and hour", True, month | {"cleanup.policy": "compact,delete"}),
        Topic(DEAD, 1, "as at the origin", True, month),
        Topic(CAMPAIGNS, partitions, "campaign", False, week),
        Topic(AUDIENCES, partitions, "campaign", False, {"retention.ms": str(DAY)}),
        Topic(CALLBACKS, partitions, "endpoint", False, week),
        Topic(CHANGES, 1, "change", False, week),
        Topic(REFERENCE, 1, "path", False, compact),
        Topic(AUDIT, 1, "tenant", True, {"retention.ms": str(730 * DAY)}),
        Topic(SESSIONS, 1, "session", False, {"retention.ms": str(DAY)}),
        Topic(ROUTES, 1, "route, or route and worker", True, compact),
        *(Topic(changelog(table), partitions, "as in the table", False, compact) for table in TABLES),
    ]


def partition_of_key(key: str, partitions: int) -> int:
    """Where a key of ours belongs."""
    return partition_of(key.encode(), partitions)
