"""What waits to be written, urgent first."""

from asyncio import Future
from collections import deque
from collections.abc import Iterator, Sequence

from inm.channels.smpp.codes import combine
from inm.core.records import LANES, Lane
from inm.core.results import Answer


class Message:
    """One delivery as the bodies of its submit_sm, one a part.

    ``answer`` is done when every part has its own; ``since`` is when it was put into the queue, then when its first part was written.
    """

    __slots__ = ("_missing", "_parts", "answer", "bodies", "lane", "since")

    def __init__(self, bodies: Sequence[bytes], lane: Lane, since: float, answer: "Future[Answer]") -> None:
        self.bodies = bodies
        self.lane = lane
        self.since = since
        self.answer = answer
        self._missing = len(bodies)
        self._parts: list[Answer | None] = [None] * len(bodies)

    def settle(self, part: int, answer: Answer) -> None:
        """Note the answer to one part; the first one stands."""
        if self._parts[part] is not None:
            return
        self._parts[part] = answer
        self._missing -= 1
        if not self._missing and not self.answer.done():
            self.answer.set_result(answer if len(self._parts) == 1 else combine([part for part in self._parts if part]))

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
            self._lanes[lane] = deque(message for message in messages if not message.answer.cancelled())
        self._size = sum(map(len, self._lanes.values()))
