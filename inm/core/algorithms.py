"""Plug-ins of the decision: what they are given and what they may answer. ``docs/plugins.md`` is for those who write one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from inm.core.grounds import Report
from inm.core.scenarios import Algorithm


class Context(Struct, frozen=True):
    """What is known: the values that rules see, by the same names, as copies. ``now`` is in UTC."""

    tenant: str
    scenario: str
    request: Mapping[str, Any]
    user: Mapping[str, Any]
    added: Mapping[str, Any]
    """What ``enrich`` has added."""
    now: datetime


class Candidate(Struct, frozen=True):
    """One step that might be sent. ``reachable``: there is an address for it, and the user has not opted out of it."""

    step: int
    """From 1, in the order of the plan."""
    channel: str
    template: str
    sender: str
    reachable: bool


class Algorithms(Protocol):
    """The plug-ins that are installed. Both calls return within the algorithm's limit, and never raise; None if it failed."""

    def choose(self, algorithm: Algorithm, candidates: Sequence[Candidate], context: Context) -> tuple[list[int] | None, Report]:
        """The steps to try, in their order; those left out are not tried."""

    def enrich(self, algorithm: Algorithm, context: Context) -> tuple[dict[str, Any] | None, Report]:
        """Fields to add, as JSON data. Those of the request win over them, and they over the user data."""


class NoAlgorithms:
    """None is installed."""

    def choose(self, algorithm: Algorithm, candidates: Sequence[Candidate], context: Context) -> tuple[list[int] | None, Report]:
        return None, Report(algorithm.name, "choose", "missing")

    def enrich(self, algorithm: Algorithm, context: Context) -> tuple[dict[str, Any] | None, Report]:
        return None, Report(algorithm.name, "enrich", "missing")
