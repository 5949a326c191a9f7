"""What a channel is. ``docs/adding-a-channel.md`` is the path to a new one."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import ClassVar

from inm.core.records import Delivery, Receipt
from inm.core.results import Answer
from inm.core.throttle import Throttle

Receipts = Callable[[Sequence[Receipt]], Awaitable[None]]
"""Takes receipts over; returns when they are durable, and only then may the provider be told so."""

Late = Callable[[Delivery, Answer], None]
"""Takes an answer of ``sent`` that came after :meth:`Channel.send` had to say ``unknown``."""


def _unheard(delivery: Delivery, answer: Answer) -> None:
    """Nobody has asked for late answers."""


AHEAD = 0.12
"""Seconds of its rate for which a route has messages in hand that wait to be written: so that it never runs dry, and little is in doubt
after a worker's death. What waits for its answer comes to it."""


class Channel(ABC):
    """One route of one channel: a configured connection (or bind group) to one provider.

    An instance lives on one event loop. Nothing of it raises for what a provider does: that is an
    :class:`~inm.core.results.Answer`.
    """

    name: ClassVar[str]
    """The channel's name in topics, plans and EDRs: ``sms``, ``email``."""
    receipts: ClassVar[bool]
    """Whether the provider reports on messages it took."""
    late: Late = staticmethod(_unheard)
    """Set before it is opened. A channel whose protocol has no answers that come late has no use for it."""

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

    @cached_property
    def throttle(self) -> Throttle:
        """What :meth:`send` asks before each part, or message, that it writes."""
        return Throttle()

    def release(self) -> None:  # noqa: B027 - those of magic recipients have nothing that waits
        """Answer at once what waits and was not begun, as ``throttled``: the partitions that it is of are about to move."""

    @property
    def most(self) -> int:
        """How many deliveries its connections have a use for at a time."""
        return 100

    @property
    def capacity(self) -> int:
        """How many deliveries to hand over at a time: no more than it can write soon."""
        rate = self.throttle.rate
        return self.most if rate is None else max(1, min(self.most, int(rate * (AHEAD + self.throttle.answer_time))))
