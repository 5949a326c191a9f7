"""What providers say unasked: receipts, and answers that come when nobody waits for them any more."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from inm import topics
from inm.channels.base import Channel
from inm.channels.directory import Directory
from inm.core.aftermath import accepted_late, reported, submissions
from inm.core.ids import partition_of_notification, partition_of_receipt, receipt_key
from inm.core.records import Delivery, Outcome, Receipt, Submission
from inm.core.results import Answer
from inm.settings import Settings
from inm.streaming.chunks import now_ms
from inm.streaming.emitter import Batch, Emitter
from inm.tables import submitted

_encode = msgspec.json.Encoder().encode


class Worker(Protocol):
    """What reports need of the worker that they come to."""

    emitter: Emitter
    directory: Directory
    routes: dict[str, Channel]
    settings: Settings
    partitions: int


class Reports:
    """Records of what providers say, on the way to the stages."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def take_receipts(self, receipts: Sequence[Receipt]) -> None:
        """Durable before the provider is told that we have them. Those of what this worker has submitted itself are outcomes at once; the
        stage receipts matches the others."""
        worker = self._worker
        batches: dict[Batch, None] = {}
        for receipt in receipts:
            key = receipt_key(receipt.route, receipt.provider_id).encode()
            submission = submitted.match(key, receipt)
            if submission is None:
                batch = worker.emitter.emit(topics.RECEIPTS, partition_of_receipt(key, worker.partitions), key, _encode(receipt))
            else:
                own, value, partition = self.outcome_of(receipt, submission, now_ms())
                batch = worker.emitter.emit(topics.OUTCOMES, partition, own, value)
            batches[batch] = None
        for batch in batches:
            await batch.acked

    def outcome_of(self, receipt: Receipt, submission: Submission, now: int) -> tuple[bytes, bytes, int]:
        """Key, value and partition on ``inm.outcomes`` of what a receipt says; its route's health counts it."""
        self._worker.directory.reported(receipt.route, receipt.at - submission.at, now)
        return _record(reported(receipt, submission))

    def take_late(self, delivery: Delivery, answer: Answer) -> None:
        """The provider took what was given up. No provider repeats its answer, so nobody waits until this is durable: without it, the
        delivery is ``unknown`` as before."""
        worker, now = self._worker, now_ms()
        became = accepted_late(delivery, answer, worker.routes[delivery.route].receipts, now)
        became.silence_at = self.silent_from(delivery.route, now)
        key, value, partition = _record(became)
        worker.emitter.emit(topics.OUTCOMES, partition, key, value)
        for key, value, partition in self.matches(delivery, became):
            worker.emitter.emit(topics.RECEIPTS, partition, key, value)

    def matches(self, delivery: Delivery, became: Outcome) -> Iterator[tuple[bytes, bytes, int]]:
        """Key, value and partition on ``inm.receipts`` of what receipts will be matched with; this worker knows it by heart from now on."""
        for submission in submissions(delivery, became):
            key = receipt_key(submission.route, submission.provider_id).encode()
            submitted.remember(key, submission)
            yield key, _encode(submission), partition_of_receipt(key, self._worker.partitions)

    def silent_from(self, route: str, now: int) -> int | None:
        """When (ms) a receipt for what the route has taken now is not waited for any longer; None if that is left to the step."""
        known = self._worker.settings.routes.get(route)
        patience = known.traffic.receipt_timeout if known else None
        return now + round(patience * 1000) if patience else None


def _record(became: Outcome) -> tuple[bytes, bytes, int]:
    return became.key.encode(), _encode(became), partition_of_notification(became.notification)
