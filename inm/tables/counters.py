"""Counters: what each recipient has had lately, and what waits for a digest. Written by agents/evaluate alone."""

from inm.core.capping import Cap, Had
from inm.core.progress import HORIZON
from inm.streaming.stage import Output
from inm.tables.rows import Rows

counters = Rows("counters", Had)


def had(out: Output, key: str) -> Had:
    """The recipient's row; an empty one if there is none."""
    return counters.get(out, key) or Had()


def keep(out: Output, key: str, row: Had, cap: Cap) -> None:
    """Write the row; it is of use until its times no longer count and its digest, which a window may hold up, is made."""
    counters.put(out, key, row, max([*row.times, *(digest.due for digest in row.digests.values())]) + cap.within * 1000 + HORIZON)
