"""One-time passwords at a steady pace, each to a number of its own, in the lane urgent."""

import asyncio
from time import monotonic

import msgspec
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.core.records import Recipient, Request
from inm.demo.bench_load import TENANT


class Passwords:
    """``await passwords.send()`` sends for good."""

    def __init__(self, producer: AIOKafkaProducer, rate: float) -> None:
        """``rate`` a second."""
        self.sent: dict[str, float] = {}
        """When each was handed to Kafka's client (monotonic s), by its number without the plus."""
        self._producer = producer
        self._rate = rate

    async def send(self) -> None:
        """One after another, whatever becomes of the ones before."""
        began = monotonic()
        while True:
            count = len(self.sent)
            await asyncio.sleep(max(0.0, began + count / self._rate - monotonic()))
            number = f"39345{count:07}"
            self.sent[number] = monotonic()
            await self._producer.send(topics.requests(TENANT), _request(number, count), number.encode())


def _request(number: str, count: int) -> bytes:
    to = Recipient(phone=f"+{number}", language="en")
    return msgspec.json.encode(Request("otp", to, {"code": f"{count:06}"}, request_id=f"otp-{count}", lane="urgent"))
