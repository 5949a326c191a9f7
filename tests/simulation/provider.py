"""Providers: what they were handed, what they answer, and what they report later, to whichever worker is there."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from aiokafka.errors import KafkaError

from inm.channels.base import Channel, Receipts
from inm.core.records import Delivery, Receipt, ReceiptState
from inm.core.results import Answer, Result
from inm.streaming.consumer import DRAIN_LIMIT
from tests.simulation.loop import Process, VirtualLoop

NOT_TAKEN: tuple[tuple[Result, str], ...] = (
    (Result.TEMPORARY, "provider-temporary"),
    (Result.TEMPORARY, "provider-temporary"),
    (Result.THROTTLED, "throttled"),
    (Result.ROUTE_FAULT, "route-down"),
    (Result.PERMANENT, "provider-rejected"),
    (Result.INVALID_ADDRESS, "invalid-address"),
    (Result.UNKNOWN, "no-answer"),
    (Result.UNKNOWN, "no-answer"),
)


TIMEOUTS = (1.0, 1.0, DRAIN_LIMIT + 2.0)
"""Seconds until a submit without an answer is given up: mostly while a rebalance still waits for it."""


@dataclass(eq=False)
class Submit:
    """A delivery as the provider got it."""

    handed: float
    """When the channel was given it. A process that stands still from then on has it on its way all the same."""
    at: float
    worker: str
    delivery: Delivery
    taken: bool
    answer: Answer
    ids: list[str] = field(default_factory=list)
    """Of its parts, also of those that the answer does not name."""
    late: bool = False
    """Whether its worker was told later that it was taken, after it had to be given up."""


class Providers:
    """All submits, in order, and the receipts still to come."""

    def __init__(self, loop: VirtualLoop, random: Random, trace: Callable[[str], None], rough: float) -> None:
        self.loop = loop
        self.random = random
        self.trace = trace
        self.rough = rough
        """The share of submits that do not go smoothly."""
        self.submits: list[Submit] = []
        self.trespasses: list[str] = []
        """What was handed over by a worker whose partitions were perhaps another's."""
        self.told: list[Receipt] = []
        """Receipts that a worker has said it has."""
        self.doors: dict[Process, Receipts] = {}
        """Workers that are connected, and where they take receipts."""
        self._numbers = 0

    def submit(self, worker: str, delivery: Delivery, handed: float, reports: bool) -> Submit:
        """Decide what becomes of it."""
        result, reason, taken = Result.SENT, None, True
        if self.random.random() < self.rough:
            result, reason = self.random.choice(NOT_TAKEN)
            taken = result is Result.UNKNOWN and self.random.random() < 0.5
        ids: list[str] = []
        if taken and reports:
            ids = [self._id() for _ in range(delivery.parts)]
        answer = Answer(result, ids if result is Result.SENT else [], reason)
        submit = Submit(handed, self.loop.now, worker, delivery, taken, answer, ids)
        self.submits.append(submit)
        self.trace(f"{worker} submits {delivery.id}{' again' if delivery.redelivered else ''}: {result}{' (taken)' if taken else ''} {ids}")
        for provider_id in ids:
            self._report(delivery.route, provider_id)
        return submit

    def _id(self) -> str:
        self._numbers += 1
        return f"p{self._numbers}"

    def _report(self, route: str, provider_id: str) -> None:
        """Receipts: perhaps before the answer, perhaps late, twice, out of order, or never."""
        chance = self.random.random()
        states: list[ReceiptState] = ["delivered"]
        if chance < self.rough:
            story = self.random.choice(("never", "failed", "expired", "twice", "changed", "late", "read"))
            known: dict[str, list[ReceiptState]] = {
                "never": [],
                "failed": ["failed"],
                "expired": ["expired"],
                "twice": ["delivered", "delivered"],
                "changed": ["failed", "pending", "delivered"],
                "read": ["read", "delivered"],
            }
            states = known.get(story, states)
            if story == "late":
                self._later(30 + self.random.random() * 60, Receipt(route, provider_id, "delivered", 0))
                return
        for state in states:
            early = self.random.random() < 0.3
            self._later(self.random.random() * (0.01 if early else 3.0), Receipt(route, provider_id, state, 0))

    def _later(self, seconds: float, receipt: Receipt) -> None:
        self.loop.call_later(seconds, self._hand_over, receipt, context=self.loop.outside())

    async def _offer(self, take: Receipts, receipt: Receipt) -> bool:
        try:
            await take([receipt])
        except KafkaError:
            return False
        self.told.append(receipt)
        return True

    def _hand_over(self, receipt: Receipt) -> None:
        """To one of those connected; again, if it does not say that it has it."""
        live = [process for process in self.doors if not process.dead]
        receipt.at = int(self.loop.now * 1000)
        if not live:
            self._later(1.0, receipt)
            return
        process = self.random.choice(live)
        taken = self.loop.start(process, self._offer(self.doors[process], receipt))
        self.trace(f"receipt {receipt.provider_id} {receipt.state} to {process.name}")

        def look() -> None:
            if not taken.done() or not taken.result():
                self._hand_over(receipt)

        self.loop.call_later(2.0, look)


class Route(Channel):
    """A worker's connection to the providers."""

    name = "sms"

    def __init__(self, providers: Providers, process: Process, channel: str, most: int) -> None:
        self.is_owner: Callable[[], bool] = lambda: False
        self._providers = providers
        self._process = process
        self._most = most
        self.name = channel  # type: ignore[misc]
        self.receipts = channel == "sms"  # type: ignore[misc]

    async def open(self, receipts: Receipts) -> None:
        self._providers.doors[self._process] = receipts

    async def close(self) -> None:
        self._providers.doors.pop(self._process, None)

    @property
    def up(self) -> bool:
        return True

    @property
    def most(self) -> int:
        return self._most

    async def send(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        if not self.is_owner():
            self._providers.trespasses += [f"{self._process.name} hands over {delivery.id} without a lease" for delivery in deliveries]
        return await asyncio.gather(*map(self._submit, deliveries))

    async def _submit(self, delivery: Delivery) -> Answer:
        random, handed = self._providers.random, self._providers.loop.now
        await asyncio.sleep(random.random() * 0.02)
        submit = self._providers.submit(self._process.name, delivery, handed, self.receipts)
        slow = submit.answer.result is Result.UNKNOWN
        await asyncio.sleep(random.choice(TIMEOUTS) if slow else random.random() * random.choice((0.01, 0.1)))
        if slow and submit.taken and random.random() < 0.5:
            self._providers.loop.call_later(random.choice((0.0, 0.01, 1.0, 20.0)), self._answer, submit)
        return submit.answer

    def _answer(self, submit: Submit) -> None:
        """Late, over the connection on which it was submitted."""
        if self._process in self._providers.doors:
            submit.late = True
            self._providers.trace(f"{submit.worker} hears that {submit.delivery.id} was taken: {submit.ids}")
            self.late(submit.delivery, Answer(Result.SENT, submit.ids))
