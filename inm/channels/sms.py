"""SMS over SMPP 3.4: one route is a group of binds to one SMSC."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import ClassVar

from inm.channels.base import Channel, Receipts
from inm.channels.smpp import wire
from inm.channels.smpp.account import Account
from inm.channels.smpp.link import Count
from inm.channels.smpp.pace import Pace
from inm.channels.smpp.receipts import ANSWER_ID, IdFormat
from inm.channels.smpp.session import Endpoint, Session
from inm.core.records import Delivery
from inm.core.results import Answer, Result
from inm.core.sms import reference, user_data


@dataclass(frozen=True)
class SmsRoute:
    """One SMSC account. ``ValueError`` if a value cannot be used."""

    name: str
    hosts: Sequence[tuple[str, int]]
    system_id: str
    password: str = field(repr=False)
    """The value itself: settings resolve the reference."""
    system_type: str = ""
    binds: int = 1
    """Transceivers to each host."""
    window: int = 50
    """Parts without answer on one bind: target rate x round trip / binds."""
    source_ton: int | None = None
    source_npi: int | None = None
    """By the form of the sender where ``None``."""
    id_format: IdFormat = "as-is"
    submit_timeout: float = 10.0
    """Seconds until a part without answer is ``unknown``."""
    enquire_interval: float = 30.0
    """Seconds of silence until enquire_link; after as many again the peer is dead."""
    patience: float = 4.0
    """Seconds that a message waits for a bind to come up."""
    codes: Mapping[int, Result] = field(default_factory=dict)
    """Vendor's command_status codes, and others where this SMSC means something else by them."""
    tls: ssl.SSLContext | None = None
    price: float | None = None
    """What a part costs, in whatever money; for estimates."""

    def __post_init__(self) -> None:
        try:
            wire.bind_transceiver(1, self.system_id, self.password, self.system_type)
        except (ValueError, UnicodeEncodeError) as error:
            raise ValueError(f"route {self.name}: {error} (SMPP 3.4, 4.1.5)") from None
        if not self.hosts:
            raise ValueError(f"route {self.name}: hosts is empty, at least one host and port is needed")
        if self.id_format not in ANSWER_ID:
            raise ValueError(f"route {self.name}: id_format is {self.id_format!r}, allowed are {', '.join(ANSWER_ID)}")
        for name in ("binds", "window", "submit_timeout", "enquire_interval", "patience"):
            value = getattr(self, name)
            if value <= 0:
                raise ValueError(f"route {self.name}: {name} is {value}, it must be above 0")


class Sms(Channel):
    """One SMS route."""

    name: ClassVar[str] = "sms"
    receipts: ClassVar[bool] = True

    def __init__(self, route: SmsRoute) -> None:
        self._route = route
        account = Account(
            route.system_id,
            route.password,
            route.system_type,
            route.window,
            route.submit_timeout,
            route.enquire_interval,
            ANSWER_ID[route.id_format],
            route.codes,
        )
        endpoints = [Endpoint(*host) for host in route.hosts] * route.binds
        self._session = Session(route.name, endpoints, account, self.throttle, patience=route.patience, tls=route.tls)

    async def open(self, receipts: Receipts) -> None:
        """See :class:`Channel`."""
        self._session.open(receipts)

    async def send(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """See :class:`Channel`. Several parts go over one bind and make one answer, see :func:`~inm.channels.smpp.codes.combine`."""
        prepared = [self._bodies(delivery) for delivery in deliveries]
        ready = [
            (bodies, delivery.lane, partial(self.late, delivery))
            for bodies, delivery in zip(prepared, deliveries, strict=True)
            if isinstance(bodies, list)
        ]
        answers = iter(await self._session.submit(ready))
        return [next(answers) if isinstance(bodies, list) else bodies for bodies in prepared]

    async def close(self) -> None:
        """See :class:`Channel`."""
        await self._session.close()

    @property
    def up(self) -> bool:
        """See :class:`Channel`."""
        return self._session.up

    @cached_property
    def throttle(self) -> Pace:
        """See :class:`Channel`: the SMSC may slow it down below the agreed rate."""
        return Pace()

    def release(self) -> None:
        """See :class:`Channel`. A message of which a part was written goes on."""
        self._session.release()

    @property
    def most(self) -> int:
        """See :class:`Channel`: twice what the windows hold, so that they never run dry."""
        return 2 * self._route.window * self._route.binds * len(self._route.hosts)

    @property
    def counts(self) -> Mapping[Count, int]:
        """What happened since the start, by :data:`~inm.channels.smpp.link.Count`."""
        return self._session.counts

    def _bodies(self, delivery: Delivery) -> list[bytes] | Answer:
        """The submit_sm bodies of a delivery, or the answer to one that cannot be written as SMS."""
        to = delivery.to.removeprefix("+")
        if not (to.isascii() and to.isdigit() and len(to) <= 20):
            return Answer(Result.INVALID_ADDRESS, reason="invalid-address", text="not an E.164 number")
        try:
            source = wire.source(delivery.sender, self._route.source_ton, self._route.source_npi)
            encoding, parts = user_data(delivery.content.text, reference(delivery.id))
        except ValueError as error:
            return Answer(Result.PERMANENT, reason="provider-rejected", text=str(error))
        flash, headed = delivery.content.flash, len(parts) > 1
        return [wire.submit_sm(source, to, encoding, part, headed=headed, flash=flash) for part in parts]
