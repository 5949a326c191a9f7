"""When the user data at hand serve, when the source is asked, and what follows when it fails."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from inm.core.freshness import FIRST, LOADS, LONGEST, Ask, Hold, Never, Refreshes, Use, consult
from inm.core.records import Notification
from inm.core.scenarios import Scenario, Step
from inm.core.sources import Lookup, Source
from inm.core.users import LATELY, User

NOW = 1_800_000_000_000
SOURCE = Source("acme", "crm", "sql", "ACME_URL", Lookup("SELECT 1 WHERE id IN :keys"))
SCENARIO = Scenario("acme", "otp", [Step("sms", "otp", "acme", 60)], 300)
ASKED = Notification("0-x", "acme/c-1", "acme", "otp", NOW, user="c-1")
ROW = User("acme/c-1", NOW + 80_000, loaded_at=NOW - 20_000, stale_until=NOW + 200_000, phone="+393331234567")
OLD = structs.replace(ROW, expires_at=NOW - 1, loaded_at=NOW - 100_000)


def after(loaded: str, **more: Any) -> Notification:
    return structs.replace(ASKED, loaded=loaded, **({"asked": 1} | more))


def scenario(mode: str) -> Scenario:
    return structs.replace(SCENARIO, user_data=mode)


def test_a_fresh_row_serves_whatever_was_said() -> None:
    for notification in (ASKED, after("known"), after("unknown"), after("failed")):
        assert consult(notification, ROW, SOURCE, SCENARIO, NOW) == Use(ROW)


def test_who_is_not_there_or_not_fresh_is_asked_for() -> None:
    for row in (None, OLD):
        found = consult(ASKED, row, SOURCE, SCENARIO, NOW)
        assert found == Ask(structs.replace(ASKED, asked=1))


def test_nobody_is_asked_for_without_a_source_or_a_name() -> None:
    assert consult(ASKED, None, None, SCENARIO, NOW) == Use(None)
    assert consult(ASKED, OLD, None, SCENARIO, NOW) == Use(None)
    assert consult(structs.replace(ASKED, user=None, phone="+393331234567"), None, SOURCE, SCENARIO, NOW) == Use(None)
    assert isinstance(consult(structs.replace(ASKED, user=None, offer="o-1"), None, SOURCE, SCENARIO, NOW), Ask)


def test_a_row_just_loaded_serves_even_if_its_ttl_was_a_second() -> None:
    brief = structs.replace(ROW, loaded_at=NOW - LATELY, expires_at=NOW - LATELY + 1000)
    assert consult(after("known"), brief, SOURCE, SCENARIO, NOW) == Use(brief)
    assert isinstance(consult(after("known"), structs.replace(brief, loaded_at=NOW - LATELY - 1), SOURCE, SCENARIO, NOW), Ask)


def test_a_user_whom_the_source_does_not_know_is_decided_without() -> None:
    absent = User("acme/c-1", NOW - 1, absent=True, loaded_at=NOW - 10)
    assert consult(after("unknown"), absent, SOURCE, SCENARIO, NOW) == Use(absent)
    assert consult(after("unknown"), None, SOURCE, SCENARIO, NOW) == Use(None)
    assert consult(after("unknown"), OLD, SOURCE, SCENARIO, NOW) == Use(None), "it was deleted at the source"


def test_a_row_that_is_lost_is_loaded_again_a_bounded_number_of_times() -> None:
    notification, loads = ASKED, 0
    while isinstance(found := consult(notification, None, SOURCE, SCENARIO, NOW), Ask):
        notification, loads = structs.replace(found.notification, loaded="known"), loads + 1
    assert loads == LOADS
    assert isinstance(found, Hold)


@pytest.mark.parametrize("loaded", ["failed", "known"])
def test_while_the_source_fails_the_scenario_says_what_serves(loaded: str) -> None:
    failed = after(loaded, asked=LOADS)
    assert consult(failed, OLD, SOURCE, scenario("stale"), NOW) == Use(OLD)
    assert consult(failed, OLD, SOURCE, scenario("optional"), NOW) == Use(OLD)
    assert consult(failed, None, SOURCE, scenario("optional"), NOW) == Use(None)
    assert isinstance(consult(failed, OLD, SOURCE, scenario("fresh"), NOW), Hold)
    ended = structs.replace(OLD, stale_until=NOW - 1)
    assert isinstance(consult(failed, ended, SOURCE, scenario("stale"), NOW), Hold)
    assert consult(failed, ended, SOURCE, scenario("optional"), NOW) == Use(None)


@given(st.text(min_size=1), st.integers(0, 10_000_000))
def test_it_waits_longer_each_time_and_ends_with_the_validity(name: str, scheduled: int) -> None:
    notification = structs.replace(ASKED, id=name, received=NOW, at=NOW + scheduled)
    now, waits = NOW + scheduled, []
    for _ in range(1000):
        found = consult(notification, None, SOURCE, SCENARIO, now)
        if isinstance(found, Ask):
            notification = structs.replace(found.notification, loaded="failed")
        elif isinstance(found, Hold):
            assert found.notification.loaded is None
            waits.append(found.due - now)
            notification, now = found.notification, found.due
        else:
            break
    assert isinstance(found, Never)
    assert now == NOW + scheduled + SCENARIO.validity * 1000 + 1
    for number, wait in enumerate(waits[:-1]):
        middle = min(LONGEST, FIRST * 2**number)
        assert 0.75 * middle - 1 <= wait <= 1.25 * middle + 1


def test_a_step_of_its_own_is_asked_for_anew() -> None:
    assert isinstance(consult(structs.replace(ASKED, step=2), OLD, SOURCE, SCENARIO, NOW), Ask)


# refreshes


def test_only_the_last_fifth_of_what_a_source_said_is_refreshed() -> None:
    late = structs.replace(ROW, expires_at=NOW + 4_999)
    for row, expected in [(ROW, False), (late, True), (structs.replace(late, stale_until=0), False)]:
        assert consult(ASKED, row, SOURCE, SCENARIO, NOW) == Use(row, refresh=expected)
    assert consult(ASKED, late, None, SCENARIO, NOW) == Use(late)


def test_a_life_is_refreshed_once() -> None:
    refreshes = Refreshes()
    assert refreshes.allow(ROW, 50, NOW)
    assert not refreshes.allow(ROW, 50, NOW + 1000)
    assert refreshes.allow(structs.replace(ROW, expires_at=NOW + 99_000), 50, NOW + 2000)


@given(st.lists(st.integers(0, 400), max_size=300), st.integers(0, 20))
def test_no_more_are_refreshed_than_the_source_may_bear(gaps: list[int], rate: int) -> None:
    refreshes, now, allowed = Refreshes(), NOW, []
    for number, gap in enumerate(gaps):
        now += gap
        if refreshes.allow(User(f"acme/{number}", NOW), rate, now):
            allowed.append(now)
    for first, began in enumerate(allowed):
        within = [at for at in allowed[first:] if at < began + 1000]
        assert len(within) <= 2 * rate
