"""The directory of routes: which one a delivery goes by, and what operators and answers change of that."""

import msgspec
import pytest

from inm.channels.directory import Directory, read_event
from inm.core.records import Content, Delivery
from inm.core.results import Answer, Result
from inm.core.routing import Condition, Order, Ported, event_key
from inm.settings.routes import RouteSettings, Traffic

NOW = 1_000_000
DOWN = Answer(Result.ROUTE_FAULT, reason="route-down")


def directory(**traffic: Traffic) -> Directory:
    return Directory([RouteSettings(name, "sms", {}, one) for name, one in traffic.items()], Ported(), "worker-1")


def delivery(*routes: str, to: str = "+39333", seed: int = 1, **more: object) -> Delivery:
    made = Delivery(
        id=f"3-{seed}.1.1", notification=f"3-{seed}", key="acme/7", tenant="acme", scenario="otp", channel="sms", lane="normal",
        route=routes[0], to=to, sender="INM", content=Content(text="hi"), template="t", version=1, language="en", step=1, attempt=1,
        decided=NOW, expires=NOW + 10**9, routes=list(routes) if len(routes) > 1 else [],
    )  # fmt: skip
    return msgspec.structs.replace(made, **more)


async def order(told: Directory, route: str, out: bool) -> None:
    event = Order(route, out, "maintenance", "ann", NOW)
    await told.take({event_key(event): msgspec.json.encode(event)}, True)


async def test_a_route_that_is_out_gets_nothing_until_it_is_back() -> None:
    routes = directory(a=Traffic(), b=Traffic())
    assert {routes.pick(delivery("a", "b", seed=seed), NOW) for seed in range(50)} == {"a", "b"}
    await order(routes, "a", True)
    assert routes.is_out("a")
    assert {routes.pick(delivery("a", "b", seed=seed), NOW) for seed in range(50)} == {"b"}
    assert routes.pick(delivery("a"), NOW) is None
    assert routes.is_taken_by_any(delivery("a"))
    await order(routes, "a", False)
    assert {routes.pick(delivery("a", "b", seed=seed), NOW) for seed in range(50)} == {"a", "b"}


async def test_what_is_no_order_changes_nothing_and_a_deleted_one_is_forgotten() -> None:
    routes = directory(a=Traffic())
    await routes.take({b"a": b"\xff{", b"a/worker-2": msgspec.json.encode(Condition("a", "worker-2", "sick", "well", 0.1, "", NOW))}, False)
    assert not routes.is_out("a")
    await order(routes, "a", True)
    await routes.take({b"a": None}, False)
    assert not routes.is_out("a")


def test_what_was_tried_just_now_is_left_out_and_what_is_not_configured_is_as_it_says() -> None:
    routes = directory(a=Traffic(), b=Traffic())
    assert {routes.pick(delivery("a", "b", seed=seed, avoid=["a"]), NOW) for seed in range(50)} == {"b"}
    assert routes.pick(delivery("a", "b", avoid=["a"]), NOW, ["b"]) is None
    assert routes.pick(delivery("magic-sms"), NOW) == "magic-sms"
    assert routes.pick(delivery("magic-sms"), NOW, ["magic-sms"]) is None


def test_a_number_that_no_route_takes() -> None:
    routes = directory(a=Traffic(prefixes=("+49",)))
    assert routes.pick(delivery("a"), NOW) is None
    assert not routes.is_taken_by_any(delivery("a"))


def test_a_ported_number_goes_by_its_new_network() -> None:
    settings = [RouteSettings("a", "sms", {}, Traffic(prefixes=("+3932",))), RouteSettings("b", "sms", {}, Traffic(prefixes=("+3933",)))]
    routes = Directory(settings, Ported.of([("+39333", "+39320")]), "worker-1")
    assert routes.pick(delivery("a", "b", to="+39333"), NOW) == "a"
    assert routes.pick(delivery("a", "b", to="+39334"), NOW) == "b"


def test_faults_turn_messages_away_and_are_told_once() -> None:
    routes = directory(a=Traffic(), b=Traffic())
    routes.answered("a", [DOWN] * 40, NOW)
    routes.answered("magic-sms", [DOWN], NOW)
    assert {routes.pick(delivery("a", "b", seed=seed), NOW) for seed in range(50)} == {"b"}
    [change] = routes.changes(NOW)
    assert (change.route, change.worker, change.level, change.before, change.at) == ("a", "worker-1", "sick", "well", NOW)
    assert read_event(msgspec.json.encode(change)) == change
    assert routes.changes(NOW) == []
    assert routes.values(NOW)["a"] == pytest.approx(0.2)
    assert [change.level for change in routes.changes(NOW + 600_000)] == ["well"]


def test_slow_receipts_count_by_the_routes_own_measure() -> None:
    routes = directory(a=Traffic(slow_receipt=1.0), b=Traffic())
    for name in ("a", "b", "unknown"):
        for _ in range(100):
            routes.reported(name, 5_000, NOW)
    values = routes.values(NOW)
    assert values["a"] < 0.6
    assert values["b"] == 1.0
