"""What can go wrong around and inside an installation: each fault breaks something, waits, and leaves it mended."""

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable

from inm.demo.installation import Installation
from inm.demo.smsc import Behaviour, Verdict


class Breaker:
    """Does faults to an installation with ``workers`` workers; the same seed makes the same choices."""

    def __init__(self, installation: Installation, workers: int, seed: int) -> None:
        self.installation = installation
        self.names = [f"worker-{number}" for number in range(1, workers + 1)]
        self._chance = random.Random(seed)

    def choose(self, names: list[str]) -> str:
        """The next fault to do."""
        return self._chance.choice(names)

    async def rest(self, shortest: float, longest: float) -> None:
        """Wait for some time between these seconds."""
        await asyncio.sleep(self._chance.uniform(shortest, longest))

    # -- workers ------------------------------------------------------------------------------------

    async def kill_worker(self) -> None:
        """Kill -9 of one worker, and its return some seconds later."""
        name = self._chance.choice(self.names)
        self.installation.kill_worker(name)
        await self.rest(0, 4)
        await self.installation.start_worker(name)

    async def kill_all(self) -> None:
        """Kill -9 of all workers at once."""
        for name in self.names:
            self.installation.kill_worker(name)
        await self._start(*self.names)

    async def kill_in_recovery(self) -> None:
        """Kill -9 of a worker, and again while it takes its partitions over."""
        name = self._chance.choice(self.names)
        self.installation.kill_worker(name)
        await self.installation.spawn_worker(name)
        await self.rest(1, 4)
        self.installation.kill_worker(name)
        await self.installation.start_worker(name)

    async def kill_in_rebalance(self) -> None:
        """One worker leaves, and another is killed while the group rebalances."""
        leaving, killed = self._chance.sample(self.names, 2) if len(self.names) > 1 else self.names * 2
        stop = asyncio.create_task(self.installation.stop_worker(leaving))
        await self.rest(0.5, 2)
        if killed != leaving:
            self.installation.kill_worker(killed)
        await stop
        await self._start(*{leaving, killed})

    async def roll(self) -> None:
        """A rolling restart: SIGTERM and start of each worker in turn."""
        for name in self.names:
            await self.installation.stop_worker(name)
            await self.installation.start_worker(name)

    async def scale(self) -> None:
        """All but one worker leave, and come back."""
        away = self.names[1:]
        for name in away:
            await self.installation.stop_worker(name)
        await self.rest(1, 4)
        await self._start(*away)

    async def lose_disk(self) -> None:
        """A worker dies, and its tables with it."""
        name = self._chance.choice(self.names)
        self.installation.kill_worker(name)
        await asyncio.to_thread(shutil.rmtree, self.installation.folder / "data" / name, ignore_errors=True)
        await self.installation.start_worker(name)

    async def old_disk(self) -> None:
        """A worker dies, and an older copy of its tables is put back."""
        name = self._chance.choice(self.names)
        data = self.installation.folder / "data" / name
        old = data.with_suffix(".old")
        await self.installation.stop_worker(name)
        await asyncio.to_thread(shutil.copytree, data, old)
        await self.installation.start_worker(name)
        await self.rest(2, 5)
        self.installation.kill_worker(name)
        await asyncio.to_thread(shutil.rmtree, data)
        await asyncio.to_thread(old.rename, data)
        await self.installation.start_worker(name)

    async def _start(self, *names: str) -> None:
        await asyncio.gather(*(self.installation.start_worker(name) for name in names))

    # -- broker -------------------------------------------------------------------------------------

    async def restart_broker(self) -> None:
        """An orderly restart of the broker."""
        if self.installation.kafka:
            await asyncio.to_thread(self.installation.kafka.restart)

    async def kill_broker(self) -> None:
        """Kill -9 of the broker, and its start."""
        if self.installation.kafka:
            await asyncio.to_thread(self.installation.kafka.kill)
            await asyncio.to_thread(self.installation.kafka.restart)

    async def pause_broker(self) -> None:
        """The broker stands still for up to 20 s, longer than a session lasts."""
        if self.installation.kafka:
            self.installation.kafka.pause()
            await self.rest(5, 20)
            self.installation.kafka.resume()

    # -- providers ----------------------------------------------------------------------------------

    async def smsc_down(self) -> None:
        """The SMSC is away and comes back on the same port."""
        await self.installation.smsc.leave()
        await self.rest(3, 10)
        await self.installation.smsc.start()

    async def smsc_silent(self) -> None:
        """The SMSC takes parts and does not answer."""
        await self._behave(decide=lambda _: Verdict(fault="silence"))

    async def smsc_hangs_up(self) -> None:
        """The SMSC breaks its connections, again and again."""
        for _ in range(5):
            self.installation.smsc.drop()
            await self.rest(0.2, 1)

    async def smsc_throttles(self) -> None:
        """The SMSC takes less than comes."""
        await self._behave(rate=100)

    async def smsc_fails(self) -> None:
        """5 % temporary and 2 % permanent errors."""
        await self._behave(errors={0x08: 0.05, 0x0B: 0.02})

    async def early_receipts(self) -> None:
        """Receipts come before the answers, and ids are in hexadecimal there and decimal here."""
        await self._behave(receipt_before_answer=True)

    async def smtp_busy(self) -> None:
        """The mail server greets with 421."""
        await self._mail("greeting", "421 4.3.2 come back later")

    async def smtp_hangs(self) -> None:
        """The mail server says nothing after the message."""
        await self._mail("hang", "end")

    async def smtp_refuses(self) -> None:
        """The mail server refuses after DATA, for now."""
        await self._mail("refuse_content", lambda _: "451 4.3.0 not now")

    async def _behave(self, **changes: object) -> None:
        smsc = self.installation.smsc
        usual = smsc.behaviour
        smsc.behaviour = Behaviour(**(vars(usual) | changes))
        await self.rest(3, 8)
        smsc.behaviour = usual

    async def _mail(self, name: str, value: object) -> None:
        behaviour = self.installation.smtp.behaviour
        usual = getattr(behaviour, name)
        setattr(behaviour, name, value)
        await self.rest(3, 8)
        setattr(behaviour, name, usual)


FAULTS: dict[str, Callable[[Breaker], Awaitable[None]]] = {
    name.replace("_", "-"): function
    for name, function in vars(Breaker).items()
    if callable(function) and not name.startswith("_") and name not in ("choose", "rest")
}
"""By name, in the order of the class."""
