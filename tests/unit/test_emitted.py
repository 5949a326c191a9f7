"""What a dead worker had emitted: known from its last records, so that a replay has the same end and says nothing twice."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec

from inm import topics
from inm.core.aftermath import accepted_late, outcome
from inm.core.decide import Refusal
from inm.core.edr import Edr, Times
from inm.core.ids import offer_id, retry_id
from inm.core.journey import begin, expand
from inm.core.records import Content, Delivery, Notification, Wait
from inm.core.results import Answer, Result
from inm.core.retry import Retries
from inm.tables.emitted import Emitted

DELIVERY = Delivery(
    id="3-abc.1.1", notification="3-abc", key="acme/u1", tenant="acme", scenario="otp", channel="sms", lane="normal", route="a",
    to="+39333", sender="INM", content=Content(text="hi"), template="t", version=1, language="en", step=1, attempt=1, decided=1, expires=9,
)  # fmt: skip
NOTIFICATION = Notification("3-abc", "acme/u1", "acme", "otp", 1)


async def learned(*values: bytes) -> Emitted:
    async def records() -> AsyncIterator[Any]:
        for value in values:
            yield SimpleNamespace(topic=topics.EDR, partition=0, value=value)

    emitted = Emitted()
    await emitted.learn(records())
    return emitted


async def test_a_refusal_that_is_out_is_the_end_whatever_is_known_later() -> None:
    refusal = Refusal("no-address", "the plan needs phone", [])
    edrs = begin(NOTIFICATION, refusal, 2)[1].edrs
    emitted = await learned(*map(msgspec.json.encode, edrs))
    reason, detail = emitted.refusals[NOTIFICATION.id]
    again = begin(NOTIFICATION, Refusal(reason, detail, []), 3)[1].edrs
    assert {edr.id for edr in again} <= emitted.edrs
    emitted.forget()
    assert not emitted.refusals


async def test_other_ends_are_no_refusals() -> None:
    assert not (await learned(*map(msgspec.json.encode, expand(NOTIFICATION, [NOTIFICATION], 2)[1].edrs))).refusals
    assert not (await learned(b"{}", b'{"id": "x", "final": true, "step": 1, "reason": "undelivered"}')).refusals


OFFER = "0-n.1.2/0"
DEADLINE = "0-n.1.1.deadline"


async def _records(*found: tuple[str, Any]) -> AsyncIterator[Any]:
    for topic, item in found:
        yield SimpleNamespace(topic=topic, partition=0, value=msgspec.json.encode(item))


async def test_a_retry_goes_on_once_while_in_doubt_and_as_often_as_it_comes_otherwise() -> None:
    emitted = Emitted()
    assert [emitted.may_go(retry_id(OFFER)) for _ in range(2)] == [True, True]
    await emitted.learn(_records())
    assert [emitted.may_go(retry_id(OFFER)) for _ in range(2)] == [True, False]
    assert [emitted.may_go(DEADLINE) for _ in range(2)] == [True, True]
    emitted.forget()
    assert emitted.may_go(retry_id(OFFER))


async def test_an_offer_that_is_out_does_not_go_again() -> None:
    emitted = Emitted()
    await emitted.learn(_records((topics.DELIVERIES[0], {"id": "0-n.1.2", "decided": 5, "offer": 0})))
    assert not emitted.may_go(retry_id(OFFER))


async def test_retries_that_wait_are_known_until_they_are_forgotten() -> None:
    emitted = Emitted()
    wait = Wait(retry_id(OFFER), 5, topics.DELIVERIES[0], "acme/u", msgspec.Raw(b"{}"))
    await emitted.learn(_records((topics.RETRIES, wait)))
    assert emitted.retries == {retry_id(OFFER)}
    emitted.forget()
    assert emitted.retries == set()


async def test_an_end_that_is_out_stays_the_end_and_another_one_corrects_it() -> None:
    told = Edr("3-abc.2.1.submitted.final", "submitted", 2, "3-abc", "acme", "otp", Times(1), final=True, step=2)
    emitted = await learned(msgspec.json.encode(told))
    other = msgspec.structs.replace(told, id="3-abc.1.1.delivered.final", event="delivered", step=1)
    assert emitted.agreed(told) == [told]
    end, late = emitted.agreed(other)
    assert (end.id, end.event, end.final) == (told.id, "submitted", True)
    assert (late.id, late.event, late.final, late.correction) == ("3-abc.1.1.delivered.late", "delivered", False, True)
    elsewhere = msgspec.structs.replace(other, notification="3-xyz")
    assert emitted.agreed(elsewhere) == [elsewhere]
    emitted.forget()
    assert emitted.agreed(other) == [other]


def test_a_delivery_of_a_later_step_that_is_out_is_known() -> None:
    emitted = Emitted()
    emitted.offers = {"3-abc.2.1/0": 5, "3-abcd.9.1/0": 5}
    assert emitted.goes_on("3-abc", 1)
    assert not emitted.goes_on("3-abc", 2)
    assert not emitted.goes_on("3-xyz", 0)


async def test_what_follows_an_answer_follows_the_first_one_not_the_one_that_came_late() -> None:
    first = outcome(DELIVERY, Answer(Result.UNKNOWN, reason="no-answer"), True, 1, 2, Retries())
    late = accepted_late(DELIVERY, Answer(Result.SENT, ["x"]), True, 3)
    emitted = Emitted()
    await emitted.learn(_records((topics.OUTCOMES, first), (topics.OUTCOMES, late)))
    assert emitted.answers == {offer_id(DELIVERY.id, 0): first}
