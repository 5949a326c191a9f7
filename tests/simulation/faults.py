"""What goes wrong in a world."""

from dataclasses import dataclass
from random import Random

KINDS = {
    "calm": ((0, 0), (0, 0), (0, 0)),
    "crash": ((1, 4), (0, 0), (0, 0)),
    "handover": ((0, 0), (1, 3), (0, 0)),
    "freeze": ((0, 0), (0, 1), (1, 2)),
    "storm": ((1, 4), (1, 3), (0, 2)),
}
"""The fewest and the most crashes, handovers and freezes of a world."""


@dataclass(frozen=True)
class Faults:
    """What may go wrong in a world. Nothing of it, and every message goes out once and unmarked."""

    crashes: int = 0
    handovers: int = 0
    workers: int = 1
    rough: float = 0.0
    slow: float = 0.0
    narrow: bool = False
    """Topics take small batches only."""
    failing: float = 0.0
    """The share of batches whose acknowledgement is lost for good: the worker ends itself."""
    freezes: int = 0
    """A worker stands still, perhaps for longer than its session, and goes on."""
    disks: bool = False
    """Folders get lost, or old ones come back, while a worker is down."""
    source: bool = False
    """User data are asked for at a customer's database. It takes more steps, so not every world has one."""

    @classmethod
    def of(cls, random: Random) -> "Faults":
        kind = random.choice(("calm", "crash", "crash", "crash", "handover", "handover", "freeze", "freeze", "storm", "storm"))
        crashes, handovers, freezes = (random.randint(*bounds) for bounds in KINDS[kind])
        return cls(
            crashes=crashes,
            handovers=handovers,
            workers=1 if kind == "crash" and random.random() < 0.5 else random.randint(1, 3),
            rough=random.choice((0.0, 0.1, 0.4)),
            slow=random.choice((0.0, 0.02, 0.2)),
            narrow=random.random() < 0.2,
            failing=random.choice((0.0, 0.0, 0.003)) if kind == "storm" else 0.0,
            freezes=freezes,
            disks=kind == "storm" and random.random() < 0.5,
            source=random.random() < 0.25,
        )
