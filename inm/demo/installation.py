"""A whole installation on this machine: broker, simulated providers and workers, in a folder of its own."""

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from urllib.error import URLError
from urllib.request import urlopen

from inm.demo.child import Child
from inm.demo.inbox import Inbox
from inm.demo.kafka import Kafka
from inm.demo.ports import free_ports
from inm.demo.smsc import Smsc
from inm.demo.smtp import SmtpServer

READY_TIMEOUT = 60.0
CONFIG = Path(__file__).parents[2] / "config"


class Installation:
    """``async with Installation() as installation``; workers are started by :meth:`start_worker`."""

    def __init__(self, *, seed: int = 1, http_port: int | None = None, program: str = "inm") -> None:
        """``program`` is the module whose ``worker`` command a worker is, unless another is named at its start."""
        self.program = program
        self.folder = Path(tempfile.mkdtemp(prefix="inm-"))
        self.smsc = Smsc(password=secrets.token_hex(4), seed=seed)
        self.smtp = SmtpServer()
        self.inbox = Inbox()
        self.api_key = f"inm_live_demo_{secrets.token_urlsafe(32)}"
        self.console_secret = secrets.token_urlsafe(32)
        self.bootstrap = ""
        self.kafka: Kafka | None = None
        """The broker, if it is one of its own."""
        self.workers: dict[str, Child] = {}
        self.exits: list[tuple[str, int]] = []
        """Workers that ended by themselves while they were supervised, and their exit codes."""
        self.ports: dict[str, int] = {}
        self._http_port = http_port
        self._running = AsyncExitStack()
        self._starts: dict[str, tuple[Mapping[str, str] | None, str | None]] = {}
        self._supervising: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Installation":
        try:
            await self._find_broker()
            await self.smsc.start()
            self._running.push_async_callback(self.smsc.stop)
            await self.smtp.start()
            self._running.push_async_callback(self.smtp.stop)
            await self.inbox.start()
            self._running.push_async_callback(self.inbox.stop)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._supervising:
            self._supervising.cancel()
        await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in self.workers.values()))
        await self._running.aclose()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _find_broker(self) -> None:
        """``$INM_BROKER`` if that is set, else one of its own."""
        self.bootstrap = os.environ.get("INM_BROKER", "")
        if not self.bootstrap:
            self.kafka = Kafka()
            await asyncio.to_thread(self.kafka.start)
            self._running.push_async_callback(asyncio.to_thread, self.kafka.stop)
            self.bootstrap = self.kafka.bootstrap

    async def command(self, *arguments: str) -> None:
        """Run an ``inm`` command here. ``RuntimeError`` with its last words if it does not succeed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "inm", *arguments,
            env=os.environ | self.environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"inm {' '.join(arguments[:2])} ended with {process.returncode}:\n{said.decode()[-3000:]}")

    def environment(self) -> dict[str, str]:
        """What a worker, or an ``inm`` command beside it, needs in its environment."""
        return {
            "INM_CONFIG": str(CONFIG),
            "INM_BROKER": self.bootstrap,
            "INM_DATA_DIR": str(self.folder / "data"),
            "INM_SMSC_PASSWORD": self.smsc.account[1],
            "INM_ROUTE_SMSC_1_HOSTS": f"127.0.0.1:{self.smsc.port}",
            "INM_ROUTE_SMTP_1_PORT": str(self.smtp.port),
            "INM_INBOX_SECRET": self.inbox.secret,
            "INM_ROUTE_INBOX_1_URL": self.inbox.url,
            "INM_API_KEYS": f"acme={self.api_key}",
            "INM_CONSOLE_SECRET": self.console_secret,
        }

    def data(self, name: str) -> Path:
        """What a worker keeps."""
        return self.folder / "data" / name

    def log(self, name: str) -> Path:
        """What a worker says, over all its starts."""
        return self.folder / f"{name}.log"

    async def start_worker(self, name: str = "worker-1", more: Mapping[str, str] | None = None, module: str | None = None) -> None:
        """Start a worker (again) and return when it has its partitions. ``RuntimeError`` with the end of its log if it does not."""
        await self.spawn_worker(name, more, module)
        await self._ready(name)

    async def spawn_worker(self, name: str, more: Mapping[str, str] | None = None, module: str | None = None) -> None:
        """Start a worker (again), and do not wait for it."""
        self._starts[name] = more, module
        if name not in self.ports:
            self.ports[name] = self._http_port or free_ports(1)[0]
            self._http_port = None
            self.inbox.receipt_urls.append(f"{self.url(name)}/v1/receipts/inbox-1")
        own = {"INM_WORKER_ID": name, "INM_HTTP_PORT": str(self.ports[name])}
        environment = os.environ | self.environment() | own | dict(more or {})
        command = [sys.executable, "-m", module or self.program, "worker"]
        self.workers[name] = await asyncio.to_thread(lambda: Child(command, self.log(name), environment=environment, remove=self.folder))

    def supervise(self) -> None:
        """From now on, start each worker again that ends by itself, as a container's restart policy does."""
        self._supervising = asyncio.create_task(self._supervise())

    async def _supervise(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            for name, worker in list(self.workers.items()):
                if not worker.running:
                    self.exits.append((name, await asyncio.to_thread(worker.stop)))
                    await self.spawn_worker(name, *self._starts[name])

    async def settled(self) -> None:
        """Return when all workers have their partitions."""
        await asyncio.gather(*map(self._ready, self.workers))

    async def stop_worker(self, name: str) -> int:
        """SIGTERM; the exit code."""
        return await asyncio.to_thread(self.workers.pop(name).stop)

    def kill_worker(self, name: str) -> None:
        """SIGKILL."""
        self.workers.pop(name).kill()

    def url(self, name: str = "worker-1") -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    async def _ready(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + READY_TIMEOUT
        while not await asyncio.to_thread(_answers, f"{self.url(name)}/readyz"):
            ended = not (self.workers[name].running or self._supervising)
            if ended or loop.time() > end:
                tail = "\n".join(self.log(name).read_text(errors="replace").splitlines()[-30:])
                raise RuntimeError(f"{name} {'has ended' if ended else 'is not ready'}; the end of its log:\n{tail}")
            await asyncio.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as response:  # noqa: S310 - always http://127.0.0.1
            return bool(response.status == 200)
    except (URLError, OSError):
        return False
