"""What a test's own PostgreSQL and its own MariaDB have in common."""

import os
import shutil
import signal
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from inm.demo.child import Child
from inm.demo.ports import free_ports

PASSWORD = "toy-secret"
NOBODY = 65534
# Databases refuse to run as root, as which containers often do.
_AS_NOBODY = f"import os, sys; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY}); os.execv(sys.argv[1], sys.argv[1:])"


class Database(ABC):
    """``with Postgres() as postgres``: a server with a database of the user ``inm`` on loopback, without fsync, gone at the end."""

    name: ClassVar[str]
    ready: ClassVar[str]
    """What the server writes into its log when it takes connections."""
    fast: ClassVar[signal.Signals]
    """Ends the server at once, with its connections."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"inm-{self.name}-"))
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        (self.port,) = free_ports(1)
        self._child: Child | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The same over restarts."""

    @abstractmethod
    def create(self) -> None:
        """Make the data folder."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What serves the data folder."""

    def __enter__(self) -> Self:
        try:
            self.create()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def write(self, name: str, text: str) -> str:
        """A file that the server may read."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        return str(path)

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def start(self) -> None:
        """Start, on the data that is there, and return when it takes connections."""
        log = self.folder / "server.log"
        began = log.read_text().count(self.ready) if log.exists() else 0
        self._child = Child(self.command(), log, remove=self.folder)
        end = time.monotonic() + 30
        while log.read_text().count(self.ready) == began:
            if not self._child.running or time.monotonic() > end:
                raise RuntimeError(f"{self.name} does not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """At once, with its connections. Does nothing if it is stopped."""
        child, self._child = self._child, None
        if child is not None:
            child.process.send_signal(self.fast)
            child.process.wait(20)
            child.stop()


def as_nobody(program: Path, *arguments: str) -> list[str]:
    """The command, as a user who is not root."""
    prefix = [sys.executable, "-c", _AS_NOBODY] if os.geteuid() == 0 else []
    return [*prefix, str(program), *arguments]
