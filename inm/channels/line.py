"""The line before a route's connections, for channels that send each message by itself; the urgent lane goes first."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from inm.core.records import LANES, Delivery
from inm.core.results import Answer, Result
from inm.core.throttle import Throttle

CLOSED = Answer(Result.ROUTE_FAULT, reason="route-down", text="the route is closed")
WAITED = Answer(Result.THROTTLED, reason="throttled", text="its turn did not come: the route takes fewer messages than it is given")

Place = tuple[int, int]
"""Lane and number."""


@dataclass(slots=True, eq=False)
class Job(ABC):
    """A delivery on its way through the line."""

    delivery: Delivery
    place: Place
    answer: "asyncio.Future[Answer]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, answer: Answer) -> None:
        """Give the answer unless there is one."""
        if not self.answer.done():
            self.answer.set_result(answer)

    @abstractmethod
    def conclude(self) -> Answer:
        """The answer now, at the end of the caller's patience."""


J = TypeVar("J", bound=Job)


class Line(Generic[J]):
    """Who waits, who is under way, and whether the route turns all away."""

    def __init__(self, job: type[J], throttle: Throttle, submit_timeout: float) -> None:
        """``submit_timeout`` are the seconds within which each job has its answer."""
        self._job = job
        self._throttle = throttle
        self._submit_timeout = submit_timeout
        self._waiting: asyncio.PriorityQueue[tuple[Place, J]] = asyncio.PriorityQueue()
        self._numbers = count()
        self._flying: set[J] = set()
        self._turn = asyncio.Lock()
        self._turning_away: Answer | None = CLOSED

    async def submit(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """Send them all; one answer each, in order, within the route's submit time-out."""
        if self._turning_away or not deliveries:
            return [self._turning_away or CLOSED for _ in deliveries]
        jobs = [self._job(delivery, (LANES.index(delivery.lane), next(self._numbers))) for delivery in deliveries]
        for job in jobs:
            self._wait(job)
        try:
            await asyncio.wait([job.answer for job in jobs], timeout=self._submit_timeout)
        finally:
            answers = [job.conclude() for job in jobs]
        return answers

    def release(self, answer: Answer = WAITED) -> None:
        """Answer all that wait and were not begun."""
        while not self._waiting.empty():
            self._waiting.get_nowait()[1].settle(answer)

    def _wait(self, job: J) -> None:
        self._waiting.put_nowait((job.place, job))

    def _turn_away(self, answer: Answer) -> None:
        """Answer all that wait, and all that come, until the route can send again."""
        self._turning_away = answer
        self.release(answer)
