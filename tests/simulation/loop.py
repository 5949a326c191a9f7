"""An event loop of virtual time, on which processes live and die.

Every callback belongs to the process whose context it carries; those of a dead process are never run, as after kill -9.
Time stands while anything can run and then jumps to the next timer. The same seed takes the same steps.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, cast

START = 1_800_000_000.0
"""Seconds since 1970 when every simulation begins."""


@dataclass(eq=False)
class Process:
    """One life of a worker, from its start to its kill or end."""

    name: str
    skew: float = 0.0
    """Seconds by which its clock is ahead."""
    fuse: int | None = None
    """Steps after which it is killed, if it is."""
    doom: int | None = None
    """Batches that the broker still takes from it until the fuse is shortened: so it dies between two of its outputs."""
    on_death: Callable[[], None] = lambda: None
    dead: bool = False
    died_at: float = 0.0
    frozen: bool = False
    held: "list[Handle]" = field(default_factory=list)
    """What it would have run while it was frozen."""

    def kill(self) -> None:
        if not self.dead:
            self.dead = True
            self.died_at = asyncio.get_running_loop().time()
            self.on_death()


class Gone(BaseException):
    """The process has ended itself: nothing after this line has happened."""


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class Handle:
    """A callback and when it is due. What :mod:`asyncio` asks of its handles, and no more."""

    __slots__ = ("_args", "_callback", "cancelled_", "context", "due")

    def __init__(self, due: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None) -> None:
        self.due = due
        self.context = copy_context() if context is None else context
        self.cancelled_ = False
        self._callback = callback
        self._args = args

    def cancel(self) -> None:
        self.cancelled_ = True

    def cancelled(self) -> bool:
        return self.cancelled_

    def when(self) -> float:
        return self.due

    def run(self) -> None:
        self.context.run(self._callback, *self._args)


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs what is ready in order, then lets time jump. ``pulses`` are timers that matter only while something happens."""

    def __init__(self) -> None:
        self.now = START
        self.steps = 0
        self.errors: list[str] = []
        self.pulses: list[tuple[float, int, Handle]] = []
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._count = 0
        self._closed = False
        self._tasks: list[asyncio.Task[Any]] = []

    # -- what asyncio asks for ----------------------------------------------------------------------

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._closed

    def is_closed(self) -> bool:
        return self._closed

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        handle = Handle(self.now, callback, args, context)
        if not self._closed:
            self._ready.append(handle)
        return handle

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        handle = Handle(when, callback, args, context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        future = self.create_future()
        future.set_result(func(*args))
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        process = PROCESS.get()
        if not self._closed and (process is None or not process.dead):
            self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    # -- what the simulation asks for ---------------------------------------------------------------

    def start(self, process: Process, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run ``work`` as the main task, or one more, of a process."""
        context = copy_context()
        context.run(PROCESS.set, process)
        return self.create_task(work, context=context)

    def outside(self) -> Context:
        """The context of nobody's process."""
        context = copy_context()
        context.run(PROCESS.set, None)
        return context

    async def pulse(self, seconds: float) -> None:
        """Sleep, but let the loop pass over this sleep when nothing happens anywhere."""
        waiter = self.create_future()
        self._count += 1
        heapq.heappush(self.pulses, (self.now + seconds, self._count, Handle(0.0, wake, (waiter,), None)))
        await waiter

    def advance(self, rest: Callable[[float], float | None]) -> bool:
        """Run all that is ready, then go on to the next time. False when nothing is left to come.

        ``rest`` is asked before a pulse with the next timer's time: None if something is happening, else the time to jump to.
        """
        self._run_ready()
        while self._timers and (self._timers[0][2].cancelled_ or _dead(self._timers[0][2])):
            heapq.heappop(self._timers)
        timer = self._timers[0][0] if self._timers else float("inf")
        if not self.pulses or timer <= self.pulses[0][0]:
            if timer == float("inf"):
                return False
            self._due(self._timers)
            return True
        target = rest(timer)
        if target == float("inf"):
            return False
        if target is not None and target > self.now + 1.0:
            gap = target - self.pulses[0][0]
            self.pulses = [(when + gap, count, handle) for when, count, handle in self.pulses]
        if self.pulses[0][0] < timer:
            self._due(self.pulses)
        return True

    def _due(self, heap: list[tuple[float, int, Handle]]) -> None:
        when, _, handle = heapq.heappop(heap)
        self.now = max(self.now, when)
        self._ready.append(handle)

    def _run_ready(self) -> None:
        ready = self._ready
        while ready:
            handle = ready.popleft()
            process = handle.context.get(PROCESS)
            if handle.cancelled_ or (process is not None and self._stays(process, handle)):
                continue
            self.steps += 1
            try:
                handle.run()
            except Gone:
                continue
            except Exception as error:  # noqa: BLE001 - as asyncio does with a callback that raises
                self.errors.append(repr(error))

    def thaw(self, process: Process) -> None:
        """Let a frozen process go on, with all that came meanwhile."""
        process.frozen = False
        held, process.held = process.held, []
        self._ready.extend(held)

    def _stays(self, process: Process, handle: Handle) -> bool:
        """Whether a callback is not run now: its process is dead, or frozen."""
        if process.frozen and not process.dead:
            process.held.append(handle)
            return True
        if process.fuse is not None and not process.dead:
            process.fuse -= 1
            if process.fuse < 0:
                process.kill()
        return process.dead

    def failures(self) -> list[str]:
        """What tasks have raised and nobody has heard."""
        done = [task for task in self._tasks if task.done() and not task.cancelled()]
        raised = [(task, task.exception()) for task in done]
        return self.errors + [f"{task.get_coro()}: {error!r}" for task, error in raised if error and not isinstance(error, Gone)]

    def close(self) -> None:
        """Forget all that is still under way, without a sound."""
        self._closed = True
        for task in self._tasks:
            if not task.done():
                cast(Any, task)._log_destroy_pending = False
                try:
                    cast(Any, task.get_coro()).close()
                except RuntimeError:
                    continue  # it awaits in a finally: that is what vanishing means


def wake(waiter: "asyncio.Future[None]") -> None:
    """Set it, unless nobody waits any more."""
    if not waiter.done():
        waiter.set_result(None)


def _dead(handle: Handle) -> bool:
    process = handle.context.get(PROCESS)
    return process is not None and process.dead
