"""Requests to the tenant ``lab``."""

from typing import Any
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.core.edr import Edr
from tests.support.tap import Tap

LAB = topics.requests("lab")
encode = msgspec.json.encode


def request(phone: str, scenario: str = "insistent", text: str = "Hello", **more: Any) -> dict[str, Any]:
    """A good one, unless ``more`` says otherwise."""
    return {"scenario": scenario, "to": {"phone": phone}, "fields": {"text": text}, "request_id": uuid4().hex} | more


class Asker:
    """Sends requests and follows them."""

    def __init__(self, tap: Tap, producer: AIOKafkaProducer) -> None:
        self._tap = tap
        self._producer = producer

    async def send(self, phone: str, scenario: str = "insistent", text: str = "Hello", tenant: str = "lab", **more: Any) -> str:
        """Its request id."""
        asked = request(phone, scenario, text, **more)
        await self._producer.send_and_wait(topics.requests(tenant), encode(asked))
        return str(asked["request_id"])

    async def end(self, request_id: str) -> Edr:
        """Its final EDR."""
        return await self._tap.final(request_id)

    async def ask(self, phone: str, scenario: str = "insistent", text: str = "Hello", **more: Any) -> Edr:
        """The final EDR of a new request."""
        return await self.end(await self.send(phone, scenario, text, **more))

    def story(self, edr: Edr) -> list[tuple[str, str | None]]:
        """The events of its notification with their reasons, in the order in which they came."""
        return [(each.event, each.reason) for each in self._tap.edrs if each.notification == edr.notification]
