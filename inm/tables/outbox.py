"""Outbox: provider message id ↔ delivery, whichever side comes first. Written by agents/receipts alone."""

import msgspec

from inm.core.records import Receipt, Submission
from inm.tables.rows import Rows

KEEP = 5 * 24 * 3600 * 1000
"""Milliseconds a row is kept: the longest usual SMS validity (48 h) and 72 h for late receipts."""


class Sent(msgspec.Struct, omit_defaults=True):
    """What is known of one provider message id."""

    submission: Submission | None = None
    receipts: list[Receipt] = []
    """Receipts that came before the submission."""


outbox = Rows("outbox", Sent)
