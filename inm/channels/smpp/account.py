"""An account at an SMSC, as its binds need it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from inm.core.results import Result


class Account(NamedTuple):
    """How to bind, and what the SMSC then allows."""

    system_id: str
    password: str
    system_type: str
    window: int
    submit_timeout: float
    enquire_interval: float
    provider_id: Callable[[str], str]
    overlay: Mapping[int, Result]
