"""The installation that is measured: every part of it a process of its own, so that each one's CPU time is known."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path
from time import monotonic

from inm.demo.bench_load import RATE, configure
from inm.demo.bench_meter import children
from inm.demo.child import Child
from inm.demo.installation import READY_TIMEOUT, Installation

RECEIPT_DELAY, RECEIPT_JITTER = 1.0, 2.0
"""Seconds until the SMSC reports at the soonest, and up to how much later each time: about what handsets that are on take."""

NICER = 5
"""By how much the measured have less priority than who measures."""


class Rig(Installation):
    """``await rig.start_providers()`` first; the simulators inside of this process stay idle."""

    def __init__(self, rate: float = RATE, more: str = "") -> None:
        """``rate`` of the SMSC's route; ``more`` documents beside those of the load."""
        super().__init__()
        self._config = self.folder / "config"
        configure(self._config, rate, more)
        self._providers: dict[str, str] = {}
        self.arrivals = self.folder / "arrivals.log"
        """When each part came to the SMSC, if that is asked for."""

    def environment(self) -> dict[str, str]:
        """As for any installation, with a configuration of its own and the addresses of the providers' processes."""
        return super().environment() | {"INM_CONFIG": str(self._config)} | self._providers

    @property
    def smsc_address(self) -> str:
        """``host:port``."""
        return self._providers["INM_ROUTE_SMSC_1_HOSTS"]

    async def start_providers(self, *, email: bool = False, receipts: bool = True, arrivals: bool = False) -> None:
        """The SMSC, which may keep its receipts for itself and note what comes when, and, if it is asked for, the SMTP server."""
        delays = ("--receipt-delay", str(RECEIPT_DELAY), "--receipt-jitter", str(RECEIPT_JITTER))
        reports = delays if receipts else ("--receipt", "DELIVRD=0")
        notes = ("--log", str(self.arrivals)) if arrivals else ()
        port = await self._start("smsc", r"127\.0\.0\.1:(\d+)", "inm.demo.smsc", "--port", "0", *reports, *notes)
        self._providers["INM_ROUTE_SMSC_1_HOSTS"] = f"127.0.0.1:{port}"
        if email:
            self._providers["INM_ROUTE_SMTP_1_PORT"] = await self._start("smtp", r"127\.0\.0\.1:(\d+)", "inm.demo.sink", "--port", "0")

    async def start_pipe(self, share: int, of: int, tenants: list[str]) -> str:
        """A bare pipe in the place of worker ``share`` of ``of`` (from 0); its name."""
        arguments = (self.bootstrap, self.smsc_address, str(share), str(of), *tenants)
        await self._start(f"pipe-{share}", "(ready)", "inm.demo.bench_pipe", *arguments)
        return f"pipe-{share}"

    async def start_profiler(self, pid: int, seconds: float, file: Path) -> None:
        """py-spy beside a worker. ``RuntimeError`` if it is not installed."""
        command = shutil.which("py-spy")
        if command is None:
            raise RuntimeError("--profile needs py-spy on the path: pip install py-spy")
        arguments = (command, "record", "--pid", str(pid), "--duration", str(round(seconds)), "--output", str(file))
        self.workers["profiler"] = await asyncio.to_thread(lambda: Child(arguments, self.log("profiler")))

    def make_way(self) -> None:
        """Kafka, and whatever is started from now on, come after the SMSC: it notes when things come, and on a full machine it would
        else note when it got round to looking."""
        for process in (os.getpid(), *children(b"kafka.Kafka")):
            for thread in Path(f"/proc/{process}/task").iterdir():  # each has a priority of its own, which what it starts inherits
                os.setpriority(os.PRIO_PROCESS, int(thread.name), NICER)

    def processes(self, workers: list[str]) -> dict[str, list[int]]:
        """The process ids of what is measured; no Kafka if ``$INM_BROKER`` names another one."""
        groups = {"worker": [self.pid(name) for name in workers], "kafka": children(b"kafka.Kafka"), "smsc": [self.pid("smsc")]}
        if "smtp" in self.workers:
            groups["smtp"] = [self.pid("smtp")]
        return {name: pids for name, pids in groups.items() if pids} | {"bench": [os.getpid()]}

    def pid(self, name: str) -> int:
        """The process id of a child."""
        return self.workers[name].process.pid

    async def _start(self, name: str, expected: str, module: str, *arguments: str) -> str:
        """Start a module and return what it says of itself, the group in ``expected``. ``RuntimeError`` with its log if it does not."""
        command, environment = [sys.executable, "-m", module, *arguments], os.environ | self.environment()
        child = self.workers[name] = await asyncio.to_thread(
            lambda: Child(command, self.log(name), environment=environment, remove=self.folder)
        )
        deadline = monotonic() + READY_TIMEOUT
        while not (said := re.search(expected, text := self.log(name).read_text(errors="replace"))):
            if not child.running or monotonic() > deadline:
                raise RuntimeError(f"{name} did not start; the end of its log:\n{text[-3000:]}")
            await asyncio.sleep(0.05)
        return said[1]
