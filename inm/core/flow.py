"""The flow: what a worker does now, what all of them do together, and what is wrong with it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from inm.core.health import FLOORS, Level

SLOW = {"urgent": 10.0, "normal": 300.0, "bulk": 24 * 3600.0}
"""Seconds that an item may wait in a lane before somebody should look."""
FORGETFUL = 60.0
"""Seconds for which a worker may not have heard of the documents."""
DEAD_WITHIN = 600
"""Seconds in which dead letters are news."""

Code = Literal[
    "not-ready", "no-answer", "slow-lane", "route-out", "route-sick", "route-ailing", "overdue", "dead", "suspended", "source", "documents"
]


class Queue(Struct):
    """Records that are there and not finished; ``age`` of the oldest that was fetched (s)."""

    waiting: int = 0
    age: float = 0.0
    rate: float = 0.0
    """Records finished a second, lately."""


class RouteFlow(Struct):
    """A route as a worker uses it. ``used`` and ``allowed`` a second: parts where it has a rate, else messages; None is no limit."""

    channel: str
    used: float
    allowed: float | None
    health: float
    out: bool = False
    reason: str = ""
    since: int | None = None


class Ends(Struct):
    """The notifications of a scenario, received in the last day."""

    accepted: int = 0
    finals: dict[str, int] = {}
    corrections: int = 0

    @property
    def open(self) -> int:
        """Those without an end."""
        return self.accepted - sum(self.finals.values())


class Flow(Struct):
    """One worker's, for the people of one tenant."""

    worker: str
    partitions: list[int]
    ready: bool
    documents_age: float
    stages: dict[str, Queue]
    lanes: dict[str, Queue]
    routes: dict[str, RouteFlow]
    scenarios: dict[str, Ends]
    dead: int = 0
    """Dead letters in the last minutes."""
    overdue: int = 0
    suspended: list[str] = []
    """Endpoints of callbacks that are not posted to."""
    source: bool = True
    """Whether the tenant's source of user data answers."""


class Alarm(NamedTuple):
    """Something that somebody should look at."""

    code: Code
    severity: Literal["warn", "bad"]
    what: str
    detail: str = ""


def together(flows: Sequence[Flow]) -> Flow:
    """What all workers do: numbers add up, of ages and of what is wrong the worst counts."""
    return Flow(
        worker=", ".join(flow.worker for flow in flows),
        partitions=sorted({partition for flow in flows for partition in flow.partitions}),
        ready=all(flow.ready for flow in flows),
        documents_age=max((flow.documents_age for flow in flows), default=0.0),
        stages=_queues(flow.stages for flow in flows),
        lanes=_queues(flow.lanes for flow in flows),
        routes=_routes(flows),
        scenarios=_ends(flows),
        dead=sum(flow.dead for flow in flows),
        overdue=sum(flow.overdue for flow in flows),
        suspended=sorted({name for flow in flows for name in flow.suspended}),
        source=all(flow.source for flow in flows),
    )


def alarms(flows: Sequence[Flow], missing: Sequence[int]) -> Iterator[Alarm]:
    """What is wrong, the worst of each kind first."""
    whole = together(flows)
    if missing:
        yield Alarm("no-answer", "bad", ", ".join(map(str, missing)))
    for flow in flows:
        if not flow.ready:
            yield Alarm("not-ready", "warn", flow.worker)
        if flow.documents_age > FORGETFUL:
            yield Alarm("documents", "bad", flow.worker, f"{flow.documents_age:.0f}")
    for lane, most in SLOW.items():
        if lane in whole.lanes and whole.lanes[lane].age > most:
            yield Alarm("slow-lane", "bad", lane, f"{whole.lanes[lane].age:.0f}")
    yield from _of_routes(whole)
    if whole.overdue:
        yield Alarm("overdue", "bad", str(whole.overdue))
    if whole.dead:
        yield Alarm("dead", "warn", str(whole.dead))
    yield from (Alarm("suspended", "warn", name) for name in whole.suspended)
    if not whole.source:
        yield Alarm("source", "warn", "")


def level(health: float) -> Level:
    """In a word."""
    return next(name for name, floor in FLOORS.items() if health >= floor)


def _of_routes(whole: Flow) -> Iterator[Alarm]:
    for name, route in sorted(whole.routes.items()):
        found = level(route.health)
        if route.out:
            yield Alarm("route-out", "warn", name, route.reason)
        elif found != "well":
            yield Alarm("route-sick" if found == "sick" else "route-ailing", "bad" if found == "sick" else "warn", name, route.reason)


def _queues(of_workers: Iterable[dict[str, Queue]]) -> dict[str, Queue]:
    found: dict[str, Queue] = {}
    for queues in of_workers:
        for name, queue in queues.items():
            known = found.get(name, Queue())
            found[name] = Queue(known.waiting + queue.waiting, max(known.age, queue.age), known.rate + queue.rate)
    return found


def _routes(flows: Sequence[Flow]) -> dict[str, RouteFlow]:
    of_route: dict[str, list[RouteFlow]] = defaultdict(list)
    for flow in flows:
        for name, route in flow.routes.items():
            of_route[name].append(route)
    return {name: _route(routes) for name, routes in of_route.items()}


def _route(routes: list[RouteFlow]) -> RouteFlow:
    worst = min(routes, key=lambda route: route.health)
    limits = [route.allowed for route in routes if route.allowed is not None]
    return RouteFlow(
        worst.channel,
        sum(route.used for route in routes),
        sum(limits) if limits else None,
        worst.health,
        any(route.out for route in routes),
        worst.reason,
        worst.since,
    )


def _ends(flows: Sequence[Flow]) -> dict[str, Ends]:
    found: dict[str, Ends] = {}
    for flow in flows:
        for name, ends in flow.scenarios.items():
            known = found.get(name, Ends())
            finals = Counter(known.finals)
            finals.update(ends.finals)
            found[name] = Ends(known.accepted + ends.accepted, dict(finals), known.corrections + ends.corrections)
    return dict(sorted(found.items()))
