"""Topics as they should be: creates what is missing, says what differs."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from inm.core.faults import MisconfiguredError


class TopicLike(Protocol):
    """A topic's name, partition count and configuration."""

    @property
    def name(self) -> str: ...
    @property
    def partitions(self) -> int: ...
    @property
    def config(self) -> Mapping[str, str]: ...


async def partition_counts(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Partition count by name of every topic that has a leader for each partition."""
    found = await admin.describe_topics()
    return {topic["topic"]: len(topic["partitions"]) for topic in found if all(part["leader"] >= 0 for part in topic["partitions"])}


async def ensure(topics: Sequence[TopicLike], brokers: Sequence[str], client: Mapping[str, Any], replication: int = 1) -> list[str]:
    """Create the missing ones of ``topics`` and wait until they can be used; returns their names.

    ``MisconfiguredError`` if one has another partition count than it should.
    All but one of the ``replication`` replicas must have a record before it counts.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=list(brokers), **client)
    await admin.start()
    try:
        there = await partition_counts(admin)
        missing = [topic for topic in topics if topic.name not in there]
        await _create(admin, missing, replication)
        while not {topic.name for topic in topics} <= there.keys():
            await asyncio.sleep(0.1)
            there = await partition_counts(admin)
    finally:
        await admin.close()
    wrong = [
        f"{topic.name} has {there[topic.name]} partitions instead of {topic.partitions}"
        for topic in topics
        if there[topic.name] != topic.partitions
    ]
    if wrong:
        raise MisconfiguredError(wrong)
    return [topic.name for topic in missing]


async def exists(topic: str, brokers: Sequence[str], client: Mapping[str, Any]) -> bool:
    """Whether the cluster has a topic that can be used. Asking a consumer might create it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=list(brokers), **client)
    try:
        await admin.start()
        return topic in await partition_counts(admin)
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[TopicLike], replication: int) -> None:
    if not topics:
        return
    insync = {"min.insync.replicas": str(max(1, replication - 1))}
    new = [NewTopic(topic.name, topic.partitions, replication, topic_configs={**topic.config, **insync}) for topic in topics]
    answer = await admin.create_topics(new)
    for name, code, *_ in answer.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):  # another worker may have been faster
            raise for_code(code)(f"topic {name}")
