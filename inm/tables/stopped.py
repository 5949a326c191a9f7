"""Steps that are not to be sent any more, for dispatch to leave out while they are on their way to it. In memory.

What was marked on a worker that died since may be sent after all, and then its journey says so. What has waited for a further
attempt is looked up in the journeys table.
"""

from collections.abc import Iterable

from inm.core.latest import Latest
from inm.core.records import Delivery

REMEMBERED = 100_000
"""Steps that a worker remembers, the latest ones: as many as may lie between it and dispatch."""

_marked: Latest[str, None] = Latest(REMEMBERED)


def mark(steps: Iterable[str]) -> None:
    """Steps (``<notification>.<step>``) that are not to be sent any more."""
    for step in steps:
        _marked.put(step, None)


def marked(delivery: Delivery) -> bool:
    """Whether its step was marked on this worker."""
    return delivery.id.rpartition(".")[0] in _marked
