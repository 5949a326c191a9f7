"""The broker goes, stands still, and refuses."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from inm import topics
from inm.demo.faults.breaker import Breaker, Unable
from inm.demo.installation import Installation
from inm.demo.kafka import Kafka

SMALL = 500
"""Bytes of a batch: an outcome and a row fit by themselves, most deliveries and EDRs do not."""
REFUSED = (
    *topics.NOTIFICATIONS,
    topics.OUTCOMES,
    topics.EDR,
    topics.deliveries("sms", "urgent"),
    topics.deliveries("sms", "normal"),
    topics.changelog("journeys"),
)


async def restart_broker(breaker: Breaker) -> None:
    """An orderly restart of the broker."""
    await asyncio.to_thread(_kafka(breaker).restart)


async def kill_broker(breaker: Breaker) -> None:
    """Kill -9 of the broker, and its start."""
    kafka = _kafka(breaker)
    await asyncio.to_thread(kafka.kill)
    await asyncio.to_thread(kafka.restart)


async def pause_broker(breaker: Breaker) -> None:
    """The broker stands still for up to 20 s, longer than a session lasts."""
    kafka = _kafka(breaker)
    kafka.pause()
    try:
        await breaker.rest(5, 20)
    finally:
        kafka.resume()


def _kafka(breaker: Breaker) -> Kafka:
    if breaker.installation.kafka is None:
        raise Unable("the broker belongs to somebody else")
    return breaker.installation.kafka


async def refuse_outputs(breaker: Breaker) -> None:
    """A topic takes small records only, then all again; what was refused is sent back by ``inm dead retry``."""
    await refuse_on(breaker, breaker.choose(REFUSED))


async def refuse_on(breaker: Breaker, *names: str) -> None:
    """As :func:`refuse_outputs`, on these topics at once."""
    for name in names:
        await limit(breaker.installation, name, SMALL)
    try:
        await breaker.rest(4, 8)
    finally:
        for name in names:
            await limit(breaker.installation, name, None)
    await breaker.installation.settled()
    await send_back(breaker.installation, "output-refused")


async def limit(installation: Installation, topic: str, size: int | None) -> None:
    """Set the topic's ``max.message.bytes``; with None it is the broker's again."""
    usual = {each.name: each.config for each in topics.catalogue([], 1)}[topic]
    config = usual | ({} if size is None else {"max.message.bytes": str(size)})
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.bootstrap)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)])
    finally:
        await admin.close()


async def send_back(installation: Installation, reason: str) -> None:
    """``inm dead retry`` of all that has this reason. ``RuntimeError`` with its words if that does not succeed."""
    await installation.command("dead", "retry", "--reason", reason, "--by", "chaos", "--yes")
