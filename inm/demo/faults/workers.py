"""Workers that die, leave and come back."""

import asyncio
import shutil

from inm.demo.faults.breaker import Breaker, Unable
from inm.demo.stepped import Clock

HOUR = 3600.0


async def kill_worker(breaker: Breaker) -> None:
    """Kill -9 of one worker, and its return some seconds later."""
    name = breaker.worker()
    breaker.installation.kill_worker(name)
    await breaker.rest(0, 4)
    await breaker.installation.start_worker(name)


async def kill_all(breaker: Breaker) -> None:
    """Kill -9 of all workers at once."""
    for name in breaker.names:
        breaker.installation.kill_worker(name)
    await breaker.start(breaker.names)


async def kill_in_recovery(breaker: Breaker) -> None:
    """Kill -9 of a worker, and again while it takes its partitions over."""
    name = breaker.worker()
    breaker.installation.kill_worker(name)
    await breaker.installation.spawn_worker(name)
    await breaker.rest(1, 4)
    breaker.installation.kill_worker(name)
    await breaker.installation.start_worker(name)


async def kill_in_rebalance(breaker: Breaker) -> None:
    """One worker leaves, and another is killed while the group rebalances."""
    leaving, killed = breaker.two_workers()
    stop = asyncio.create_task(breaker.installation.stop_worker(leaving))
    await breaker.rest(0.5, 2)
    if killed != leaving:
        breaker.installation.kill_worker(killed)
    await stop
    await breaker.start({leaving, killed})


async def roll(breaker: Breaker) -> None:
    """A rolling restart: SIGTERM and start of each worker in turn."""
    for name in breaker.names:
        await breaker.installation.stop_worker(name)
        await breaker.installation.start_worker(name)


async def scale(breaker: Breaker) -> None:
    """All but one worker leave, and come back."""
    away = breaker.names[1:]
    for name in away:
        await breaker.installation.stop_worker(name)
    await breaker.rest(1, 4)
    await breaker.start(away)


async def lose_disk(breaker: Breaker) -> None:
    """A worker dies, and its tables with it."""
    name = breaker.worker()
    breaker.installation.kill_worker(name)
    await asyncio.to_thread(shutil.rmtree, breaker.installation.data(name))
    await breaker.installation.start_worker(name)


async def old_disk(breaker: Breaker) -> None:
    """A worker dies, and an older copy of its tables is put back."""
    name = breaker.worker()
    data = breaker.installation.data(name)
    old = data.with_suffix(".old")
    await breaker.installation.stop_worker(name)
    await asyncio.to_thread(shutil.copytree, data, old)
    await breaker.installation.start_worker(name)
    await breaker.rest(2, 5)
    breaker.installation.kill_worker(name)
    await asyncio.to_thread(shutil.rmtree, data)
    await asyncio.to_thread(old.rename, data)
    await breaker.installation.start_worker(name)


async def step_clock(breaker: Breaker) -> None:
    """A worker's clock is an hour slow, then right, then an hour fast, then right."""
    if breaker.installation.program != "inm":
        raise Unable("only inm's own workers have a clock that can be stepped")
    name = breaker.worker()
    clock = Clock(breaker.installation.folder / f"{name}.clock")
    await breaker.installation.stop_worker(name)
    await breaker.installation.start_worker(name, clock.environment, module=clock.module)
    for wrong in (-HOUR, HOUR):
        clock.step(wrong)
        await breaker.rest(3, 8)
        clock.step(0)
        await breaker.rest(1, 3)
