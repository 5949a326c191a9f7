"""Leaving at once when going on would lose something. A supervisor starts the worker again."""

import logging
import os
from typing import NoReturn

log = logging.getLogger("inm.fatal")

EXIT_PRODUCE = 70
"""The broker refused or lost an output: acking its source would lose it."""
EXIT_STALL = 71
"""Records are under way and nothing is committed."""
EXIT_STOP = 72
"""A stop took longer than its limit."""
EXIT_ASSIGNMENT = 73
"""The worker cannot take its partitions over: wrong topics, or a disk that cannot be used."""
EXIT_UNREAD = 74
"""There are records to read and none is read."""
EXIT_LOOP = 75
"""The event loop is blocked."""
EXIT_DISK = 76
"""A table cannot be written: the disk is full, or broken."""


def leave(code: int, why: str) -> NoReturn:
    """End the process without any further step: no commit, no flush, no ``finally``."""
    log.critical("worker ends itself with exit code %d: %s", code, why)
    logging.shutdown()
    os._exit(code)
