"""The faults of ``inm chaos``, shortened, under traffic: whatever breaks, the books balance."""

import json
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from inm import topics
from inm.core.edr import Edr
from inm.demo.faults import FAULTS, Unable, broker, disk
from inm.demo.installation import Installation
from inm.demo.ledger import balanced
from inm.streaming.fatal import EXIT_DISK, EXIT_PRODUCE
from tests.support.lab import Lab
from tests.support.ordeal import Ordeal

SHORT = [
    "kill-all",
    "kill-in-rebalance",
    "lose-disk",
    "old-disk",
    "restart-broker",
    "kill-broker",
    "pause-broker",
    "smsc-down",
    "smsc-throttles",
    "smsc-fails",
]
"""Those that need no other proof than their ledger. The rest have tests of their own, here or beside."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def battered() -> AsyncIterator[Installation]:
    """Two supervised workers on a broker of their own, which may break."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("INM_BROKER", raising=False)
        async with Lab() as lab:
            for number in (1, 2):
                await lab.start_worker(f"worker-{number}")
            lab.supervise()
            yield lab


@pytest.mark.parametrize("name", SHORT)
async def test_the_books_balance_after(name: str, battered: Installation) -> None:
    found = await Ordeal(battered, pace=0.3).suffer(FAULTS[name])
    assert balanced(found), json.dumps(found, indent=2)
    assert found["exits"] == []


@pytest.mark.parametrize("names", [[*topics.NOTIFICATIONS], [topics.deliveries("sms", "urgent"), topics.OUTCOMES, topics.EDR]])
async def test_what_the_broker_refuses_is_buried_and_can_be_sent_back(names: list[str], battered: Installation) -> None:
    ordeal = Ordeal(battered, pace=0.3)
    found = await ordeal.suffer(lambda breaker: broker.refuse_on(breaker, *names))
    assert balanced(found), json.dumps(found, indent=2)
    assert found["exits"] == []
    assert ordeal.run.dead
    # a kill before leaves receipts, for what nobody lived to write down, that come as letters two minutes later
    assert {letter.rpartition(": ")[0] for letter in ordeal.run.dead} - {"receipts: unknown-receipt"} == {"emitter: output-refused"}


async def test_a_refused_row_ends_the_worker_and_loses_nothing(battered: Installation) -> None:
    ordeal = Ordeal(battered, pace=0.3)
    found = await ordeal.suffer(lambda breaker: broker.refuse_on(breaker, topics.changelog("journeys")))
    assert balanced(found), json.dumps(found, indent=2)
    assert {code for _, code in battered.exits} == {EXIT_PRODUCE}


async def test_a_full_disk_ends_the_worker_and_loses_nothing(battered: Installation) -> None:
    try:
        found = await Ordeal(battered, pace=0.3).suffer(disk.fill_disk)
    except Unable as reason:
        pytest.skip(str(reason))
    assert balanced(found), json.dumps(found, indent=2)
    assert EXIT_DISK in {code for _, code in battered.exits}


async def test_a_clock_that_is_an_hour_wrong_loses_nothing(battered: Installation) -> None:
    ordeal = Ordeal(battered, pace=0.3)
    found = await ordeal.suffer(FAULTS["step-clock"])
    assert balanced(found), json.dumps(found, indent=2)
    assert found["exits"] == []
    times = [edr.at for edr in map(msgspec.json.Decoder(Edr).decode, ordeal.edrs)]
    assert max(times) - min(times) > 2 * 3_500_000, "the clock was not stepped both ways"


async def test_poison_is_buried_once_with_its_reason_and_delays_nothing(battered: Installation) -> None:
    found = await Ordeal(battered, pace=0.032).suffer(FAULTS["poison"])
    assert balanced(found), json.dumps(found, indent=2)
    assert found["poison"] == {"sent": 320, "unburied": 0, "again": 0, "misread": []}
    # an earlier test's kill leaves receipts, for what nobody lived to write down, that come as letters two minutes later
    assert [letter for letter in found["dead_letters"] if not letter.startswith("receipts: unknown-receipt")] == []


async def test_a_crowd_is_told_once_each_and_others_meanwhile(battered: Installation) -> None:
    ordeal = Ordeal(battered, pace=0.3)
    found = await ordeal.suffer(FAULTS["crowd"])
    assert balanced(found), json.dumps(found, indent=2)
    assert (found["sent"] > 5000, found["double"], found["repeated_edrs"]) == (True, 0, 0)
    order = [edr.request_id for edr in map(msgspec.json.Decoder(Edr).decode, ordeal.edrs) if edr.final]
    crowd = [place for place, name in enumerate(order) if name and "-crowd-" in name]
    assert len(crowd) == 5000
    between = set(order[crowd[0] : crowd[-1]])
    assert len(between) > 20, "nothing else was sent while the crowd was told"
