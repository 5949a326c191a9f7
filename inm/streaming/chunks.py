"""A chunk: what one fetch brought for one partition, the unit in which stages take, finish and ack records."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import time_ns
from typing import TYPE_CHECKING, TypeAlias

from aiokafka.structs import ConsumerRecord

if TYPE_CHECKING:  # commands need the clock of this module, and not the half second that importing Faust takes
    from faust.types import TP

Record: TypeAlias = ConsumerRecord


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time_ns() // 1_000_000


@dataclass(eq=False, slots=True)
class Chunk:
    """Records of one partition in fetch order, possibly with holes (compaction, transactions)."""

    tp: "TP"
    records: Sequence[Record]
    generation: int
    suspect_until: int = 0
    """Records below this offset may have been begun by a worker that died before its commit."""
    size: int = 0
    begun_at: int | None = None
    """When a stage began with it (ms); nothing it causes is older."""
    worked_since: float | None = None
    """The same by the monotonic clock (s)."""
    done: bool = False

    @property
    def first(self) -> int:
        return int(self.records[0].offset)

    @property
    def next_offset(self) -> int:
        return int(self.records[-1].offset) + 1


@dataclass(slots=True)
class AckQueue:
    """The chunks of one partition in fetch order; what may be committed is the end of the finished prefix.

    Stock Faust tests ``min(acked) - committed > 1`` and so steps over one record in flight (faust-streaming #606);
    here nothing is committed past the first unfinished chunk, whatever finishes after it.
    """

    committed: int | None = None
    suspect_until: int = 0
    """Records below this offset may have been begun by a worker that died before its commit."""
    suspect_since: int = 0
    """The time (ms) since when what they caused may be out, or out twice; 0: nothing of that is under way."""
    _chunks: deque[Chunk] = field(default_factory=deque)
    _finished: int | None = None

    def add(self, chunk: Chunk) -> None:
        if self._chunks and chunk.first < self._chunks[-1].next_offset:
            raise ValueError(f"{chunk.tp}: offset {chunk.first} was fetched twice")
        self._chunks.append(chunk)

    def skip(self, position: int) -> None:
        """What is read next is at ``position``: before it is nothing to process but what was added."""
        if not self._chunks and position > (self._finished or self.committed or 0):
            self._finished = position

    def committable(self) -> int | None:
        """The offset to commit now, or None if nothing has finished since the last commit."""
        while self._chunks and self._chunks[0].done:
            self._finished = self._chunks.popleft().next_offset
        return self._finished if self._finished != self.committed else None

    @property
    def pending(self) -> int:
        """Chunks that are not finished, or that wait behind one that is not."""
        return len(self._chunks)

    @property
    def started(self) -> bool:
        """Whether a stage is still at work on any of them."""
        return any(chunk.begun_at is not None and not chunk.done for chunk in self._chunks)

    @property
    def worked_since(self) -> float | None:
        """Since when a stage has been at the first chunk, for which all others wait; None if it is not at it."""
        return self._chunks[0].worked_since if self._chunks and not self._chunks[0].done else None

    def begun_since(self, now: int) -> int:
        """The time (ms) before which nothing was caused by a chunk that is not committed yet."""
        begun = min((chunk.begun_at for chunk in self._chunks if chunk.begun_at is not None), default=now)
        return min(begun, self.suspect_since) if self.suspect_since else begun

    @property
    def replaying(self) -> bool:
        """Whether records that a dead owner may have begun are still to be finished."""
        return (self._finished or self.committed or 0) < self.suspect_until

    @property
    def clean(self) -> bool:
        """Whether a successor has nothing to ask: all that was begun is finished, and what a dead owner had begun is some time ago."""
        return not (self.started or self.suspect_since)

    @property
    def oldest(self) -> Chunk | None:
        """The first chunk that is not finished."""
        return next((chunk for chunk in self._chunks if not chunk.done), None)

    @property
    def outstanding(self) -> int:
        """Bytes fetched and not finished: what back-pressure goes by."""
        return sum(chunk.size for chunk in self._chunks if not chunk.done)
