"""Routes through the whole path: a rate that two workers share, lanes, another route after a fault, out and in, and the cap."""

import json
from bisect import bisect_left
from collections.abc import Callable
from time import monotonic

import pytest
from aiokafka import AIOKafkaProducer

from inm.demo.installation import Installation
from tests.acceptance.test_two_workers import metric, shared
from tests.support.asks import LAB, Asker, encode, request
from tests.support.commands import done
from tests.support.lab import RATE
from tests.support.load import Books
from tests.support.tap import Tap, until_async

BULK = 600


@pytest.fixture
def asker(tap: Tap, producer: AIOKafkaProducer) -> Asker:
    return Asker(tap, producer)


def busiest(times: list[float]) -> int:
    """The most parts that any second has."""
    return max(bisect_left(times, begin + 1.0) - number for number, begin in enumerate(times))


async def test_two_workers_share_a_rate_and_urgent_messages_go_before_bulk(
    installation: Installation, tap: Tap, books: Books, producer: AIOKafkaProducer, phones: Callable[[], str]
) -> None:
    await installation.start_worker("worker-2")
    await shared(installation)

    async def divided() -> bool:
        rates = [await metric(installation, worker, 'inm_route_rate_parts{route="smsc-slow"}') for worker in ("worker-1", "worker-2")]
        return sum(rates) == RATE and all(rates)

    await until_async(divided)
    for _ in range(BULK):
        number = phones()
        await producer.send(LAB, encode(request(number, "mass", lane="bulk")), key=number.encode())
    await books.until(RATE)
    urgent = [phones() for _ in range(20)]
    for number in urgent:
        await producer.send(LAB, encode(request(number, "mass", lane="urgent")), key=number.encode())
    await books.until(BULK + len(urgent))
    await tap.quiet()
    took = {part.destination: place for place, part in enumerate(books.parts)}
    assert len(took) == len(books.parts) == BULK + len(urgent)
    assert max(took[number.removeprefix("+")] for number in urgent) < 0.8 * BULK
    # the workers' own clocks allow no more than the rate; what is on its way arrives unevenly on a busy machine
    assert busiest(books.times) <= 1.2 * RATE
    assert len(books.times) / (books.times[-1] - books.times[0]) <= 1.02 * RATE + 1


async def test_a_message_goes_by_another_route_at_once_when_one_is_gone(
    installation: Installation, tap: Tap, asker: Asker, phones: Callable[[], str]
) -> None:
    asked = [await asker.send(phones(), "offer", tenant="duo") for _ in range(20)]
    ends = [await asker.end(request_id) for request_id in asked]
    assert {(edr.event, edr.route, edr.attempt) for edr in ends} == {("delivered", "smsc-1", 1)}

    async def told() -> bool:
        """A worker looks at its routes once a second."""
        listed = await done(installation, "route", "list", "--json")
        gone = next(row for row in map(json.loads, listed.lines) if row["name"] == "smsc-gone")
        found = [(each["level"], "route-down" in each["reason"]) for each in gone["conditions"]]
        return found[:1] in ([("ailing", True)], [("sick", True)])

    await until_async(told)


async def test_what_goes_by_a_route_that_is_out_waits_until_it_is_in(
    installation: Installation, tap: Tap, books: Books, asker: Asker, phones: Callable[[], str]
) -> None:
    said = await done(installation, "route", "out", "smsc-slow", "--why", "work at the provider")
    assert said.out == "smsc-slow out\n"

    async def out() -> bool:
        return await metric(installation, "worker-1", 'inm_route_out{route="smsc-slow"}') == 1

    await until_async(out)
    asked = await asker.send(phones(), "mass")
    other = await asker.ask(phones())
    assert other.event == "delivered"
    assert len(books.parts) == 1
    listed = (await done(installation, "route", "list")).out
    assert "put out by olga: work at the provider" in listed
    back = monotonic()
    await done(installation, "route", "in", "smsc-slow")
    assert (await asker.end(asked)).event == "delivered"
    assert books.times[-1] > back


async def test_what_exceeds_the_cap_is_told_of_in_a_digest(
    tap: Tap, books: Books, asker: Asker, producer: AIOKafkaProducer, phones: Callable[[], str]
) -> None:
    number = phones()
    asked = [await asker.send(number, "offer", f"offer {place}", tenant="duo") for place in range(5)]
    urgent = await asker.send(number, "offer", "hurry", tenant="duo", lane="urgent")
    ends = [await asker.end(request_id) for request_id in (*asked, urgent)]
    found = sorted((edr.event, edr.reason) for edr in ends[:5])
    assert found == [("delivered", None)] * 2 + [("suppressed", "digested")] * 3
    assert ends[5].event == "delivered"
    left = [place for place, edr in enumerate(ends[:5]) if edr.event == "suppressed"]
    await books.until(4)
    digest = books.parts[-1].text.decode()
    assert digest.startswith("3 more: ")
    assert all(f"Offer offer {place}. " in digest for place in left)
