"""Marks: what of a tenant's users was invalidated at once, however many they are. A row is held against them when it is read."""

from functools import lru_cache
from typing import Any

from msgspec import Struct, structs

from inm.core.faults import Fault
from inm.core.fields import FieldSet
from inm.core.rules import Rules
from inm.core.scenarios import Rule
from inm.core.users import MAX_TTL, User

MOST = 20
"""Predicates of a tenant; one more, and the oldest of them counts as an invalidation of all that is older."""
KEEP = 2 * MAX_TTL * 1000
"""Milliseconds a mark stands: the longest ttl and the longest time that a row may serve after it."""


class Marks(Struct, frozen=True, omit_defaults=True):
    """Of one tenant. Rows loaded up to ``all`` (ms) are invalid, and those up to a predicate's time that it holds of."""

    all: int = -1
    some: list[tuple[int, str]] = []
    """The time and the CEL over ``user``, the oldest first."""

    def with_mark(self, where: str | None, now: int) -> "Marks":
        """With one more, of ``now``. The same predicate again moves to now."""
        if where is None:
            return Marks(all=now)
        some = [(at, other) for at, other in self.some if other != where] + [(now, where)]
        beyond = len(some) - MOST
        return Marks(max(self.all, some[beyond - 1][0]), some[beyond:]) if beyond > 0 else Marks(self.all, some)

    def hit(self, user: User, fields: FieldSet, tenant: str) -> bool:
        """Whether the row was invalidated. A predicate on fields that are no more declared holds."""
        later = tuple(where for at, where in self.some if user.loaded_at <= at)
        return user.loaded_at <= self.all or bool(later and holds(later, user, fields, tenant))


def faults(where: str, fields: FieldSet) -> list[Fault]:
    """What is wrong with a predicate, at ``/where``."""
    return [structs.replace(fault, pointer="/where") for fault in _compiled((where,), fields).faults]


def holds(predicates: tuple[str, ...], user: User, fields: FieldSet, tenant: str) -> bool:
    """Whether any of them holds of a user."""
    # each for itself: together, one that an earlier one implies would count as a fault too
    if any(_compiled((where,), fields).faults for where in predicates):
        return True
    return _compiled(predicates, fields).choose({}, _values(user, fields), tenant, user.loaded_at).index is not None


def _values(user: User, fields: FieldSet) -> dict[str, Any]:
    own = {name: getattr(user, name) for name in ("language", "tone", "channel", "name", "phone", "email")}
    known = {"id": user.key.partition("/")[2], **own, **fields.convert(user.fields)[0]}
    return {name: value for name, value in known.items() if value is not None}


@lru_cache(maxsize=1000)
def _compiled(predicates: tuple[str, ...], fields: FieldSet) -> Rules:
    """All as one expression: a call into CEL costs more than a predicate."""
    return Rules([Rule(when=where) for where in predicates], FieldSet(None), fields)
