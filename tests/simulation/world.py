"""One simulated installation: workers, broker, providers, traffic and faults, all by one seed."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, NoReturn
from unittest.mock import patch

import msgspec

from inm.core import calling, campaigns, fanout, outreach
from inm.core.campaigns import Create
from inm.core.ids import partition_of, partition_of_notification
from inm.core.requests import InvalidRequestError, expand, parse
from inm.streaming import stage
from inm.streaming.watchdog import STOP_LIMIT
from inm.topics import CAMPAIGNS, DELIVERIES, EDR, NOTIFICATIONS, OUTCOMES, changelog, requests
from tests.simulation.broker import Broker
from tests.simulation.client import SESSION
from tests.simulation.code import codes
from tests.simulation.disk import Disks, Folder
from tests.simulation.faults import Faults
from tests.simulation.group import Group
from tests.simulation.loop import PROCESS, START, Gone, Process, VirtualLoop
from tests.simulation.outreach import NAME, Campaign
from tests.simulation.provider import Providers, Route
from tests.simulation.source import Crm
from tests.simulation.traffic import OFFERS, Sent, plans, traffic
from tests.simulation.worker import Worker

MOST_STEPS = 200_000
LONGEST = 600.0
"""Steps and virtual seconds after which a world that has not come to rest never will."""


@dataclass
class World:
    """What the laws look at."""

    seed: int
    tracing: bool = False
    lines: list[str] = field(default_factory=list)
    workers: dict[str, Worker] = field(default_factory=dict)
    died: int = 0
    expected: set[str] = field(default_factory=set)
    """Notifications that were asked for."""
    parents: dict[str, str] = field(default_factory=dict)
    """The notification of an offer by those of its members."""
    refused: int = 0
    """Records that are no requests."""
    campaign: Campaign | None = None
    reached: set[str] = field(default_factory=set)
    """Notifications that it is to have made."""

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.faults = Faults.of(self.random)
        self.partitions = self.random.randint(1, 3)
        self.loop = VirtualLoop()  # type: ignore[abstract]
        self.broker = Broker(self.loop, self.random, self.trace)
        self.broker.slow = self.faults.slow
        self.broker.most = self.random.choice((1, 2, 8))
        self.group = Group(self.broker, SESSION)
        self.providers = Providers(self.loop, self.random, self.trace, self.faults.rough)
        self.crm = Crm(self.loop, self.random, self.trace, self.faults.rough)
        self.disks = Disks()
        self._images: dict[str, dict[Any, Folder]] = {}
        if self.faults.narrow:
            self.broker.limits = dict.fromkeys((EDR, OUTCOMES, *NOTIFICATIONS, *DELIVERIES), 1000)

    @property
    def blameless(self) -> bool:
        """Whether nobody died, stood still, or was overdue: nothing may be submitted twice, nothing marked."""
        return not (self.died or self.group.overdue)

    def trace(self, line: str) -> None:
        if self.tracing:
            process = PROCESS.get()
            self.lines.append(f"{self.loop.now - START:9.4f} {process.name if process else '-':3} {line}")

    # -- running --------------------------------------------------------------------------------------

    def run(self) -> "World":
        """Until everything is at rest: read, finished, committed, and nothing waits for its time."""
        with self._in_place():
            self.loop.create_task(self._direct())
            while self.loop.advance(self._rest):
                if self.loop.steps > MOST_STEPS or self.loop.now - START > LONGEST:
                    self.loop.errors.append("the world does not come to rest")
                    break
        return self

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """Virtual time, disks in memory, and an end of a process that ends this one's."""
        asyncio._set_running_loop(self.loop)
        logging.disable()  # thousands of dead workers have little to say
        try:
            with (
                patch("inm.streaming.chunks.time_ns", self._time_ns),
                patch("inm.streaming.consumer.monotonic", self.loop.time),
                patch("inm.streaming.tables.Database", self.disks.open),
                patch("inm.streaming.restore.MANY", 20),
                patch("inm.sources.registry.connect", lambda *_: self.crm),
                patch("inm.streaming.stage.leave", self._leave),
                patch("inm.streaming.assignment.leave", self._leave),
            ):
                yield
        finally:
            asyncio._set_running_loop(None)
            logging.disable(logging.NOTSET)

    def _time_ns(self) -> int:
        process = PROCESS.get()
        return int((self.loop.now + (process.skew if process else 0.0)) * 1e9)

    def _leave(self, code: int, why: str) -> NoReturn:
        process = PROCESS.get()
        assert process is not None
        self.trace(f"leaves with {code}: {why}")
        self.died += 1
        if not self.faults.failing:
            self.loop.errors.append(f"{process.name} left with {code}: {why}")
        process.kill()
        raise Gone(why)

    def _rest(self, timer: float) -> float | None:
        """When something will happen next, if nothing is happening now."""
        live = [worker for worker in self.workers.values() if not (worker.process.dead or worker.process.frozen)]
        if self.loop.now - self.broker.changed_at < 0.25:
            return None
        if not all(worker.ready and not worker.consumer.behind for worker in live):
            return None
        dues = [worker.next_due() for worker in live]
        due = min((due for due in dues if due is not None), default=float("inf"))
        return None if due <= self.loop.now else min(timer, due)

    # -- what happens ---------------------------------------------------------------------------------

    async def _direct(self) -> None:
        self._know()
        for number in range(self.faults.workers):
            self._start(number)
        self.broker.failing = self.faults.failing
        happening = [self._traffic(), self._outreach(), self._plans(), self._cancel()]
        happening += [self._crash() for _ in range(self.faults.crashes)]
        happening += [self._freeze() for _ in range(self.faults.freezes)]
        happening += [self._hand_over() for _ in range(self.faults.handovers)]
        await asyncio.gather(*happening)
        self.broker.failing = 0.0
        await asyncio.sleep(2.0)
        for number in range(self.faults.workers):
            if number == 0 or self.random.random() < 0.7:
                self._start(number)

    def _start(self, number: int) -> None:
        """Start worker ``number``, unless it runs."""
        name = f"w{number + 1}"
        if name in self.workers and not self.workers[name].process.dead:
            return
        process = Process(name, skew=self.random.uniform(-0.9, 0.9))
        channels = {"smsc-1": "sms", "smsc-2": "sms", "smtp-1": "email"}
        most = self.random.choice((1, 3, 100))
        routes = {route: Route(self.providers, process, channel, most) for route, channel in channels.items()}
        code = codes()[number]
        code.app.library.catalogue = code.catalogues[self.faults.source]
        code.agents["campaigns"].PER_TURN = 2
        vars(stage)["TURN"] = self.random.choice((-1.0, 0.004))  # others go on between any two records of a chunk, or never
        code.app.chunk_limits.update(dict.fromkeys(DELIVERIES, self.random.choice((1, 2, 5, 50))))
        self.trace(f"start {name}")
        self.workers[name] = Worker(code, process, self.broker, self.group, routes, self.partitions)
        self.workers[name].start()

    def _some_time(self) -> float:
        """Seconds until a fault: before, in or after the traffic."""
        return 0.2 + self.random.random() * self.random.choice((1, 5))

    async def _crash(self) -> None:
        """Kill a worker between two steps of its own, some time later start it again."""
        await asyncio.sleep(self._some_time())
        live = [worker for worker in self.workers.values() if not worker.process.dead and worker.process.fuse is None]
        if not live:
            return
        worker = self.random.choice(live)
        dead = self.loop.create_future()
        on_death = worker.process.on_death

        def died() -> None:
            on_death()
            self.died += 1
            self.trace(f"{worker.name} is dead")
            dead.set_result(None)

        worker.process.on_death = died
        worker.process.fuse = self.random.choice((0, 10, 100, 1000)) + self.random.randint(0, 100)
        if self.random.random() < 0.5:
            worker.process.fuse, worker.process.doom = 1500, self.random.randint(0, 15)
        await dead
        self._spoil(worker.name)
        await asyncio.sleep(0.3 + self.random.random() * self.random.choice((0.5, 8)))
        self._start(int(worker.name[1:]) - 1)

    def _spoil(self, name: str) -> None:
        if not self.faults.disks:
            return
        match self.random.choice(("keep", "lose", "old")):
            case "lose":
                self.disks.lose(name)
            case "old" if name in self._images:
                self.disks.lose(name)
                self.disks.folders.update(self._images.pop(name))
        self._images.setdefault(name, self.disks.image(name))

    async def _freeze(self) -> None:
        await asyncio.sleep(self._some_time())
        live = [
            worker for worker in self.workers.values() if not (worker.process.dead or worker.process.frozen) and worker.process.fuse is None
        ]
        if live:
            worker = self.random.choice(live)
            worker.process.frozen = True
            self.died += 1  # others may take it for dead
            self.group.lost(worker)
            self.trace(f"{worker.name} is frozen")
            await asyncio.sleep(self.random.random() * 2 * SESSION)
            self.trace(f"{worker.name} goes on")
            self.group.found(worker)
            self.loop.thaw(worker.process)

    async def _hand_over(self) -> None:
        """Stop a worker as SIGTERM does, or start one more."""
        await asyncio.sleep(self._some_time())
        live = [
            worker
            for worker in self.workers.values()
            if worker.ready and not (worker.process.dead or worker.process.frozen) and worker.process.fuse is None
        ]
        if len(live) == 1 or (live and self.random.random() < 0.5):
            worker = self.random.choice(live)
            self.trace(f"stop {worker.name}")
            worker.process.fuse = 1 << 60  # nobody else's victim from now on
            stopped = self.loop.start(worker.process, worker.stop())
            self.loop.call_later(STOP_LIMIT, worker.process.kill)  # as the watchdog does
            while not (stopped.done() or worker.process.dead):  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.05)
            await asyncio.sleep(self.random.random() * 3)
            self._start(int(worker.name[1:]) - 1)
        else:
            self._start(self.random.randrange(3))

    async def _traffic(self) -> None:
        """Requests, some of them twice, some of them none; ``expected`` are the notifications that they ask for."""
        await self._send(traffic(self.random, self.partitions))

    async def _send(self, all_sent: Iterator[Sent]) -> None:
        catalogue = codes()[0].app.catalogue
        for sent in all_sent:
            await asyncio.sleep(sent.pause)
            offset = self._produce(sent)
            try:
                request = parse(sent.value, "acme", catalogue)
            except InvalidRequestError:
                self.refused += 1
            else:
                place = f"{requests('acme')}/{sent.partition}/{offset}"
                for item in expand(request, "acme", place, 0, self.partitions):
                    children = fanout.members(item, OFFERS[item.offer], self.partitions) if item.offer else []
                    self.expected.update(one.id for one in (item, *children))
                    self.parents |= {one.id: item.id for one in children}

    async def _plans(self) -> None:
        """In some worlds plans with windows and steps at once; their own chance, so that seeds without them stay what they are."""
        random = Random(f"plans {self.seed}")
        if random.random() < 0.4:
            await self._send(plans(random, self.partitions))

    async def _cancel(self) -> None:
        """In some worlds notifications are called back, in whatever state they are."""
        random = Random(f"cancel {self.seed}")
        for number in range(random.randint(1, 6) if random.random() < 0.4 else 0):
            await asyncio.sleep(random.random() * random.choice((0.3, 3, 30)))
            known = sorted(self.expected)
            if known:
                wish = calling.cancel(random.choice(known), "acme/somebody", int(self.loop.now * 1000), "somebody")
                self.trace(f"cancel {number} {wish.notification}")
                partition = partition_of_notification(wish.notification)
                self.broker.append(OUTCOMES, partition, [(None, msgspec.json.encode(wish), int(self.loop.now * 1000))])

    async def _outreach(self) -> None:
        """In some worlds a campaign; its own chance, so that seeds without one stay what they are."""
        random = Random(f"campaign {self.seed}")
        if random.random() > 0.3:
            return
        self.campaign = campaign = Campaign(random, random.choice(("otp", "welcome", "letter", "chain")))
        partition = partition_of(b"acme", self.partitions)
        for pause, topic, value in campaign.records():
            await asyncio.sleep(pause)
            while topic != CAMPAIGNS and not self.broker.logs[changelog("campaigns"), partition].records:  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.5)  # nobody hands an audience on before there is its campaign
            self.broker.append(topic, partition, [(None, value, int(self.loop.now * 1000))])
        known = campaigns.create(Create("", "acme", NAME, campaign.scenario, "", 0), 0)
        self.reached = {outreach.notification(known, 0, row, 0, self.partitions).id for row in campaign.rows}
        self.expected |= self.reached

    def _know(self) -> None:
        """The rows of offers, as if they had always been there."""
        for row in OFFERS.values():
            key = row.key.encode()
            value = (2**50).to_bytes(8) + bytes(8) + msgspec.msgpack.encode(row)
            self.broker.append(changelog("users"), partition_of(key, self.partitions), [(key, value, int(self.loop.now * 1000))])

    def _produce(self, sent: Sent) -> int:
        if sent.hole:
            self.broker.hole(requests("acme"), sent.partition)
        now = int(self.loop.now * 1000)
        return self.broker.append(requests("acme"), sent.partition, [(None, sent.value, now)], kind=1)


def simulate(seed: int, *, tracing: bool = False, judge: Callable[[World], list[str]]) -> tuple[World, list[str]]:
    """Run a seed; what it breaks of the laws."""
    world = World(seed, tracing).run()
    try:
        return world, judge(world)
    finally:
        world.loop.close()
