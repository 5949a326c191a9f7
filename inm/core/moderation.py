"""Moderation: how a version of a template comes to serve. ``draft`` → ``submitted`` → ``approved`` or ``rejected``, by two people."""

from typing import NamedTuple

from msgspec.structs import replace

from inm.core.faults import Fault
from inm.core.reference import Action, Change, Held, Result
from inm.core.templates import State


class Transition(NamedTuple):
    """From which state an action leads to which, and whether it needs another person than the text's author."""

    before: State
    after: State
    result: Result
    reviews: bool = False


TRANSITIONS: dict[Action, Transition] = {
    "submit": Transition("draft", "submitted", "submitted"),
    "withdraw": Transition("submitted", "draft", "withdrawn"),
    "approve": Transition("submitted", "approved", "approved", reviews=True),
    "reject": Transition("submitted", "rejected", "rejected", reviews=True),
}
"""All there are: what is approved or rejected stays so."""


def moderate(version: Held, action: Action, asked: Change, comment: str | None, moderated: bool) -> Held | Fault:
    """The version after an action, or why it may not be done. ``moderated``: whether a review needs another person."""
    transition = TRANSITIONS[action]
    if version.state != transition.before:
        return Fault("/state", f"cannot {action} it", str(version.state), transition.before)
    if not transition.reviews:
        return replace(version, revision=version.revision + 1, state=transition.after, at=asked.at, change=asked.id, comment=comment)
    if moderated and same(asked.author, version.author):
        return Fault("/reviewer", f"an author does not {action} his own text", asked.author, "another person")
    return _reviewed(version, transition.after, asked.author, asked, comment)


def vouched(version: Held, asked: Change, moderated: bool) -> Held | Fault:
    """A draft or submitted version, approved at once by the person whom the change names as its reviewer."""
    reviewer = asked.approved_by or ""
    if moderated and (same(reviewer, version.author) or same(reviewer, asked.author)):
        return Fault("/approved_by", "an author does not approve his own text", reviewer, "another person")
    return _reviewed(version, "approved", reviewer, asked, version.comment)


def _reviewed(version: Held, state: State, reviewer: str, asked: Change, comment: str | None) -> Held:
    revision = version.revision + 1
    return replace(version, revision=revision, state=state, reviewer=reviewer, at=asked.at, change=asked.id, comment=comment)


def same(one: str, other: str) -> bool:
    """Whether two names are one person's, however they are written."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
