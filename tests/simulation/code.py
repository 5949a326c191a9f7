"""The product's code, once for each worker: processes share no variables, so these share no modules that hold any.

``inm.app``, the agents and the tables are imported anew for each; what is below them has no state of its own.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from msgspec import structs

import inm.streaming.emitter as emitter_module
from inm.core.latest import Latest
from inm.documents import load_catalogue
from inm.sources.registry import Sources
from inm.streaming.app import StreamingApp
from inm.streaming.chunks import now_ms

STATEFUL = ("inm.app", "inm.agents", "inm.reports", "inm.tables")
AGENTS = ("intake", "evaluate", "dispatch", "receipts", "journeys", "schedule", "users", "campaigns")


class Ordered(dict[Any, None]):
    """A set in the order of coming: that of a plain one is another in each Python process, and seeds could not be replayed."""

    def add(self, item: Any) -> None:
        self[item] = None

    def discard(self, item: Any) -> None:
        self.pop(item, None)


class Code:
    """One worker's modules, with the state that a start of the process begins with."""

    def __init__(self) -> None:
        with _modules_anew():
            self.app: Any = importlib.import_module("inm.app").app
            whole = self.app.library.catalogue = load_catalogue(self.app.settings)
            book = whole.book("acme")
            assert book is not None
            self.catalogues = {True: whole, False: whole.with_book("acme", structs.replace(book, source=None))}
            """With a source of user data, and without."""
            self.app.serve(self.app.catalogue.tenants)
            self.agents: dict[str, Any] = {name: importlib.import_module(f"inm.agents.{name}") for name in AGENTS}
            self.streams = [agent for module in self.agents.values() for agent in getattr(module, "agents", None) or [module.agent]]
            modules = [module for name, module in sys.modules.items() if name.startswith(STATEFUL)]
        self.tables = self.app._inm_tables
        self._emitted = next(module.emitted for module in modules if module.__name__ == "inm.tables.emitted")
        self._rows = {value for module in modules for value in vars(module).values() if hasattr(value, "_cursors")}
        self._latest = [value for module in modules for value in vars(module).values() if isinstance(value, Latest)]
        self._variables = [(vars(module), name, copy(value)) for module in modules for name, value in _variables(module)]

    def reset(self, worker: Any) -> None:
        """As a new process has it."""
        for module, name, value in self._variables:
            module[name] = copy(value)
        for latest in self._latest:
            latest.clear()
        self._emitted.__init__()
        for rows in self._rows:
            rows._cursors.clear()
        for table in self.tables:
            table.partitions.clear()
            table._databases.clear()
        self.app.sources = Sources({}, now_ms)
        self.app.directory.__init__(self.app.settings.routes.values(), self.app.settings.ported, "w")
        for agent in self.agents.values():
            vars(agent.stage).update(vars(StreamingApp.stage(worker, agent.stage.name)))


def _variables(module: ModuleType) -> list[tuple[str, Any]]:
    """Module globals that change: the private ones of plain types."""
    found = [(name, value) for name, value in vars(module).items() if name.startswith("_") and not name.startswith("__")]
    return [(name, value) for name, value in found if type(value) in (dict, set, list, int, float)]


@contextmanager
def _modules_anew() -> Iterator[None]:
    before = {name: module for name, module in sys.modules.items() if name.startswith(STATEFUL)}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INM_")}
    saved = dict(os.environ)
    for name in before:
        del sys.modules[name]
    try:
        os.environ.clear()
        os.environ.update(environment | {"INM_CONFIG": str(Path(__file__).parent / "config"), "INM_SMSC_PASSWORD": "secret"})
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
        for name in [name for name in sys.modules if name.startswith(STATEFUL)]:
            del sys.modules[name]
        sys.modules.update(before)


@cache
def codes(count: int = 3) -> list[Code]:
    """Loaded once for all simulations of a test run."""
    vars(emitter_module)["set"] = Ordered
    return [Code() for _ in range(count)]
