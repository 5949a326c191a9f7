"""What a dead worker had emitted: known from its last records, so that a replay has the same end."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec

from inm import topics
from inm.core.decide import Refusal
from inm.core.journey import begin, expand
from inm.core.records import Notification
from inm.tables.emitted import Emitted

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
