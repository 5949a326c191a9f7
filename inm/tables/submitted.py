"""What this worker has submitted lately, by heart: a receipt that comes to it for one of these needs no look into the outbox.

In memory, and only ever a short cut: the submission is in the outbox too, for whichever worker the receipt comes to.
"""

from inm.core.latest import Latest
from inm.core.records import Receipt, Submission

MOST = 20_000
"""Those that no final receipt has come for, the latest; some 10 MiB."""

_FINAL = frozenset({"delivered", "failed", "expired"})
"""States that a provider reports last of all, in general."""

_latest: Latest[bytes, Submission] = Latest(MOST)


def remember(key: bytes, submission: Submission) -> None:
    """``key``: that of its receipts."""
    _latest.put(key, submission)


def match(key: bytes, receipt: Receipt) -> Submission | None:
    """What the receipt is of, if it is known by heart."""
    submission = _latest.get(key)
    if submission is not None and receipt.state in _FINAL:
        _latest.pop(key)
    return submission
