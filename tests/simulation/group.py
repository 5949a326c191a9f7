"""The consumer group: who is in it, which generation, and whose commits count."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka.errors import CommitFailedError
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from tests.simulation.broker import Broker


class Group:
    """The consumer group: who is in it, which generation, and whose commits count."""

    def __init__(self, broker: Broker, session: float) -> None:
        self.generation = 0
        self.members: dict[str, Any] = {}
        """Workers by static member id."""
        self.overdue = False
        """Whether a member has let its partitions go before all that it had begun was answered: that counts as a death."""
        self._broker = broker
        self._session = session
        self._asked = 0
        self._working = False
        self._news = asyncio.Event()
        """A member has come, gone, or let its partitions go."""
        self._told_at = 0.0
        """When the last of the members had its assignment."""

    def join(self, worker: Any) -> None:
        """A worker comes, perhaps in the place of a former life of its own."""
        self.members[worker.name] = worker
        self._ask()

    def leave(self, worker: Any) -> None:
        if self._has(worker):
            del self.members[worker.name]
            self._ask()

    def lost(self, worker: Any) -> None:
        """Its heartbeats have ended: out of the group, when the session has, unless they begin again."""
        since = worker.silent_since = self._broker.loop.now
        if self.counts(worker):
            worker.heard_at = since

        def expire() -> None:
            if worker.silent_since == since:
                self.leave(worker)

        self._broker.loop.call_later(self._session, expire, context=self._broker.loop.outside())

    def found(self, worker: Any) -> None:
        """Its heartbeats begin again, if it lives."""
        if not worker.process.dead:
            worker.silent_since = None
            self._broker.loop.call_later(self._broker.random.random() * 0.5, worker.belong, context=self._broker.loop.outside())

    def counts(self, worker: Any) -> bool:
        """Whether it is of the present generation."""
        return self._has(worker) and bool(worker.member_of == self.generation)

    def _has(self, worker: object) -> bool:
        return any(member is worker for member in self.members.values())

    def commit(self, worker: Any, offsets: Mapping[TP, tuple[int, str]]) -> None:
        """Raises ``CommitFailedError`` for who is not of the present generation."""
        if not self.counts(worker):
            raise CommitFailedError(f"{worker.name} is of generation {worker.member_of}, not {self.generation}")
        for tp, (offset, metadata) in offsets.items():
            old = self._broker.committed.get(tp)
            if old is None or old.offset != offset:
                self._broker.changed_at = self._broker.loop.now
            self._broker.committed[tp] = OffsetAndMetadata(offset, metadata)

    def _ask(self) -> None:
        self._asked += 1
        self._news.set()
        if not self._working:
            self._working = True
            self._broker.loop.create_task(self._rebalance(), context=self._broker.loop.outside())

    async def _rebalance(self) -> None:
        loop, random = self._broker.loop, self._broker.random
        done = 0
        while done != self._asked:
            done = self._asked
            # all have their last assignment, and the next heartbeat tells them
            await asyncio.sleep(max(0.0, self._told_at - loop.now) + random.random() * 0.3)
            waiting = [(worker, worker.begin_revoke()) for _, worker in sorted(self.members.items())]
            for _, revoked in waiting:
                revoked.add_done_callback(lambda _: self._news.set(), context=loop.outside())
            while any(self.members.get(worker.name) is worker and not revoked.done() for worker, revoked in waiting):
                self._news.clear()
                await self._news.wait()
            if done != self._asked:
                continue
            self.generation += 1
            names = sorted(self.members)
            self._broker.trace(f"generation {self.generation}: {names}")
            for index, name in enumerate(names):
                delay = self._broker.delay()
                self._told_at = max(self._told_at, loop.now + delay)
                loop.call_later(delay, self.members[name].assign, self.generation, index, len(names))
        self._working = False
