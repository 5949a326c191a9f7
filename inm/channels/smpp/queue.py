"""What waits to be written, urgent first."""

from asyncio import Future
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from inm.channels.smpp.codes import combine
from inm.core.records import LANES, Lane
from inm.core.results import Answer, Result


class Message:
    """One delivery as the bodies of its submit_sm, one a part.

    ``settled`` is done when every part has its answer; ``since`` is when it was put into the queue, then when its first part was written.
    ``late`` is told if all parts turn out to be accepted after :meth:`answer` has said otherwise.
    """

    __slots__ = ("_missing", "_parts", "_told", "bodies", "lane", "late", "settled", "since")

    def __init__(self, bodies: Sequence[bytes], lane: Lane, since: float, settled: "Future[None]", late: Callable[[Answer], None]) -> None:
        self.bodies = bodies
        self.lane = lane
        self.since = since
        self.settled = settled
        self.late = late
        self._missing = len(bodies)
        self._parts: list[Answer | None] = [None] * len(bodies)
        self._told = False

    def settle(self, part: int, answer: Answer) -> None:
        """Note the answer to one part; the first one stands."""
        if self._parts[part] is not None:
            return
        self._parts[part] = answer
        self._missing -= 1
        if not self._missing and not self.settled.done():
            self.settled.set_result(None)

    def accept(self, part: int, answer: Answer) -> None:
        """A part that was given up has been accepted after all."""
        self._parts[part] = answer
        if self._told and (whole := self.answer()).result is Result.SENT:
            self.late(whole)

    def answer(self) -> Answer:
        """That to the whole message, once it is settled."""
        self._told = True
        parts = [part for part in self._parts if part is not None]
        return parts[0] if len(parts) == 1 else combine(parts)

    def settle_all(self, answer: Answer) -> None:
        """Give every part that has no answer yet this one."""
        for part in range(len(self.bodies)):
            self.settle(part, answer)


class Queue:
    """Three lanes, first in first out each, shared by all binds of a route."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, deque[Message]] = {lane: deque() for lane in LANES}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, message: Message) -> None:
        """Add at the end of its lane."""
        self._lanes[message.lane].append(message)
        self._size += 1

    def take(self) -> Message:
        """The first message of the most urgent lane. ``IndexError`` if there is none."""
        for lane in self._lanes.values():
            if lane:
                self._size -= 1
                return lane.popleft()
        raise IndexError("the queue is empty")

    def older_than(self, since: float) -> Iterator[Message]:
        """Take out every message that was put before ``since``."""
        for lane in self._lanes.values():
            while lane and lane[0].since < since:
                self._size -= 1
                yield lane.popleft()

    def drop_cancelled(self) -> None:
        """Take out every message whose answer nobody waits for any more."""
        for lane, messages in self._lanes.items():
            self._lanes[lane] = deque(message for message in messages if not message.settled.cancelled())
        self._size = sum(map(len, self._lanes.values()))
