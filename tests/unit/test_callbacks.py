"""Callbacks: whom they concern, when they are tried, and when an endpoint is given up."""

import json
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.callbacks import (
    AT_ONCE,
    FAILING,
    JITTER,
    LONGEST_REST,
    LOOKS,
    MARGIN,
    NEVER,
    PATIENCE,
    SCHEDULE,
    BoundCallback,
    Callback,
    Endpoint,
    Glimpse,
    Letter,
    Tried,
    allowance,
    concerns,
    content,
    faults,
    next_attempt,
    resumed,
    settle,
)
from inm.core.networks import parse
from tests.support.books import held, scenario

NOW = 1_795_334_400_000
FAILED, TAKEN, GONE = Tried("failed", "HTTP status 500"), Tried("taken"), Tried("gone", "HTTP status 410")


def callback(**given_: Any) -> Callback:
    return Callback(**{"tenant": "acme", "name": "crm", "url": "https://crm.example/hook", "secret_env": "ACME_HOOK", **given_})


def bound(**given_: Any) -> BoundCallback:
    return BoundCallback(callback(**given_), NOW)


def edr(event: str = "delivered", **given_: Any) -> Glimpse:
    return Glimpse(**{"id": "3-abc.1.1.delivered", "event": event, "at": NOW, "tenant": "acme", "scenario": "hello", **given_})


def letter(attempts: int = 0) -> Letter:
    return Letter("3-abc.1.1.delivered.final", "delivered", NOW, b'{"schema":1,"id":"3-abc"}', attempts)


def test_without_a_list_it_is_the_end_and_what_corrects_it() -> None:
    assert concerns(edr(final=True), bound())
    assert concerns(edr(correction=True), bound())
    assert concerns(edr("read"), bound())
    assert not concerns(edr("submitted"), bound())


def test_with_a_list_it_is_those_events() -> None:
    assert concerns(edr("submitted"), bound(events=["submitted"]))
    assert not concerns(edr(final=True), bound(events=["submitted"]))
    assert not concerns(edr(final=True), bound(scenarios=["otp"]))
    assert concerns(edr(final=True), bound(scenarios=["otp", "hello"]))


def test_the_past_is_told_to_nobody() -> None:
    assert concerns(edr(final=True, at=NOW - MARGIN), bound())
    assert not concerns(edr(final=True, at=NOW - MARGIN - 1), bound())


def test_a_letter_is_tried_ten_times_at_the_times_of_the_standard() -> None:
    assert len(SCHEDULE) + 1 == 10
    for attempts, seconds in enumerate(SCHEDULE):
        wait = next_attempt(letter(attempts), NOW) - NOW
        assert abs(wait - seconds * 1000) <= seconds * 1000 * JITTER
    assert next_attempt(letter(len(SCHEDULE)), NOW) == NEVER + NOW


def test_an_endpoint_that_answers_gets_many_at_once_and_one_that_fails_one_at_a_time() -> None:
    working = Endpoint()
    assert allowance(working, NOW) == AT_ONCE
    failing = working
    for _ in range(FAILING):
        assert allowance(failing, NOW) == AT_ONCE
        failing, _ = settle(failing, letter(), FAILED, NOW)
    assert failing.state == "failing"
    assert allowance(failing, NOW + LOOKS[0] * 1000 - 1) == 0
    assert allowance(failing, NOW + LOOKS[0] * 1000) == 1
    recovered, due = settle(failing, letter(), TAKEN, NOW)
    assert (recovered, due) == (Endpoint(), None)


