"""How much is in hand at a time."""

import asyncio

from inm.streaming.room import Room


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


async def enter(room: Room) -> None:
    async with room.take(1):
        pass
