"""What a channel is. ``docs/adding-a-channel.md`` is the path to a new one."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from inm.core.records import Delivery, Receipt
from inm.core.results import Answer

Receipts = Callable[[Sequence[Receipt]], Awaitable[None]]
"""Takes receipts over; returns when they are durable, and only then may the provider be told so."""


class Channel(ABC):
    """One route of one channel: a configured connection (or bind group) to one provider.

    An instance lives on one event loop. Nothing of it raises for what a provider does: that is an
    :class:`~inm.core.results.Answer`.
    """

    name: ClassVar[str]
    """The channel's name in topics, plans and EDRs: ``sms``, ``email``."""
    receipts: ClassVar[bool]
    """Whether the provider reports on messages it took."""

    @abstractmethod
    async def open(self, receipts: Receipts) -> None:
        """Begin to connect; return at once. Connections come up, break and come back by themselves."""

    @abstractmethod
    async def send(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """Send a batch; one answer a delivery, in order. Bounded in time: what has no answer then is ``unknown``.

        May be called again while earlier batches are under way; urgent deliveries overtake others.
        With no connection it waits a few seconds at most, then answers ``route-fault``.
        """

    @abstractmethod
    async def close(self) -> None:
        """Stop taking, wait for the answers of what was written (bounded), disconnect."""

    @property
    @abstractmethod
    def up(self) -> bool:
        """Whether there is a working connection now."""

    @property
    def capacity(self) -> int:
        """How many deliveries it is of use to hand over at a time: about a second's worth, or what its windows hold."""
        return 100
