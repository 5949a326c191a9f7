"""Sampling: what this worker has done lately, by its own metrics; and how it stands."""

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from inm import metrics, topics
from inm.core.completeness import HOUR
from inm.core.flow import DEAD_WITHIN, Ends, Flow, Queue, RouteFlow
from inm.streaming.chunks import now_ms
from inm.tables.journeys import tallies

if TYPE_CHECKING:
    from inm.app import Inm

EVERY = 1.0
"""Seconds between two samples."""
SPAN = 10
"""Samples over which a rate is told."""
KEPT = 2.0
"""Seconds for which what was told of a tenant is told again: many look at the same page."""

STAGES = {
    **dict.fromkeys(topics.NOTIFICATIONS, "evaluate"),
    topics.USERS: "users",
    topics.RECEIPTS: "receipts",
    topics.OUTCOMES: "journeys",
    topics.SCHEDULE: "schedule",
    topics.RETRIES: "schedule",
    topics.CAMPAIGNS: "campaigns",
    topics.AUDIENCES: "campaigns",
    topics.CALLBACKS: "callbacks",
    topics.EDR: "callbacks",
    topics.CHANGES: "reference",
    **dict.fromkeys(topics.DELIVERIES, "dispatch"),
}
"""Which stage reads a topic; those of requests are intake's."""
LANED = frozenset((*topics.NOTIFICATIONS, *topics.DELIVERIES))
"""Topics of one lane, which is the last word of their names."""
ORDER = ("intake", "users", "evaluate", "dispatch", "receipts", "journeys", "schedule", "campaigns", "callbacks", "reference")


class Sampler:
    """The counters of the last minutes."""

    def __init__(self, app: "Inm") -> None:
        self._app = app
        self._samples: deque[tuple[float, dict[tuple[str, str], float]]] = deque(maxlen=int(DEAD_WITHIN / EVERY))
        self._known: dict[str, tuple[float, Flow]] = {}

    async def open(self) -> None:
        """Begin to take samples."""
        self._app.add_future(self._follow())

    async def _follow(self) -> None:
        while not self._app.should_stop:
            self.take(monotonic())
            await self._app.sleep(EVERY)

    def take(self, now: float) -> None:
        """A sample."""
        self._samples.append((now, {**_totals(metrics.STAGE_RECORDS, "stage"), **_totals(metrics.ATTEMPTS, "route"), **_dead()}))

    def flow(self, tenant: str) -> Flow:
        """How this worker stands, for the people of a tenant."""
        now = monotonic()
        known = self._known.get(tenant)
        if known is None or now - known[0] > KEPT:
            known = self._known[tenant] = (now, self._flow(tenant, now_ms()))
        return known[1]

    def _flow(self, tenant: str, now: int) -> Flow:
        app = self._app
        held = sorted(app.assignments.partitions) if app.ready else []
        stages, lanes = self._queues(now)
        return Flow(
            worker=app.settings.worker_id,
            partitions=[partition for partition in held if partition < app.partitions],
            ready=app.ready,
            documents_age=min(app.mirror.age, 1e9),
            stages=stages,
            lanes=lanes,
            routes=self._routes(now),
            scenarios=_scenarios(app, tenant, held, now),
            dead=round(self._grown(("dead", ""), len(self._samples))),
            overdue=round(_gauges(metrics.OVERDUE, tenant).get("", 0.0)),
            suspended=[name for name, value in _gauges(metrics.CALLBACKS_SUSPENDED, tenant).items() if value],
            source=all(_gauges(metrics.SOURCE_UP, tenant).values()),
        )

    def _queues(self, now: int) -> tuple[dict[str, Queue], dict[str, Queue]]:
        stages = {stage: Queue(rate=round(self._rate(("stage", stage)), 1)) for stage in ORDER}
        lanes: dict[str, Queue] = {}
        for (topic, _), (waiting, oldest) in self._app.backlog().items():
            queues = [stages[STAGES.get(topic, "intake")]]
            if topic in LANED:
                queues.append(lanes.setdefault(topic.rpartition(".")[2], Queue()))
            for queue in queues:
                queue.waiting += waiting
                queue.age = max(queue.age, (now - oldest) / 1000 if oldest else 0.0)
        return stages, lanes

    def _routes(self, now: int) -> dict[str, RouteFlow]:
        directory = self._app.directory
        found = {}
        for name, health in directory.values(now).items():
            throttle, order = self._app.routes[name].throttle, directory.orders.get(name)
            last = max((each for each in directory.conditions.values() if each.route == name), key=lambda each: each.at, default=None)
            out = order is not None and order.out
            told = order if out else last
            found[name] = RouteFlow(
                channel=self._app.settings.routes[name].channel,
                used=round(self._rate(("route", name)), 1),
                allowed=throttle.rate,
                health=round(health, 3),
                out=out,
                reason=(order.why if out and order else last.reason if last else ""),
                since=told.at if told else None,
            )
        return found

    def _rate(self, key: tuple[str, str]) -> float:
        if len(self._samples) < 2:
            return 0.0
        span = self._samples[-1][0] - self._samples[max(0, len(self._samples) - SPAN)][0]
        return self._grown(key, SPAN) / span

    def _grown(self, key: tuple[str, str], samples: int) -> float:
        """By how much a counter has grown over the last samples."""
        if len(self._samples) < 2:
            return 0.0
        first = self._samples[max(0, len(self._samples) - samples)][1]
        return self._samples[-1][1].get(key, 0.0) - first.get(key, 0.0)


def _scenarios(app: "Inm", tenant: str, held: list[int], now: int) -> dict[str, Ends]:
    book = app.catalogue.book(tenant)
    found: dict[str, Ends] = {}
    for name in book.scenarios if book else ():
        ends = Ends()
        for partition in held:
            for tally in tallies.lately(partition, now, tenant, name, now // HOUR - 23):
                ends.accepted += tally.accepted
                ends.corrections += tally.corrections
                ends.finals = {event: ends.finals.get(event, 0) + tally.finals.get(event, 0) for event in {*ends.finals, *tally.finals}}
        found[name] = ends
    return found


def _samples(metric: Any) -> list[Any]:
    return [sample for family in metric.collect() for sample in family.samples]


def _totals(metric: Any, label: str) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for sample in _samples(metric):
        key = (label, sample.labels[label])
        found[key] = found.get(key, 0.0) + sample.value
    return found


def _dead() -> dict[tuple[str, str], float]:
    return {("dead", ""): sum(sample.value for sample in _samples(metrics.DEAD_LETTERS))}


def _gauges(metric: Any, tenant: str) -> dict[str, float]:
    """The values of a tenant, by its other label if it has one."""
    samples = [sample for sample in _samples(metric) if sample.labels["tenant"] == tenant]
    return {next((value for name, value in sample.labels.items() if name != "tenant"), ""): sample.value for sample in samples}
