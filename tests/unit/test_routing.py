"""The choice of a route: by number, weight and health; the same for the same message."""

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.routing import Condition, Option, Order, Ported, choose, event_key

NAMES = ["a", "b", "c", "d"]
OPTIONS = st.fixed_dictionaries(
    {
        name: st.builds(
            Option, st.just(name), st.sampled_from([0.0, 0.5, 1.0, 7.0]), st.lists(st.sampled_from(["+3", "+39", "+4"])).map(tuple)
        )
        for name in NAMES
    }
)
HEALTH = st.fixed_dictionaries({name: st.floats(0.01, 1.0) for name in NAMES})


def of(*options: Option) -> dict[str, Option]:
    return {option.name: option for option in options}


def shares(options: Mapping[str, Option], health: Mapping[str, float], number: str = "+39333", count: int = 2000) -> Counter[str | None]:
    return Counter(choose(list(options), options, lambda name: health.get(name, 1.0), number, f"d{seed}") for seed in range(count))


@given(OPTIONS, HEALTH, st.sampled_from(["+39333", "+3800", "+491", "a@b.example"]), st.text(max_size=5), st.sets(st.sampled_from(NAMES)))
def test_what_is_chosen_can_take_it_and_is_not_excluded(
    options: dict[str, Option], health: dict[str, float], number: str, seed: str, without: set[str]
) -> None:
    found = choose(NAMES, options, health.__getitem__, number, seed, without)
    able = [name for name in NAMES if name not in without and options[name].reach(number) >= 0]
    assert (found is None) == (not able)
    assert found is None or found in able
    assert found == choose(NAMES, options, health.__getitem__, number, seed, without)


@given(OPTIONS, HEALTH, st.text(max_size=5))
def test_nothing_better_is_passed_over(options: dict[str, Option], health: dict[str, float], seed: str) -> None:
    """Of those that are not sick, one with a weight before one without, and a longer prefix before a shorter one."""
    found = choose(NAMES, options, health.__getitem__, "+39333", seed)
    fit = [option for option in options.values() if option.reach("+39333") >= 0 and health[option.name] >= 0.4]
    if found is not None and fit:
        best = max((option.weight > 0, option.reach("+39333")) for option in fit)
        assert (options[found].weight > 0, options[found].reach("+39333")) == best


@given(OPTIONS, HEALTH, st.text(max_size=5))
def test_when_one_is_taken_out_only_its_messages_go_elsewhere(options: dict[str, Option], health: dict[str, float], seed: str) -> None:
    before = choose(NAMES, options, health.__getitem__, "+39333", seed)
    for out in NAMES:
        assert out == before or choose(NAMES, options, health.__getitem__, "+39333", seed, [out]) == before


def test_messages_are_shared_by_weight_and_health() -> None:
    options = of(Option("a", 3.0), Option("b", 1.0))
    assert shares(options, {})["a"] == pytest.approx(1500, rel=0.06)
    assert shares(options, {"a": 0.5})["a"] == pytest.approx(2000 * 1.5 / 2.5, rel=0.06)


def test_a_sick_route_gets_nothing_while_another_can() -> None:
    options = of(Option("a", 3.0), Option("b", 1.0), Option("spare", 0.0))
    assert set(shares(options, {"a": 0.1})) == {"b"}
    assert set(shares(options, {"a": 0.1, "b": 0.2})) == {"spare"}
    assert set(shares(options, {"a": 0.1, "b": 0.2, "spare": 0.05})) == {"b"}


def test_the_longest_prefix_wins_and_the_next_one_stands_in() -> None:
    options = of(Option("all"), Option("italy", 1.0, ("+39",)), Option("mobile", 1.0, ("+3933", "+3934")), Option("german", 1.0, ("+49",)))
    assert set(shares(options, {})) == {"mobile"}
    assert set(shares(options, {"mobile": 0.1})) == {"italy"}
    assert set(shares(options, {"mobile": 0.1, "italy": 0.1})) == {"all"}
    assert set(shares(options, {}, "+44770")) == {"all"}


def test_a_ported_number_is_looked_up_by_its_new_network() -> None:
    ported = Ported.of([("+393331", "+39320"), ("+393339", "+39340"), ("+39333", "+39320")])
    found = {number: ported.network(number) for number in ("+393331", "+393339", "+39333", "+393332", "+1", "a@b.example", "+" + "9" * 30)}
    assert found == {"+393331": "+39320", "+393339": "+39340", "+39333": "+39320"} | {
        number: number for number in ("+393332", "+1", "a@b.example", "+" + "9" * 30)
    }
    assert Ported().network("+39333") == "+39333"


def test_orders_and_conditions_have_keys_of_their_own() -> None:
    order, condition = Order("a", True, "", "", 0), Condition("a", "w1", "sick", "well", 0.1, "", 0)
    assert {event_key(order), event_key(condition)} == {b"a", b"a/w1"}
