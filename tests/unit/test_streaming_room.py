"""How much is in hand at a time."""

import asyncio

import pytest

from inm.streaming.room import Room, TurnedAway


async def test_there_is_never_more_in_hand_than_there_is_room_and_nobody_overtakes() -> None:
    room, inside, most, order = Room(10), 0, 0, list[int]()

    async def work(number: int, records: int) -> None:
        nonlocal inside, most
        async with room.take(records):
            order.append(number)
            inside += records
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= records

    await asyncio.gather(*(work(number, 1 + number % 7) for number in range(50)))
    assert most <= 10
    assert order == list(range(50))


async def test_a_chunk_larger_than_the_room_has_it_alone() -> None:
    room = Room(5)
    async with room.take(50):
        waiting = asyncio.ensure_future(enter(room))
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_who_gives_up_does_not_keep_the_room() -> None:
    room = Room(1)
    async with room.take(1):
        gone, next_one = asyncio.ensure_future(enter(room)), asyncio.ensure_future(enter(room))
        await asyncio.sleep(0)
        gone.cancel()
    await next_one


async def test_a_room_grows_and_shrinks_with_people_in_it() -> None:
    room = Room(2)
    inside = asyncio.Event()

    async def stay() -> None:
        async with room.take(1):
            await inside.wait()

    first = [asyncio.ensure_future(stay()) for _ in range(4)]
    await asyncio.sleep(0)
    assert room.waiting == 2
    room.resize(3)
    await asyncio.sleep(0)
    assert room.waiting == 1
    room.resize(1)
    inside.set()
    await asyncio.gather(*first)
    async with room.take(1):
        late = asyncio.ensure_future(enter(room))
        await asyncio.sleep(0)
        assert room.waiting == 1
    await late


async def test_who_waits_can_be_turned_away_and_who_is_inside_stays() -> None:
    room = Room(1)
    async with room.take(1):
        waiting = asyncio.ensure_future(enter(room))
        await asyncio.sleep(0)
        room.empty()
        with pytest.raises(TurnedAway):
            await waiting
    await enter(room)


async def test_who_waits_for_too_long_gives_up() -> None:
    room = Room(1)
    async with room.take(1):
        with pytest.raises(TimeoutError):
            async with room.take(1, 0.001):
                pass
    await enter(room)


async def enter(room: Room) -> None:
    async with room.take(1):
        pass
