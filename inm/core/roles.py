"""Roles: who may do what in the console. Each may what the ones before it may, and more."""

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

Role = Literal["viewer", "editor", "moderator", "operator", "admin"]
Right = Literal["see", "write", "review", "operate", "unmask", "audit", "accounts"]

ADDS: Mapping[Role, tuple[Right, ...]] = {
    "viewer": ("see",),
    "editor": ("write",),
    "moderator": ("review",),
    "operator": ("operate", "unmask", "audit"),
    "admin": ("accounts",),
}
"""What each role may beside what those before it may."""


def rights(roles: Iterable[Role]) -> frozenset[Right]:
    """What somebody with these roles may do."""
    order = get_args(Role)
    highest = max((order.index(role) for role in roles), default=-1)
    return frozenset(right for role in order[: highest + 1] for right in ADDS[role])
