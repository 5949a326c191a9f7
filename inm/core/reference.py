"""Reference data: documents as they are held, and changes to them.

A path names what is held: ``acme/tenant``, ``acme/scenario/otp``, ``acme/sender/acme-sms``, ``acme/template/otp-sms/4``
(templates by version). A change is taken as a whole or refused as a whole.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from inm.core.faults import Fault
from inm.core.templates import State

Action = Literal["apply", "delete", "submit", "approve", "reject", "withdraw"]
Result = Literal["created", "configured", "unchanged", "deleted", "submitted", "approved", "rejected", "withdrawn"]


Person = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$(?!\n)")]
"""Who does something, as they are known where they work."""


class Held(Struct, frozen=True, omit_defaults=True):
    """A document on ``inm.reference``. ``revision`` counts its changes from 1; ``at`` in ms since 1970."""

    path: str
    revision: int
    document: dict[str, Any]
    author: str
    at: int
    state: State | None = None
    """Of a template's version."""
    reviewer: str | None = None
    comment: str | None = None
    change: str = ""
    """The id of the change that made it so: a change that is read again knows what it has done already."""


class Item(Struct, frozen=True, omit_defaults=True):
    """One thing to change. ``place`` is where it was written (file and line), for faults."""

    action: Action
    path: str
    """Without a version for ``apply`` of a template: a text that differs from the newest version makes a new one."""
    document: dict[str, Any] | None = None
    expected: int | None = None
    """The revision that the author saw; another one is a conflict, and nothing is changed."""
    comment: Annotated[str, Meta(max_length=2000)] | None = None
    place: str | None = None


class Change(Struct, frozen=True, omit_defaults=True):
    """What somebody wants changed, on ``inm.changes``."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}$(?!\n)")]
    author: Person
    at: int
    items: Annotated[list[Item], Meta(min_length=1, max_length=5000)]
    approved_by: Person | None = None
    """Another person, who has reviewed the templates elsewhere (a merge request): they are approved at once."""
    tenant: str | None = None
    """The one tenant that the author may change; None for an operator."""
    dry_run: bool = False


class Done(Struct, frozen=True, omit_defaults=True):
    """What became of an item."""

    path: str
    result: Result
    revision: int = 0
    warnings: list[str] = []


class Wrong(Struct, frozen=True, omit_defaults=True):
    """Why a change is refused: a fault of one item."""

    path: str
    fault: Fault
    place: str | None = None
    conflict: bool = False


class Answer(Struct, frozen=True, omit_defaults=True):
    """The answer to a change: either what was done, or what is wrong."""

    change: str
    done: list[Done] = []
    wrong: list[Wrong] = []


def tenant_of(path: str) -> str:
    """``acme`` of ``acme/scenario/otp``."""
    return path.partition("/")[0]


def kind_of(path: str) -> str:
    """``scenario`` of ``acme/scenario/otp``."""
    return path.split("/", 2)[1] if "/" in path else ""


def versions(held: Mapping[str, Held], path: str) -> list[Held]:
    """Those of the template ``acme/template/otp-sms``, from 1 on without gaps: none is ever deleted alone."""
    found: list[Held] = []
    while (version := held.get(f"{path}/{len(found) + 1}")) is not None:
        found.append(version)
    return found


_ANSWERS = b"!answer/"
"""What the keys of answers begin with on ``inm.reference``: no path does."""
_answer = msgspec.json.Decoder(Answer).decode
_document = msgspec.json.Decoder(Held).decode


def answer_key(at: int, change: str = "") -> bytes:
    """The key of the answer to a change of a time (ms): in the order of time, so that those of before can be found."""
    return _ANSWERS + f"{at:015}/{change}".encode()


def is_answer(key: bytes) -> bool:
    """Whether a record is an answer: it is written behind all documents of its change."""
    return key.startswith(_ANSWERS)


def read(key: bytes, value: bytes) -> Held | Answer:
    """What a record of ``inm.reference`` says. ``msgspec.DecodeError`` if it was not written by us."""
    return _answer(value) if is_answer(key) else _document(value)
