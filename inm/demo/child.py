"""Child processes that are gone when their parent is gone, however it died."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# Waits until the pipe from the parent closes, however the parent died. PR_SET_PDEATHSIG would be bound to the thread that
# started the child and not to its process, and exists on Linux only.
_WATCH = 'read -r child; read -r _; kill -9 "$child"; test -z "$1" || rm -rf "$1"'


class Child:
    """A process in a session of its own (Ctrl-C reaches its parent alone), with its output in a file."""

    def __init__(
        self, command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None, remove: Path | None = None
    ) -> None:
        """Start. ``remove`` is a folder that goes with the child if the parent dies first."""
        watch = ["sh", "-c", _WATCH, "watch", str(remove or "")]
        self._watcher = subprocess.Popen(watch, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
            )  # fmt: skip
        assert self._watcher.stdin is not None
        self._watcher.stdin.write(b"%d\n" % self.process.pid)
        self._watcher.stdin.flush()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def stop(self, patience: float = 30.0) -> int:
        """SIGTERM, SIGKILL after ``patience`` seconds; returns the exit code."""
        self.process.terminate()
        self.process.send_signal(signal.SIGCONT)  # a paused process does not hear it
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._release()
        return code

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()
        self._release()

    def _release(self) -> None:
        # Before its pipe closes: it would kill whatever process has the child's id by then.
        self._watcher.kill()
        self._watcher.communicate()
