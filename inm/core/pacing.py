"""How many recipients of each campaign are released now: by its pace, by what its routes have taken, and in fair turns."""

from collections.abc import Sequence

from msgspec import Struct, structs

from inm.core.campaigns import Campaign, key, waiting

BURST = 1000
"""Milliseconds of its pace that a campaign may make up for at once."""

TURN = 500
"""Milliseconds until it is another one's turn to have what cannot be divided."""


def allowed(campaign: Campaign, now: int) -> int:
    """Recipients that state, time and pace allow to be released now."""
    if campaign.state != "running" or campaign.starts > now:
        return 0
    left = campaign.report.rows - campaign.released
    return left if campaign.pace is None else min(left, int(_credit(campaign, now)))


def _credit(campaign: Campaign, now: int) -> float:
    """At no time more than a burst: what was not used is not made up for later."""
    pace = campaign.pace or 0
    since = max(campaign.clock, campaign.starts)
    burst = max(1.0, pace * BURST / 1000)
    return min(burst, campaign.credit + pace * max(0, now - since) / 1000)


def release(campaign: Campaign, piece: int, row: int, number: int, now: int) -> Campaign:
    """The campaign with its cursor at ``piece`` and ``row``, after ``number`` more recipients."""
    changed = structs.replace(campaign, piece=piece, row=row, released=campaign.released + number)
    changed.credit = _credit(campaign, now) - number if campaign.pace else 0.0
    changed.clock = now
    if campaign.piece == 0 and campaign.row == 0:
        changed.heard = now
    if changed.released >= changed.report.rows:  # the last piece may be empty
        changed.state, changed.changed = "done", now
    return changed


def shares(room: int, wanted: Sequence[int], turn: int = 0) -> list[int]:
    """``room`` in fair shares: nobody gets more than he wants, and who gets less than he wants has as much as any other.

    What cannot be divided goes to those whose ``turn`` it is.
    """
    given = [0] * len(wanted)
    hungry = [index for index, want in enumerate(wanted) if want > 0]
    while room > 0 and hungry:
        each, rest = divmod(room, len(hungry))
        if not each:
            for place in range(rest):
                given[hungry[(turn + place) % len(hungry)]] += 1
            break
        for index in hungry:
            more = min(each, wanted[index] - given[index])
            given[index] += more
            room -= more
        hungry = [index for index in hungry if given[index] < wanted[index]]
    return given


class Queue(Struct, frozen=True):
    """The campaigns of one tenant that take the same channels, and how many of their recipients may wait for the routes."""

    window: int
    campaigns: list[Campaign]


def turns(queues: Sequence[Queue], at_most: int, now: int) -> dict[str, int]:
    """How many of each campaign are released now, by :func:`key`; ``at_most`` of all. Queues have equal shares, and so has each in one."""
    wants = [[allowed(campaign, now) for campaign in queue.campaigns] for queue in queues]
    rooms = [max(0, queue.window - sum(waiting(campaign, now) for campaign in queue.campaigns)) for queue in queues]
    turn = now // TURN
    parts = shares(at_most, [min(room, sum(want)) for room, want in zip(rooms, wants, strict=True)], turn)
    found: dict[str, int] = {}
    for queue, want, part in zip(queues, wants, parts, strict=True):
        for campaign, number in zip(queue.campaigns, shares(part, want, turn), strict=True):
            if number:
                found[key(campaign.tenant, campaign.name)] = number
    return found
