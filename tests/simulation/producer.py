"""A worker's producer on the broker in memory."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError

from inm.streaming.emitter import MAX_BATCH
from tests.simulation.broker import Broker, Item
from tests.simulation.loop import Process

IN_FLIGHT = 0.2
"""Seconds after a process's death in which the broker may still take what it sent: before its successor can have started."""


class Builder:
    """A batch being filled."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.items: list[Item] = []
        self._now = now
        self._size = 0

    def append(self, *, key: bytes | None, value: bytes | None, timestamp: int | None) -> object | None:
        self._size += len(key or b"") + len(value or b"") + 20
        if self._size > MAX_BATCH and self.items:
            return None
        self.items.append((key, value, self._now()))
        return self


class Producer:
    """What the emitter uses of an ``AIOKafkaProducer``. What a killed process had under way arrives, or does not."""

    def __init__(self, broker: Broker, process: Process, now: Callable[[], int]) -> None:
        self._broker = broker
        self._process = process
        self._now = now
        self._txn_manager = SimpleNamespace(_sequence_numbers=defaultdict(int))

    def create_batch(self) -> Builder:
        return Builder(self._now)

    async def send_batch(self, builder: Builder, topic: str, partition: int) -> Any:
        broker = self._broker
        sequences = self._txn_manager._sequence_numbers
        sequence = sequences[TopicPartition(topic, partition)]
        sequences[TopicPartition(topic, partition)] += len(builder.items)
        answer = broker.loop.create_future()
        arrive = partial(self._arrive, answer, topic, partition, sequence, builder.items)
        broker.loop.call_later(broker.delay(), arrive, context=broker.loop.outside())
        return answer

    def _arrive(self, answer: Any, topic: str, partition: int, sequence: int, items: list[Item]) -> None:
        broker = self._broker
        if self._process.dead and (broker.random.random() < 0.5 or broker.loop.now - self._process.died_at > IN_FLIGHT):
            return
        settle: Callable[[], None]
        try:
            offset = broker.receive(self._process, topic, partition, sequence, items)
        except Exception as error:  # noqa: BLE001 - the producer's to hear
            refused = error
            settle = lambda: answer.done() or answer.set_exception(refused)  # noqa: E731
        else:
            settle = lambda: answer.done() or answer.set_result(SimpleNamespace(offset=offset))  # noqa: E731
            self._come_nearer()
            if broker.random.random() < broker.failing:
                settle = lambda: answer.done() or answer.set_exception(KafkaTimeoutError("the answer was lost"))  # noqa: E731
        broker.loop.call_later(broker.delay(), settle)

    def _come_nearer(self) -> None:
        process = self._process
        if process.doom is not None and process.fuse is not None:
            process.doom -= 1
            if process.doom < 0:
                process.fuse, process.doom = min(process.fuse, self._broker.random.randint(0, 15)), None
