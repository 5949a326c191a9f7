"""A real MariaDB of one's own, where the machine has Debian's ``mariadb-server``."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.support.database import PASSWORD, Database, as_nobody

_PATH = f"{os.defpath}:/usr/sbin:/usr/local/sbin"  # servers are often not in a user's PATH


def program(name: str) -> Path:
    """``RuntimeError`` if the machine has none."""
    found = shutil.which(name) or shutil.which(name, path=_PATH)
    if found is None:
        raise RuntimeError(f"no {name}: install Debian's mariadb-server")
    return Path(found)


class MariaDB(Database):
    """MariaDB with the database ``inm``, in which texts are utf8mb4. With a key and certificate in the file ``server.pem``, it has TLS."""

    name = "mariadb"
    ready = "ready for connections"
    fast = signal.SIGTERM

    def __init__(self) -> None:
        self._server, self._install = program("mariadbd"), program("mariadb-install-db")
        super().__init__()

    @property
    def url(self) -> str:
        return f"mysql://inm:{PASSWORD}@127.0.0.1:{self.port}/inm"

    def create(self) -> None:
        options = ["--no-defaults", f"--datadir={self.data}", "--auth-root-authentication-method=normal", "--skip-test-db"]
        done = subprocess.run(as_nobody(self._install, *options), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"mariadb-install-db failed:\n{done.stdout}{done.stderr}")
        statements = (
            "CREATE DATABASE IF NOT EXISTS inm",
            f"CREATE USER IF NOT EXISTS inm@127.0.0.1 IDENTIFIED BY '{PASSWORD}'",
            "GRANT ALL ON inm.* TO inm@127.0.0.1",
        )
        self.write("init.sql", "".join(f"{statement};\n" for statement in statements))

    def command(self) -> list[str]:
        files = [f"--datadir={self.data}", f"--socket={self.folder / 'socket'}", f"--init-file={self.folder / 'init.sql'}"]
        network = ["--bind-address=127.0.0.1", f"--port={self.port}", "--skip-name-resolve"]
        cheap = ["--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync", "--innodb-fast-shutdown=2"]
        certificate = self.folder / "server.pem"
        tls = [f"--ssl-cert={certificate}", f"--ssl-key={certificate}"] if certificate.exists() else []
        return as_nobody(self._server, "--no-defaults", *files, *network, *cheap, *tls, "--character-set-server=utf8mb4")
