"""What can go wrong around and inside an installation: each fault breaks something, waits, and leaves it mended."""

from inm.demo.faults import broker, disk, providers, requests, workers
from inm.demo.faults.breaker import Breaker, Fault, Unable

__all__ = ["FAULTS", "Breaker", "Fault", "Unable"]

_ALL: tuple[Fault, ...] = (
    workers.kill_worker,
    workers.kill_all,
    workers.kill_in_recovery,
    workers.kill_in_rebalance,
    workers.roll,
    workers.scale,
    workers.lose_disk,
    workers.old_disk,
    workers.step_clock,
    disk.fill_disk,
    broker.restart_broker,
    broker.kill_broker,
    broker.pause_broker,
    broker.refuse_outputs,
    providers.smsc_down,
    providers.smsc_silent,
    providers.smsc_hangs_up,
    providers.smsc_throttles,
    providers.smsc_slow,
    providers.smsc_fails,
    providers.early_receipts,
    providers.double_receipts,
    providers.smtp_busy,
    providers.smtp_hangs,
    providers.smtp_refuses,
    requests.poison,
    requests.crowd,
)
FAULTS = {fault.__name__.replace("_", "-"): fault for fault in _ALL}
"""By name."""
