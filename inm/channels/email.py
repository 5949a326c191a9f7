"""E-mail over SMTP, one recipient a message."""

from collections.abc import Sequence
from typing import ClassVar

from inm.channels.base import Channel, Receipts
from inm.channels.smtp.pool import Pool
from inm.channels.smtp.route import EmailRoute
from inm.core.records import Delivery
from inm.core.results import Answer

__all__ = ["Email", "EmailRoute"]


class Email(Channel):
    """A route to an SMTP server: what it accepts is final, until delivery status notifications are read."""

    name: ClassVar[str] = "email"
    receipts: ClassVar[bool] = False

    def __init__(self, route: EmailRoute) -> None:
        self.route = route
        self._pool = Pool(route, self.throttle)

    async def open(self, receipts: Receipts) -> None:
        """Begin to connect; no receipts will come."""
        self._pool.open()

    async def send(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """Send a batch over all connections, one answer a delivery, in order."""
        return await self._pool.submit(deliveries)

    def release(self) -> None:
        """Turn away what waits."""
        self._pool.release()

    async def close(self) -> None:
        """Turn away what waits, finish what is under way, disconnect."""
        await self._pool.close()

    @property
    def up(self) -> bool:
        """Whether a connection stands."""
        return self._pool.up
