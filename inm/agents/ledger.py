"""Tells the completeness ledger: a tally that has changed goes to ``inm.ledger``, what is open too long to the metrics and the log."""

import logging
from collections import Counter, defaultdict

import msgspec

from inm import metrics, topics
from inm.app import app
from inm.core.completeness import Snapshot, Tally, line
from inm.streaming.stage import Output
from inm.tables.journeys import tallies

PER_TICK = 500
"""Tallies that one tick looks at: of a partition with more, the figures come round every some ticks."""

log = logging.getLogger("inm.ledger")
stage = app.stage("ledger")
_encode = msgspec.json.Encoder().encode
_told: dict[tuple[int, str], bytes] = {}
"""What each partition has told last of each tally."""
_cursors: dict[int, str] = {}
_growing: dict[int, dict[str, Counter[str]]] = {}
"""What has been seen of each partition in this round: open and overdue notifications by tenant."""
_whole: dict[int, dict[str, Counter[str]]] = {}
"""Likewise of the last whole round."""
_alarmed: dict[str, int] = {}
"""What was last said of each tenant."""


def on_tick(out: Output) -> None:
    found = tallies.of_hours(out.partition, out.now, after=_cursors.get(out.partition, ""), limit=PER_TICK)
    counts = _growing.setdefault(out.partition, defaultdict(Counter))
    for key, tally in found.items():
        _tell(key, tally, out)
        told = line(key, tally, out.now)
        counts[told.tenant].update(open=told.open, overdue=told.overdue)
    if len(found) == PER_TICK:
        _cursors[out.partition] = next(reversed(found))
        return
    _cursors.pop(out.partition, None)
    _whole[out.partition] = _growing.pop(out.partition)
    _measure()


def _tell(key: str, tally: Tally, out: Output) -> None:
    tenant, scenario, _ = key.split("/")
    told = line(key, tally, out.now)
    value = _encode(Snapshot(out.partition, tenant, scenario, told.hour, tally.accepted, tally.finals, tally.corrections, tally.due))
    if _told.get((out.partition, key)) != value:
        _told[out.partition, key] = value
        out.emit(topics.LEDGER, f"{out.partition}/{key}".encode(), value)


def _measure() -> None:
    """The sums over the partitions that this worker holds."""
    for partition in [partition for partition in _whole if partition not in app.assignments.partitions]:
        del _whole[partition]
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for counts in _whole.values():
        for tenant, numbers in counts.items():
            sums[tenant].update(numbers)
    for tenant, numbers in sums.items():
        metrics.OPEN.labels(tenant).set(numbers["open"])
        metrics.OVERDUE.labels(tenant).set(numbers["overdue"])
        if numbers["overdue"] != _alarmed.get(tenant, 0):
            _alarmed[tenant] = numbers["overdue"]
            log.warning("%d notifications of %s are open past their last deadline: inm ledger --open", numbers["overdue"], tenant)


app.every_tick(stage, on_tick)
