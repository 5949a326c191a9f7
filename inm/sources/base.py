"""What every kind of source has in common: how it is asked, and how it fails."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal

from inm.core.sources import Kind, Row

Reason = Literal["timeout", "unreachable", "refused", "bad-answer", "misconfigured", "open", "busy"]

MAX_ANSWER = 4 * 1024 * 1024
"""Bytes of one answer, counted roughly; what is larger is not read to its end."""


class SourceError(Exception):
    """The source cannot be asked, or did not answer. ``detail`` is for the log: it holds nothing of any user."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Client(ABC):
    """A connection to one source. :class:`~inm.sources.loader.Loader` calls it, at most ``connections`` times at once."""

    @abstractmethod
    async def fetch(self, kind: Kind, keys: Sequence[str]) -> Mapping[str, list[Row] | str]:
        """The rows of each key that the source knows, or what is wrong with its answer (one of ``FAULTS``).

        May wait for as long as it likes, for it is cancelled at the source's time limit. Raises :class:`SourceError`, and nothing else.
        """

    async def close(self) -> None:  # noqa: B027 - not every client holds something
        """Let go of all connections."""
