"""Room for so many records at a time: what limits how much a stage has in hand with the outside."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Room:
    """First come, first served. A chunk larger than the whole room takes all of it."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def take(self, records: int) -> AsyncIterator[None]:
        """Wait for room for so many records, and keep it as long as the block lasts."""
        wanted = min(records, self._size)
        if self._waiting or wanted > self._free:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((wanted, turn))
            await turn
        else:
            self._free -= wanted
        try:
            yield
        finally:
            self._free += wanted
            self._admit()

    def _admit(self) -> None:
        while self._waiting and (self._waiting[0][0] <= self._free or self._waiting[0][1].done()):
            wanted, turn = self._waiting.popleft()
            if not turn.done():  # who waits may have been cancelled
                self._free -= wanted
                turn.set_result(None)
