"""Every metric INM has: names, meaning and labels, defined once; served at ``/metrics`` in Prometheus' text format.

Labels come from closed sets: stages, reasons, routes, results. Never a user, an address or an id.
"""

from platform import python_version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from inm import __version__

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each counter, which nobody asks for
REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(namespace="inm", registry=REGISTRY)

BUILD = Info("inm_build", "The version that runs.", registry=REGISTRY)
BUILD.info({"version": __version__, "python": python_version()})

READY = Gauge("inm_ready", "1 if this worker has its partitions with their tables restored.", registry=REGISTRY)
PARTITIONS = Gauge("inm_table_partitions", "Partitions of the tables that this worker holds.", registry=REGISTRY)
RESTORED = Counter("inm_restored_records", "Records read from changelogs into tables that were taken over.", registry=REGISTRY)
RESTORE_SECONDS = Counter("inm_restore_seconds", "Seconds for which tables that were taken over were read.", registry=REGISTRY)

STAGE_RECORDS = Counter("inm_stage_records", "Records that a stage has decided, dead letters among them.", ["stage"], registry=REGISTRY)
STAGE_SECONDS = Counter(
    "inm_stage_seconds", "Seconds for which a stage has decided and nothing else could run; not of dispatch.", ["stage"], registry=REGISTRY
)
DEAD_LETTERS = Counter("inm_dead_letters", "Records sent to inm.dead.", ["stage", "reason"], registry=REGISTRY)
ATTEMPTS = Counter(
    "inm_attempts", "Answers of providers to attempts, by normalised result.", ["channel", "route", "result"], registry=REGISTRY
)
ROUTE_HEALTH = Gauge("inm_route_health_ratio", "How well this worker finds a route: 1 is well, 0 is gone.", ["route"], registry=REGISTRY)
ROUTE_OUT = Gauge("inm_route_out", "1 if an operator has put the route out.", ["route"], registry=REGISTRY)
ROUTE_RATE = Gauge(
    "inm_route_rate_parts",
    "Parts a second that this worker may write to a route: its share of what was set, or what the provider lets it; 0 is no limit.",
    ["route"],
    registry=REGISTRY,
)
ALGORITHMS = Counter(
    "inm_algorithm_calls", "Calls of plug-ins by the decision, by what came of them.", ["algorithm", "hook", "result"], registry=REGISTRY
)

CALLBACKS = Counter("inm_callbacks", "Posts of callbacks, by what came of them.", ["tenant", "result"], registry=REGISTRY)
CALLBACKS_SUSPENDED = Gauge(
    "inm_callback_suspended", "1 if nothing is posted to an endpoint any more.", ["tenant", "callback"], registry=REGISTRY
)

SOURCE_QUERIES = Counter(
    "inm_source_queries", "Questions to the tenants' sources of user data, by what came of them.", ["tenant", "result"], registry=REGISTRY
)
SOURCE_SECONDS = Histogram(
    "inm_source_query_duration_seconds",
    "From a question to a source to its answer, or to the end of patience.",
    ["tenant"],
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
SOURCE_UP = Gauge("inm_source_up", "1 if a source answered lately, 0 while it is left in peace.", ["tenant"], registry=REGISTRY)
USER_LOADS = Counter("inm_user_loads", "Users asked for at their source, by what is known then.", ["tenant", "result"], registry=REGISTRY)
USER_FAULTS = Counter("inm_user_faults", "What was wrong with the data of users, by its reason.", ["tenant", "reason"], registry=REGISTRY)

CHANGES = Counter("inm_reference_changes", "Changes of reference data that were decided here.", ["result"], registry=REGISTRY)
REFERENCE_AGE = Gauge(
    "inm_reference_age_seconds", "For how long this worker has not heard from Kafka whether reference data changed.", registry=REGISTRY
)

OPEN = Gauge("inm_ledger_open", "Notifications without a final event, on this worker.", ["tenant"], registry=REGISTRY)
OVERDUE = Gauge(
    "inm_ledger_overdue", "Of those, the ones of hours whose last deadline has passed for ten minutes.", ["tenant"], registry=REGISTRY
)

LOOP_BLOCKED = Counter("inm_event_loop_blocked", "Times that the event loop had no turn for over a second.", registry=REGISTRY)

HTTP_REQUESTS = Counter("inm_http_requests", "Answers of the API.", ["route", "method", "status"], registry=REGISTRY)
HTTP_SECONDS = Histogram(
    "inm_http_request_duration_seconds",
    "From a request's head to its answer.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition() -> bytes:
    """All of them as :data:`CONTENT_TYPE`."""
    return generate_latest(REGISTRY)
