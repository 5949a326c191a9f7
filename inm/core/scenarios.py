"""Scenarios: the business reasons to notify, each with rules that choose and a plan of how."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from inm.core.fields import FieldName
from inm.core.records import ChannelName, Lane, Name, Notification

Until = Literal["submitted", "delivered", "read"]
OnUnknown = Literal["resend", "wait-for-receipt"]
Seconds = Annotated[int, Meta(ge=1, le=7 * 24 * 3600)]
Expression = Annotated[str, Meta(min_length=1, max_length=2000)]
"""CEL over ``request``, ``user``, ``tenant`` and ``now``; see :mod:`inm.core.rules`."""


class Step(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One way to reach the recipient. ``after`` seconds without ``until`` it is given up: the next step begins, or it is the end."""

    channel: ChannelName
    template: Name
    sender: Name
    """A document of kind sender."""
    after: Seconds
    until: Until = "delivered"
    route: Name | None = None
    unless: Expression | None = None
    """The step is left out if this holds when its turn has come. It sees ``last`` too: what the step before came to, see :data:`LAST`."""
    parallel: bool = False
    """It begins together with the step before it."""


LAST = ("last.state", "last.reason")
"""What ``unless`` sees of the step before: the event that ended it, or ``skipped``, or nothing; and the reason of that."""

Steps = Annotated[list[Step], Meta(min_length=1, max_length=10)]


# No pattern: msgspec 0.22 crashes on a list or a text with one. A name that is not there is refused anyway.
PlanName = Annotated[str, Meta(min_length=1, max_length=100)]


class Plan(Struct, frozen=True, forbid_unknown_fields=True, tag="plan", tag_field="kind", omit_defaults=True):
    """Steps that several scenarios go by."""

    tenant: Name
    name: Name
    steps: Steps
    title: str = ""


def groups(steps: Sequence[Step], first: int = 1) -> Iterator[list[tuple[int, Step]]]:
    """Steps by their numbers from ``first`` on (from 1), those together that begin together."""
    group: list[tuple[int, Step]] = []
    for number, step in enumerate(steps[first - 1 :], first):
        if group and not step.parallel:
            yield group
            group = []
        group.append((number, step))
    if group:
        yield group


class Rule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What holds when ``when`` does; without ``when``, always. What it does not name stays as the scenario has it."""

    name: Annotated[str, Meta(max_length=100)] = ""
    when: Expression | None = None
    plan: Steps | PlanName | None = None
    """Steps, or the name of a document of kind plan."""
    template: Name | None = None
    """Stands in for the template of each step of its channel."""
    sender: Name | None = None
    """Stands in for the sender of each step of its channel."""
    lane: Lane | None = None
    send: bool = True
    """False: nothing is sent, and the notification ends as ``suppressed``."""


class Algorithm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A plug-in of the entry-point group ``inm.algorithms``. ``limit`` in ms."""

    name: Name
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    otherwise: Literal["continue", "refuse"] = "continue"
    """When it raises or is late: go on without it, or end the notification as failed, ``algorithm-failed``."""


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, tag="scenario", tag_field="kind", omit_defaults=True):
    """A business reason to notify. ``validity`` is in seconds from the request or its ``at``. The first rule that holds counts."""

    tenant: Name
    name: Name
    plan: Steps | PlanName
    """Steps, or the name of a document of kind plan."""
    validity: Seconds
    title: str = ""
    lane: Lane = "normal"
    rules: Annotated[list[Rule], Meta(max_length=200)] = []
    requires: list[FieldName] = []
    """Fields that every request of it must bring, beside those that are required of all."""
    on_unknown: OnUnknown = "wait-for-receipt"
    """Whether an SMS whose fate is unknown is sent again, at the risk of two, or not, at the risk of none."""
    max_parts: Annotated[int, Meta(ge=1, le=20)] = 3
    critical: bool = False
    """A recipient cannot opt out of it."""
    preference: Literal["plan", "user"] = "plan"
    """``user``: the steps of the channel that the user prefers come first."""
    destinations: Literal["first", "all"] = "first"
    """``all``: a notification for each address of the user."""
    user_data: Literal["fresh", "stale", "optional"] = "stale"
    """While a source fails, for a user whose data have ended: wait; go on with data that ended not long ago; or go on without any."""
    window: Name | None = None
    """A document of kind window: outside of it nothing is sent."""
    urgent_anytime: bool = False
    """Windows, its own and those of channels, do not hold up its urgent notifications."""
    choose: Algorithm | None = None
    """Chooses among the steps of the plan."""
    enrich: Algorithm | None = None
    """Adds fields before the text is made."""

    def ends(self, notification: Notification) -> int:
        """When (ms) a notification of it is no use any more."""
        return max(notification.received, notification.at or 0) + self.validity * 1000


def steps_of(plan: list[Step] | str, plans: Mapping[str, Plan]) -> list[Step]:
    """The steps of a plan that is written out or named; none if there is no such plan."""
    if isinstance(plan, str):
        return plans[plan].steps if plan in plans else []
    return plan
