"""What the SMSC does with what it gets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from inm.demo.smsc.pdus import Form


class Verdict(NamedTuple):
    """What becomes of one submit."""

    status: int = 0
    """The command_status of the answer."""
    receipt: str | None = "DELIVRD"
    """The state in the receipt; ``None`` for no receipt."""
    fault: Literal["silence", "garbage", "close"] | None = None
    """What happens instead of the answer; with ``close`` the part is not taken."""


@dataclass
class Behaviour:
    """What the SMSC does; may be changed while it runs. Times are seconds, mixes are probabilities."""

    answer_delay: float = 0.0
    receipt_delay: float = 0.05
    receipt_before_answer: bool = False
    receipt_copies: int = 1
    receipt_jitter: float = 0.0
    """Up to so much later, each by itself: out of order."""
    receipt_form: Form = "both"
    receipts: Mapping[str, float] = field(default_factory=lambda: {"DELIVRD": 1.0})
    """By state; what is missing to 1 gets no receipt."""
    errors: Mapping[int, float] = field(default_factory=dict)
    """By command_status; the rest is accepted."""
    rate: float | None = None
    """Submits a second, counted by the second; above it ESME_RTHROTTLED."""
    ids: Literal["decimal", "hex"] = "decimal"
    """How ids are written in answers; receipts always have them in decimal."""
    refuse_binds: int = 0
    """The command_status of every bind_resp."""
    redelivery_delay: float = 0.2
    """Until a receipt comes again that was refused, or lost with its connection."""
    decide: Callable[[str], Verdict | None] = lambda _: None
    """By destination, before chance; ``None`` leaves it to chance."""
