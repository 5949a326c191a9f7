"""Log lines of the libraries: what matters, and each thing once in a while."""

import logging
from time import monotonic

QUIET = 10.0
"""Seconds in which the same message of a library is told once: without a broker aiokafka repeats itself a thousand times a second."""
LIBRARIES = ("aiokafka", "faust", "mode", "asyncio")


class OnceInAWhile(logging.Filter):
    """Lets a message (by its format, whatever its arguments) through once in :data:`QUIET` seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        key = (record.name, str(record.msg))
        if record.levelno >= logging.CRITICAL or monotonic() - self._told.get(key, -QUIET) >= QUIET:
            self._told[key] = monotonic()
            return True
        return False


def quieten(level: int) -> None:
    """Set the libraries' level. Faust leaves them without one, and then aiokafka formats a debug line a record: 17 % of the time."""
    once = OnceInAWhile()
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(level)
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] in LIBRARIES:
            logging.getLogger(name).addFilter(once)  # a filter of a parent does not see its children's records
    logging.getLogger("mode.timers").setLevel(logging.ERROR)  # it warns of every commit that a busy broker answers late
