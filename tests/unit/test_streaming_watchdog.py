"""When a worker ends itself, and when it does not."""

from types import SimpleNamespace
from typing import Any

import pytest

from inm.streaming.fatal import EXIT_LOOP, EXIT_STALL, EXIT_STOP, EXIT_UNREAD
from inm.streaming.watchdog import CHUNK_LIMIT, LOOP_LIMIT, STALL_LIMIT, STOP_LIMIT, Vitals, diagnose, observe

NOW = 1000.0
LONG_AGO = NOW - STALL_LIMIT - 1


def vitals(**changes: float | bool | int | None) -> Vitals:
    well = Vitals(beaten_at=NOW - 1, ready=True, progressed_at=NOW - 1, read_at=NOW - 1)
    for name, value in changes.items():
        setattr(well, name, value)
    return well


@pytest.mark.parametrize(
    ("sick", "code"),
    [
        (vitals(pending=1, progressed_at=LONG_AGO), EXIT_STALL),
        (vitals(pending=1, worked_since=NOW - CHUNK_LIMIT - 1), EXIT_STALL),
        (vitals(lagging=2, read_at=LONG_AGO), EXIT_UNREAD),
        (vitals(beaten_at=NOW - LOOP_LIMIT - 1), EXIT_LOOP),
        (vitals(beaten_at=NOW - LOOP_LIMIT - 1, ready=False), EXIT_LOOP),
        (vitals(stopping_at=NOW - STOP_LIMIT - 1), EXIT_STOP),
    ],
)
def test_a_worker_that_stands_still_ends_with_a_code_of_its_own(sick: Vitals, code: int) -> None:
    verdict = diagnose(sick, NOW)
    assert verdict is not None
    assert verdict[0] == code


@pytest.mark.parametrize(
    "well",
    [
        vitals(),
        vitals(pending=5),
        vitals(pending=5, worked_since=LONG_AGO),
        vitals(pending=0, progressed_at=LONG_AGO),
        vitals(lagging=0, read_at=LONG_AGO),
        vitals(ready=False, pending=3, progressed_at=LONG_AGO),
        vitals(stopping_at=NOW - 1, pending=3, progressed_at=LONG_AGO),
        vitals(stopping_at=NOW - 1, beaten_at=NOW - LOOP_LIMIT - 1),
    ],
)
def test_idleness_a_restore_and_a_stop_in_time_are_no_reason(well: Vitals) -> None:
    assert diagnose(well, NOW) is None


def test_work_after_an_hour_without_any_is_not_an_hour_late() -> None:
    seen, consumer = vitals(), SimpleNamespace(pending=0, lagging=0, worked_since=None, progressed_at=0.0, read_at=0.0)
    told: Any = consumer
    observe(seen, told, True, NOW)
    consumer.pending = consumer.lagging = 1
    observe(seen, told, True, NOW + 1)
    assert diagnose(seen, NOW + 1) is None
    observe(seen, told, True, NOW + STALL_LIMIT + 2)
    assert diagnose(seen, NOW + STALL_LIMIT + 2) is not None
    consumer.progressed_at = consumer.read_at = NOW + STALL_LIMIT + 2
    observe(seen, told, True, NOW + STALL_LIMIT + 3)
    assert diagnose(seen, NOW + STALL_LIMIT + 3) is None
