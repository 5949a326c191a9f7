"""The calls of a route that are under way, and the queue before them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from inm.channels import line
from inm.channels.http import codes
from inm.channels.http.client import NotSentError
from inm.channels.line import CLOSED, WAITED, Line
from inm.core.records import Delivery
from inm.core.results import Answer, Result
from inm.core.throttle import Throttle

log = logging.getLogger(__name__)

GLANCE = 2.0
"""Seconds between two looks whether the service is there, while it is; half a second to this while it is not."""
FIRST_GLANCE = 0.25
LONGEST_REST = 30.0
"""Seconds that the route rests at most when the service asks for it by Retry-After."""

Carry = Callable[[Delivery], Awaitable[Answer]]
Probe = Callable[[], Awaitable[None]]


@dataclass(slots=True, eq=False)
class Job(line.Job):
    """A delivery, and whether its call has begun."""

    begun: bool = False

    def conclude(self) -> Answer:
        """See :class:`~inm.channels.line.Job`."""
        if self.begun:
            self.settle(codes.fault(Result.UNKNOWN, "no-answer", "no answer in time"))
        else:
            self.settle(WAITED)
        return self.answer.result()


class Pool(Line[Job]):
    """Shares one queue among a number of callers; the urgent lane goes first. Looks from time to time whether the service is there."""

    def __init__(
        self, name: str, carry: Carry, probe: Probe, throttle: Throttle, *, connections: int, submit_timeout: float, patience: float
    ) -> None:
        """``carry`` makes a call and may raise ``NotSentError``, as may ``probe``."""
        super().__init__(Job, throttle, submit_timeout)
        self._name = name
        self._carry = carry
        self._probe = probe
        self._connections = connections
        self._patience = patience
        self._tasks: list[asyncio.Task[None]] = []
        self._up = asyncio.Event()
        self._look = asyncio.Event()
        self._rest_until = 0.0

    @property
    def up(self) -> bool:
        """Whether the service was there the last time that somebody tried."""
        return self._up.is_set() and self._turning_away is not CLOSED

    def open(self) -> None:
        """Begin to look and to call."""
        self._turning_away = None
        self._tasks = [asyncio.create_task(self._watch(), name=f"http:{self._name}:watch")]
        self._tasks += [asyncio.create_task(self._serve(), name=f"http:{self._name}:{n}") for n in range(self._connections)]

    def rest(self, seconds: float) -> None:
        """Call nobody for a while."""
        until = asyncio.get_running_loop().time() + min(seconds, LONGEST_REST)
        self._rest_until = max(self._rest_until, until)

    async def close(self) -> None:
        """Turn away what waits, let what is under way come to its end, stop looking."""
        self._turn_away(CLOSED)
        if self._flying:
            await asyncio.wait([job.answer for job in self._flying], timeout=self._submit_timeout)
        for job in self._flying:
            job.conclude()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._up.clear()

    async def _watch(self) -> None:
        """Look whether the service is there; without it for longer than our patience, answer all that wait."""
        loop = asyncio.get_running_loop()
        last_up, pause = loop.time(), GLANCE
        while True:
            self._look.clear()
            try:
                await self._probe()
            except NotSentError as error:
                if self._up.is_set() or pause == GLANCE:
                    log.warning("%s: no connection: %s", self._name, error)
                self._up.clear()
                pause = FIRST_GLANCE if pause == GLANCE else min(pause * 2, GLANCE / 2)
                if loop.time() - last_up >= self._patience:
                    self._turn_away(_fault(error))
            else:
                last_up, pause = loop.time(), GLANCE
                if self._turning_away is not CLOSED:
                    self._turning_away = None
                self._up.set()
            try:
                async with asyncio.timeout(pause):
                    await self._look.wait()
            except TimeoutError:
                continue

    async def _serve(self) -> None:
        """One call after another."""
        while True:
            await self._call(await self._next())

    async def _next(self) -> Job:
        """The first in line, when the service is there, has had its rest, and the throttle lets one go."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            while True:
                await self._up.wait()
                _, job = await self._waiting.get()
                if job.answer.done():
                    continue
                if self._up.is_set():
                    wait = max(0.0, self._rest_until - loop.time()) or self._throttle.wait(loop.time())
                    if not wait:
                        return job
                    self._wait(job)  # something more urgent may come meanwhile
                    await asyncio.sleep(wait)
                else:
                    self._wait(job)

    async def _call(self, job: Job) -> None:
        job.begun = True
        self._flying.add(job)
        began = asyncio.get_running_loop().time()
        try:
            job.settle(await self._carry(job.delivery))
            self._throttle.answered(asyncio.get_running_loop().time(), began, overtaken=True)
        except NotSentError as error:
            self._again(job, error)
        except Exception as error:
            # A defect costs one message, not the caller.
            log.exception("%s: submit of %s failed", self._name, job.delivery.id)
            job.settle(codes.fault(Result.PERMANENT, "stage-failed", repr(error)))
        finally:
            self._flying.discard(job)

    def _again(self, job: Job, error: NotSentError) -> None:
        """Nothing was written: it waits with the others until the service is there again, or until our patience ends."""
        job.begun = False
        self._up.clear()
        self._look.set()
        if self._turning_away:
            job.settle(self._turning_away)
        else:
            self._wait(job)


def _fault(error: NotSentError) -> Answer:
    return codes.fault(Result.ROUTE_FAULT, "route-refused" if error.refused else "route-down", str(error))