def test_looks_become_rarer() -> None:
    endpoint = Endpoint(failures=FAILING, failing_since=NOW)
    waits = []
    for _ in range(len(LOOKS) + 2):
        endpoint, _ = settle(endpoint, letter(), FAILED, NOW)
        waits.append((endpoint.rest_until - NOW) // 1000)
    assert waits == [*LOOKS, LOOKS[-1], LOOKS[-1]]


@pytest.mark.parametrize(("seconds", "rest"), [(7.0, 7_000), (1e9, LONGEST_REST)])
def test_it_rests_when_it_is_asked_to(seconds: float, rest: int) -> None:
    endpoint, _ = settle(Endpoint(), letter(), Tried("failed", "HTTP status 503", seconds), NOW)
    assert endpoint.rest_until == NOW + rest
    assert allowance(endpoint, NOW + rest - 1) == 0
    assert allowance(endpoint, NOW + rest) == AT_ONCE


def test_who_is_gone_is_suspended_at_once_and_who_fails_after_three_days() -> None:
    gone, due = settle(Endpoint(), letter(), GONE, NOW)
    assert gone.suspended == "gone"
    assert due, "the letter is kept, for who takes it up again"
    assert allowance(gone, NOW + 2 * PATIENCE) == 0
    failing = Endpoint(failures=99, failing_since=NOW)
    assert settle(failing, letter(), FAILED, NOW + PATIENCE - 1)[0].suspended is None
    assert settle(failing, letter(), FAILED, NOW + PATIENCE)[0].suspended == "failing"


def test_an_order_takes_it_up_again() -> None:
    endpoint = resumed(Endpoint(at=4, failures=99, failing_since=1, suspended="gone", error="x"), NOW)
    assert endpoint == Endpoint(4, resend=NOW)
    assert resumed(endpoint, NOW + 5).resend == NOW, "of two orders the earlier time counts"
    assert settle(endpoint, letter(), TAKEN, NOW)[0].resend == NOW, "it is not done with"


tries = st.sampled_from([FAILED, TAKEN, GONE, Tried("failed", "", 60)])


@given(st.lists(st.tuples(tries, st.integers(0, 10**8)), max_size=60))
def test_a_suspended_endpoint_stays_so_until_something_is_taken(steps: list[tuple[Tried, int]]) -> None:
    """A letter never gets lost: it was taken, or it stands under a later time."""
    endpoint, now, open_letter = Endpoint(), NOW, letter()
    for tried, wait in steps:
        now += wait
        was = endpoint.suspended
        endpoint, due = settle(endpoint, open_letter, tried, now)
        assert (due is None) == (tried.result == "taken")
        assert due is None or due > now
        assert not was or endpoint.suspended or tried.result == "taken"
        assert (endpoint.failures == 0) == (tried.result == "taken")
        open_letter = letter() if due is None else letter(open_letter.attempts + 1)
        assert open_letter.attempts <= len(SCHEDULE) or due is None or due >= NEVER


def test_the_body_is_as_the_standard_wants_it() -> None:
    body = json.loads(content(letter()))
    assert body == {"type": "notification.delivered", "timestamp": "2026-11-22T08:00:00.000Z", "data": {"schema": 1, "id": "3-abc"}}
    assert datetime.fromisoformat(body["timestamp"]).timestamp() * 1000 == NOW


@pytest.mark.parametrize(
    ("given_", "pointer"),
    [
        ({"url": "http://10.0.0.7/x"}, "/url"),
        ({"url": "gopher://x"}, "/url"),
        ({"secret_env": "VOLTA_HOOK"}, "/secret_env"),
        ({"secret_env": "INM_API_KEYS"}, "/secret_env"),
        ({"scenarios": ["hello", "goodbye"]}, "/scenarios/1"),
    ],
)
def test_a_wrong_document_is_refused(given_: dict[str, Any], pointer: str) -> None:
    assert [fault.pointer for fault in faults(callback(**given_), (), ["hello"])] == [pointer]


def test_a_right_one_is_taken() -> None:
    assert not [*faults(callback(scenarios=["hello"], events=["read"]), (), ["hello"])]
    assert not [*faults(callback(url="http://10.0.0.7:8080/x"), parse(["10.0.0.0/8"]), ["hello"])]


def test_it_is_checked_with_the_other_documents_and_bound() -> None:
    from inm.core.catalogue import bind, check

    document = msgspec.to_builtins(callback(scenarios=["hello"]))
    documents = held(document, scenario(plan=[]))
    found = bind(documents)
    assert found
    assert found.callbacks["crm"].endpoint == "acme/crm"
    wrong = check("acme", held(document | {"url": "http://[::1]/"}), {"smsc-1": "sms", "smtp-1": "email"})
    assert ("acme/callback/crm", "/url") in [(path, fault.pointer) for path, fault in wrong.faults]
    assert ("acme/callback/crm", "/scenarios/0") in [(path, fault.pointer) for path, fault in wrong.faults]
