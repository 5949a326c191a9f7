"""The routes as they are now: what is set of them, how well they do, and which of them operators have put out."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from inm.core.health import Health
from inm.core.records import Delivery
from inm.core.results import Answer
from inm.core.routing import Condition, Option, Order, Ported, choose
from inm.settings.routes import RouteSettings

_decode: Any = msgspec.json.Decoder(Order | Condition).decode


class Directory:
    """What one worker knows of its routes. Times are milliseconds."""

    def __init__(self, routes: Iterable[RouteSettings], ported: Ported, worker: str) -> None:
        self.orders: dict[str, Order] = {}
        """The last one of each route, by operators."""
        self.conditions: dict[tuple[str, str], Condition] = {}
        """How each worker found a route the last time that it changed its mind, by route and worker."""
        self._worker = worker
        self._ported = ported
        settings = {route.name: route.traffic for route in routes}
        self._options = {name: Option(name, traffic.weight, traffic.prefixes) for name, traffic in settings.items()}
        self._health = {name: Health(traffic.slow_receipt) for name, traffic in settings.items()}

    def is_out(self, route: str) -> bool:
        """Whether an operator has put it out."""
        return route in self.orders and self.orders[route].out

    def pick(self, delivery: Delivery, now: int, without: Collection[str] = ()) -> str | None:
        """The route for the next try; None if none of those that it may go by is left. What is not configured is as it says."""
        names = delivery.routes or [delivery.route]
        if len(names) == 1 and names[0] not in self._options:
            return None if names[0] in without else names[0]
        excluded = {*without, *delivery.avoid, *filter(self.is_out, names)}
        number = self._ported.network(delivery.to)
        return choose(names, self._options, lambda name: self._health[name].value(now / 1000), number, delivery.id, excluded)

    def is_taken_by_any(self, delivery: Delivery) -> bool:
        """Whether any of its routes takes its address, be it put out or not."""
        number = self._ported.network(delivery.to)
        names = delivery.routes or [delivery.route]
        return any(self._options[name].reach(number) >= 0 for name in names if name in self._options)

    def answered(self, route: str, answers: Iterable[Answer], now: int) -> None:
        """Count what a provider answered."""
        health = self._health.get(route)
        for answer in answers if health else ():
            assert health
            health.answered(answer, now / 1000)

    def reported(self, route: str, after: int, now: int) -> None:
        """Count a receipt that came ``after`` so many ms."""
        if route in self._health:
            self._health[route].reported(after / 1000, now / 1000)

    def values(self, now: int) -> dict[str, float]:
        """The health of each route, from 0 to 1."""
        return {name: health.value(now / 1000) for name, health in self._health.items()}

    def changes(self, now: int) -> list[Condition]:
        """Which routes have become better or worse since the last time that this was asked."""
        found = []
        for name, health in self._health.items():
            change = health.change(now / 1000)
            if change:
                found.append(Condition(name, self._worker, change.level, change.before, round(change.health, 3), change.reason, now))
        return found

    async def take(self, rows: Mapping[bytes, bytes | None], _whole: bool) -> None:
        """Take in what the mirror of ``inm.routes`` hands on."""
        for key, value in rows.items():
            event = read_event(value)
            if isinstance(event, Order):
                self.orders[event.route] = event
            elif isinstance(event, Condition):
                self.conditions[event.route, event.worker] = event
            elif value is None:
                self.orders.pop(key.decode(), None)


def read_event(value: bytes | None) -> Order | Condition | None:
    """An event as it is on ``inm.routes``; None if it is none of ours."""
    try:
        event: Order | Condition = _decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return event
