"""Room for so many records at a time: what limits how much a stage has in hand with the outside."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class TurnedAway(Exception):
    """Whoever waited for room gets none: the partitions are about to move."""


class Room:
    """First come, first served. A chunk larger than the whole room takes all of it."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """Records that wait."""
        return sum(wanted for wanted, turn in self._waiting if not turn.done())

    @asynccontextmanager
    async def take(self, records: int, patience: float | None = None) -> AsyncIterator[None]:
        """Wait for room for so many records, and keep it as long as the block lasts.

        :class:`TurnedAway` by :meth:`empty`; ``TimeoutError`` after ``patience`` seconds without room.
        """
        wanted = min(records, self._size)
        if self._waiting or wanted > self._free:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((wanted, turn))
            await asyncio.wait_for(turn, patience)
        else:
            self._free -= wanted
        try:
            yield
        finally:
            self._free += wanted
            self._admit()

    def resize(self, size: int) -> None:
        """Another size from now on; what is in the room stays."""
        self._free += size - self._size
        self._size = size
        self._admit()

    def empty(self) -> None:
        """Turn away all who wait."""
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(TurnedAway)

    def _admit(self) -> None:
        while self._waiting and (min(self._waiting[0][0], self._size) <= self._free or self._waiting[0][1].done()):
            wanted, turn = self._waiting.popleft()
            if not turn.done():  # who waits may have been cancelled
                self._free -= wanted
                turn.set_result(None)
