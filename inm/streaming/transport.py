"""Faust's Kafka transport with INM's consumer and an idempotent producer."""

from collections.abc import Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver

from inm.streaming.consumer import Consumer


class Producer(driver.Producer):
    """Idempotent: a retried batch is neither doubled nor reordered (Faust's own is not)."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"enable_idempotence": True}

    @property
    def client(self) -> Any:
        """The started ``AIOKafkaProducer``."""
        return self._ensure_producer()


class Transport(driver.Transport):
    """What ``faust.App`` builds consumers and producers with."""

    Consumer = Consumer
    Producer = Producer
