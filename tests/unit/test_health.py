"""The health of routes: it falls with faults and slow receipts, recovers by itself, and each change has its reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.health import FLOORS, Change, Health
from inm.core.results import Answer, Result

SENT = Answer(Result.SENT, ["1"])
DOWN = Answer(Result.ROUTE_FAULT, reason="route-down", code="0x1")
START = 1000.0
EVENTS = st.lists(st.tuples(st.floats(0, 20), st.one_of(st.sampled_from(list(Result)), st.floats(0, 300))), max_size=100)


def told(health: Health, events: list[tuple[float, Result | float]]) -> float:
    """Let it happen; the time after it."""
    now = START
    for gap, what in events:
        now += gap
        if isinstance(what, Result):
            health.answered(Answer(what), now)
        else:
            health.reported(what, now)
    return now


@given(EVENTS)
def test_it_is_a_share_and_comes_back_by_itself(events: list[tuple[float, Result | float]]) -> None:
    health = Health(60.0)
    now = told(health, events)
    assert 0.0 < health.value(now) <= 1.0
    assert health.value(now + 60.0) >= health.value(now)
    assert health.value(now + 600.0) > 0.99


@given(EVENTS, st.sampled_from([Result.TEMPORARY, Result.ROUTE_FAULT, Result.UNKNOWN]))
def test_faults_and_slow_receipts_only_lower_it_and_good_ones_only_raise_it(
    events: list[tuple[float, Result | float]], fault: Result
) -> None:
    health = Health(60.0)
    now = told(health, events)
    values = [health.value(now)]
    for what in (fault, 61.0, Result.SENT, 1.0):
        told(health, [(now - START, what)])
        values.append(health.value(now))
    assert values[0] > values[1] >= values[2] <= values[3] <= values[4]


def test_what_speaks_of_the_message_does_not_speak_against_the_route() -> None:
    health = Health(60.0)
    for result in (Result.PERMANENT, Result.INVALID_ADDRESS, Result.NOT_ALLOWED, Result.THROTTLED) * 20:
        health.answered(Answer(result), 0.0)
    assert health.value(0.0) == 1.0


def test_each_change_is_told_once_with_its_reason() -> None:
    health, changes = Health(60.0), list[Change]()
    for second in range(200):
        for _ in range(5):
            health.answered(DOWN if 10 <= second < 40 else SENT, second)
        change = health.change(second)
        if change:
            changes.append(change)
            assert health.change(second) is None
    assert [(change.before, change.level) for change in changes] == [
        ("well", "ailing"),
        ("ailing", "sick"),
        ("sick", "ailing"),
        ("ailing", "well"),
    ]
    assert changes[0].reason.endswith("answers were faults: route-down 0x1")
    assert changes[-1].reason == "fewer faults lately"


def test_a_dead_route_is_sick_within_some_dozen_answers() -> None:
    health = Health(60.0)
    for _ in range(20):
        health.answered(DOWN, 1.0)
    change = health.change(1.0)
    assert change
    assert (change.before, change.level) == ("well", "sick")
    assert change.health < FLOORS["ailing"]


def test_slow_receipts_make_it_ailing_and_say_so() -> None:
    health = Health(2.0)
    for _ in range(100):
        health.reported(3.0, 1.0)
    change = health.change(1.0)
    assert change
    assert (change.level, change.reason) == ("ailing", "100 of the last 100 receipts took over 2 s")


def test_on_the_line_it_does_not_come_and_go() -> None:
    health = Health(60.0)
    changes = 0
    for number in range(3000):
        health.answered(DOWN if number % 5 == 0 else SENT, number * 0.1)  # a fifth are faults: 0.8
        changes += health.change(number * 0.1) is not None
    assert changes <= 2


@pytest.mark.parametrize("answers", [1, 2])
def test_a_fault_or_two_in_a_quiet_hour_are_nothing(answers: int) -> None:
    health = Health(60.0)
    for _ in range(answers):
        health.answered(DOWN, 3600.0)
    assert health.change(3600.0) is None
