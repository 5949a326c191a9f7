"""The open connections of a route, and the queue before them."""

import asyncio
import logging
import random
from dataclasses import dataclass

from inm.channels import line
from inm.channels.line import CLOSED, WAITED, Line
from inm.channels.smtp import codes
from inm.channels.smtp.link import Link, LinkFaultError, LinkLostError
from inm.channels.smtp.message import UnsendableError, compose
from inm.channels.smtp.route import EmailRoute
from inm.core.results import Answer
from inm.core.throttle import Throttle

log = logging.getLogger(__name__)

GLANCE = 0.25
"""Seconds: how soon an idle connection that the server closed is noticed."""

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Seconds between attempts to connect: doubled at each failure, with jitter."""

STEADY = 10.0
"""Seconds that a connection must last, if it carries nothing, not to count as a failure."""


def pause(failures: int) -> float:
    """Seconds to wait after so many failures in a row: 0 after none."""
    if not failures:
        return 0.0
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16)) * random.uniform(0.5, 1.0)  # noqa: S311


def _cancelled() -> bool:
    """Whether this task is to end. To be asked besides: wait_for of Python 3.11 swallows a cancellation that meets a result."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@dataclass(slots=True, eq=False)
class Job(line.Job):
    """A delivery, how often it was tried, and whether it counts as written."""

    tries: int = 0
    written: bool = False

    def begin(self) -> bool:
        """Whether the message may be written now; from then on it counts as written."""
        self.written = not self.answer.done()
        return self.written

    def conclude(self) -> Answer:
        """See :class:`~inm.channels.line.Job`."""
        if self.written:
            self.settle(codes.fault(codes.UNKNOWN, "no answer to the written message in time"))
        elif self.tries:
            self.settle(codes.fault(codes.TEMPORARY, "the server took too long before the message was written"))
        else:
            self.settle(WAITED)
        return self.answer.result()


class Pool(Line[Job]):
    """Keeps a route's connections open and shares one queue among them; the urgent lane goes first."""

    def __init__(self, route: EmailRoute, throttle: Throttle) -> None:
        super().__init__(Job, throttle, route.submit_timeout)
        self._route = route
        self._tls = None if route.security == "none" else route.tls_context()
        self._links: set[Link] = set()
        self._slots: list[asyncio.Task[None]] = []
        self._door = asyncio.Lock()
        self._failures = 0
        self._last_fault = codes.fault(codes.ROUTE_DOWN, "no connection yet")
        self._patience: asyncio.TimerHandle | None = None

    @property
    def up(self) -> bool:
        """Whether any connection stands."""
        return any(link.alive for link in self._links)

    @property
    def _closed(self) -> bool:
        return self._turning_away is CLOSED

    def open(self) -> None:
        """Begin to connect."""
        self._turning_away = None
        self._start_patience()
        self._slots = [asyncio.create_task(self._slot(), name=f"smtp:{self._route.name}:{n}") for n in range(self._route.connections)]

    async def close(self) -> None:
        """Turn away what waits, give what is under way the time of one command, disconnect."""
        self._turn_away(CLOSED)
        if self._flying:
            await asyncio.wait([job.answer for job in self._flying], timeout=self._route.command_timeout)
        for job in self._flying:
            job.conclude()
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        self._slots = []

    async def _slot(self) -> None:
        """The life of one connection after another."""
        short_lives = 0
        while not (self._closed or _cancelled()):
            await asyncio.sleep(pause(short_lives))
            link = await self._connect()
            try:
                await self._serve(link)
            finally:
                self._links.discard(link)
                if not self.up:
                    self._start_patience()
                await link.quit()
            short_lives = 0 if link.carried or link.age >= STEADY else short_lives + 1

    async def _connect(self) -> Link:
        """A new connection. One attempt at a time over all slots: a dead server meets one caller, not ``connections``."""
        async with self._door:
            while True:
                await asyncio.sleep(pause(self._failures))
                link = Link(self._route, self._tls)
                try:
                    await link.open()
                except LinkFaultError as error:
                    if self._closed or _cancelled():
                        raise asyncio.CancelledError from error
                    self._failures += 1
                    self._last_fault = error.answer
                    log.warning("%s: no connection, failure %d in a row: %s", self._route.name, self._failures, error.answer.text)
                    continue
                self._failures = 0
                self._stop_patience()
                self._links.add(link)
                return link

    async def _serve(self, link: Link) -> None:
        while link.alive and link.carried < self._route.messages and not self._closed:
            try:
                async with asyncio.timeout(GLANCE):
                    job = await self._next()
            except TimeoutError:
                continue
            if not job.answer.done():
                await self._carry(link, job)

    async def _next(self) -> Job:
        """The first in line when the throttle lets one go."""
        async with self._turn:
            while True:
                _, job = await self._waiting.get()
                wait = 0.0 if job.answer.done() else self._throttle.wait(asyncio.get_running_loop().time())
                if not wait:
                    return job
                self._wait(job)  # something more urgent may come meanwhile
                await asyncio.sleep(wait)

    async def _carry(self, link: Link, job: Job) -> None:
        job.tries += 1
        self._flying.add(job)
        began = asyncio.get_running_loop().time()
        try:
            job.settle(await link.submit(compose(job.delivery), job.begin))
            self._throttle.answered(asyncio.get_running_loop().time(), began, overtaken=True)
        except UnsendableError as error:
            job.settle(error.answer)
        except LinkLostError as error:
            self._again(job, str(error))
        except Exception as error:
            # A defect costs one message, not the slot.
            log.exception("%s: submit of %s failed", self._route.name, job.delivery.id)
            link.drop()
            job.settle(codes.fault(codes.DEFECT, repr(error)))
        finally:
            self._flying.discard(job)

    def _again(self, job: Job, text: str) -> None:
        """Once more after a loss: most often the server had closed an idle connection, which is not the message's fault. As all of them
        may have been closed at once, as often as there are."""
        job.written = False
        if job.tries > self._route.connections:
            job.settle(codes.fault(codes.TEMPORARY, text))
        elif self._turning_away:
            job.settle(self._turning_away)
        else:
            self._wait(job)

    def _start_patience(self) -> None:
        if self._turning_away is None and self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(self._route.patience, self._lose_patience)

    def _stop_patience(self) -> None:
        if self._patience:
            self._patience.cancel()
            self._patience = None
        if not self._closed:
            self._turning_away = None

    def _lose_patience(self) -> None:
        self._patience = None
        if not self.up:
            self._turn_away(self._last_fault)
