"""Campaigns, and the pieces of their audiences. Written by agents/campaigns alone; all of a tenant lie in the partition of its name."""

from collections.abc import Iterator
from itertools import islice

import msgspec

from inm import topics
from inm.core import campaigns as core
from inm.core.campaigns import ENDED, KEEP, Campaign, Piece
from inm.streaming.stage import Output
from inm.tables.rows import Rows

campaigns = Rows("campaigns", Campaign)
audiences = Rows("audiences", Piece)

ERASED = 50
"""Pieces of a campaign that has ended that one tick deletes, at most."""

_read: dict[str, tuple[tuple[int, int], Piece]] = {}
"""The piece of each campaign that was read last: a slow campaign is at the same one for many ticks."""


def partition_of(tenant: str, partitions: int) -> int:
    """Where a tenant's campaigns are."""
    return topics.partition_of_key(tenant, partitions)


def put(out: Output, campaign: Campaign) -> None:
    """Write a campaign's row."""
    campaigns.put(out, core.key(campaign.tenant, campaign.name), campaign, campaign.ends)


def held(out: Output) -> list[Campaign]:
    """All campaigns of the partition at hand."""
    rows = (campaigns.read(stored, out.now) for _, stored in campaigns.table[out.partition].scan())
    return [row for row in rows if row is not None]


def peek(partition: int, tenant: str, now: int) -> Iterator[Campaign]:
    """A tenant's campaigns as a view from outside of a stage sees them. ``KeyError`` if this worker does not hold the partition."""
    for _, stored in campaigns.table[partition].scan(f"{tenant}/".encode(), f"{tenant}0".encode()):  # 0 follows /
        row = campaigns.read(stored, now)
        if row is not None:
            yield row


def keep_piece(out: Output, piece: Piece) -> None:
    """Store a piece; it goes when its campaign has ended, or at last by itself."""
    audiences.put(out, _key(piece.tenant, piece.name, piece.number), piece, out.now + 2 * KEEP)


def piece(out: Output, campaign: Campaign, number: int) -> Piece | None:
    """A piece of a campaign's audience. None until its record is read again: a worker died between its row and the campaign's."""
    name, which = core.key(campaign.tenant, campaign.name), (campaign.created, number)
    if name not in _read or _read[name][0] != which:
        found = audiences.get(out, _key(campaign.tenant, campaign.name, number))
        if found is None:
            return None
        _read[name] = (which, found)
    return _read[name][1]


def erase(out: Output, campaign: Campaign) -> None:
    """Delete the audience of a campaign that has ended, some pieces at a time."""
    if campaign.state not in ENDED or campaign.erased:
        return
    name = core.key(campaign.tenant, campaign.name)
    _read.pop(name, None)
    pieces = list(islice(audiences.table[out.partition].scan(f"{name}/".encode(), f"{name}0".encode()), ERASED))
    for key, _ in pieces:
        out.put(audiences.table, key, None)
    if len(pieces) < ERASED:
        put(out, msgspec.structs.replace(campaign, erased=True))


def _key(tenant: str, name: str, number: int) -> str:
    return f"{core.key(tenant, name)}/{number:07}"
