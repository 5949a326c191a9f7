"""Puts records into Kafka for a sender who waits, and tells him when they are safe there."""

import asyncio
from collections.abc import Iterable

from inm.streaming.emitter import Emitter
from inm.web.problems import Problem

ACK_TIMEOUT = 5.0
"""Seconds until a sender is told that Kafka does not take his records. They may still arrive; the same key makes them one."""
MAX_UNACKED = 64 * 1024 * 1024
"""Bytes that may wait for Kafka: what comes while it is down must not fill the memory of the worker."""

Record = tuple[str, int, bytes, bytes]
"""Topic, partition, key, value."""


class Mailbox:
    """One for all doors of a worker, whose memory they share."""

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter
        self._unacked = 0

    async def put(self, records: Iterable[Record]) -> None:
        """Returns when the broker has everything; a :class:`Problem` if it has not in time."""
        records = list(records)
        size = sum(len(value) for *_, value in records)
        down = Problem("unavailable", "It could not be stored in time.", headers={"Retry-After": "5"})
        if self._unacked + size > MAX_UNACKED:
            raise down
        batches = {self._emitter.emit(*record) for record in records}
        acked = asyncio.gather(*(batch.acked for batch in batches), return_exceptions=True)
        self._unacked += size
        acked.add_done_callback(lambda _: self._settled(size))
        done, _ = await asyncio.wait((acked,), timeout=ACK_TIMEOUT)
        if not done or any(isinstance(result, BaseException) for result in acked.result()):
            raise down

    def _settled(self, size: int) -> None:
        self._unacked -= size
