"""What the topics carry: one JSON record an item, everywhere. Times are milliseconds since 1970, UTC.

Requests are decoded strictly (an unknown field is a fault of the sender); internal records are ours
and leave out what has its default.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from inm.core.results import Answer

ChannelName = Literal["sms", "email", "rest"]
Lane = Literal["urgent", "normal", "bulk"]
LANES: tuple[Lane, ...] = ("urgent", "normal", "bulk")

# Every pattern ends in (?!\n): for Python, but not for JSON Schema, a $ also matches before a line break at the end.
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$(?!\n)",
        description="a name: at most 100 letters, digits, dots, hyphens and underscores, the first a letter or digit",
    ),
]
Identity = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)", description="1 to 200 characters, none of them a control")
]
Phone = Annotated[
    str, Meta(pattern=r"^\+[1-9][0-9]{6,14}$(?!\n)", description="a number with the code of its country, as +393331234567 (E.164)")
]
Email = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=254,
        pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$(?!\n)",
        description="an e-mail address, as name@example.org",
    ),
]
Language = Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$(?!\n)", description="a language, as it or pt-BR (BCP 47)")]
Tone = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9-]{0,29}$(?!\n)", description="a tone: at most 30 small letters, digits and hyphens, a letter first")
]
"""Tone of voice: ``young``, ``senior``, …"""


class Recipient(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Whom to notify: a user of the tenant, or addresses, or both (then these addresses win)."""

    user: Identity | None = None
    phone: Phone | None = None
    email: Email | None = None
    language: Language | None = None
    """Wins over the user data's."""
    tone: Tone | None = None
    """Likewise."""
    offer: Identity | None = None
    """A shared offer: each of its members is notified, by role. It stands alone."""
    role: Tone | None = None
    """What the recipient is to what the request is about: ``master``, ``slave``, …; rules see it as ``request.role``."""


class Request(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What a producer sends: one scenario for one or several recipients."""

    scenario: Name
    to: Recipient | Annotated[list[Recipient], Meta(min_length=1, max_length=5000)]
    fields: dict[str, Any] = {}
    request_id: Identity | None = None
    """The producer's own reference; kept in every EDR."""
    idempotency_key: Identity | None = None
    """What makes two requests the same one; ``request_id`` if absent."""
    lane: Lane | None = None
    """The scenario's lane if absent."""
    at: Annotated[datetime, Meta(tz=True)] | None = None
    """Not before this time."""
    tenant: Name | None = None
    """Must be the topic's or the key's tenant if it is there at all."""
    test: bool = False
    """Marked as a test. Only addresses that it names itself are used, and magic ones are answered by INM itself."""


class Notification(Struct, omit_defaults=True):
    """A validated request for one recipient, on ``inm.notifications.<lane>``."""

    id: str
    key: str
    tenant: str
    scenario: str
    received: int
    user: str | None = None
    phone: str | None = None
    email: str | None = None
    language: str | None = None
    fields: dict[str, Any] = {}
    request_id: str | None = None
    lane: Lane | None = None
    at: int | None = None
    step: int = 1
    """Which step of the plan to decide now; above 1 it comes from the journeys stage."""
    fingerprint: str | None = None
    """Of what was asked, by which another request under the same key is told from the same one again."""
    tone: str | None = None
    offer: str | None = None
    role: str | None = None
    parent: str | None = None
    """The notification that this one was made from, for a member of an offer or a further address."""
    test: bool = False
    """Marked as a test in EDRs. Its own addresses alone count, and magic ones are answered by INM itself."""
    only: bool = False
    """Its own addresses alone count, for it is one of several destinations of a user."""
    loaded: Literal["known", "unknown", "failed"] | None = None
    """What the users stage said when it was asked for the user's data; None: it has not been asked."""
    asked: int = 0
    """How often it has been."""
    held: int = 0
    """Until when (ms) it was held, since a window was shut. Above 0 it comes back from that."""
    campaign: str | None = None
    """The campaign that it is of: the ledger has one notification for a recipient of a campaign."""
    row: int = 0
    """Which of the campaign's recipients, from 1."""


class Content(Struct, omit_defaults=True):
    """What is to be said, rendered. SMS has ``text``; e-mail ``subject``, ``text``, ``html``; REST ``text``, ``title``, ``data``."""

    text: str
    subject: str | None = None
    html: str | None = None
    flash: bool = False
    title: str | None = None
    data: dict[str, str] = {}


class Delivery(Struct, omit_defaults=True):
    """One step to send, on ``inm.deliveries.<channel>.<lane>`` and, while it waits, on ``inm.retries``."""

    id: str
    notification: str
    key: str
    tenant: str
    scenario: str
    channel: str
    lane: Lane
    route: str
    to: str
    sender: str
    content: Content
    template: str
    version: int
    language: str
    step: int
    attempt: int
    decided: int
    expires: int
    """No attempt begins after this time."""
    parts: int = 1
    encoding: str | None = None
    on_unknown: Literal["resend", "wait-for-receipt"] = "wait-for-receipt"
    redelivered: bool = False
    """It may have been submitted before: a worker died between the submit and its commit."""
    routes: list[str] = []
    """Those that it may go by, if there are several: ``route`` is chosen among them for each try."""
    avoid: list[str] = []
    """Those of them that were tried in vain just now."""
    offer: int = 0
    """How often it has been offered to its route in vain: the route was down or throttled, and that is no attempt."""
    tone: str | None = None
    """The variant's tone of voice, if it has one."""
    closes: int | None = None
    reopens: int | None = None
    """When (ms) its windows close, and when it goes on if it has not been sent by then; None: never."""
    track: bool = False
    """It waits for being read: see :mod:`inm.core.links`."""


class Wait(Struct, omit_defaults=True):
    """An item that waits until ``due`` and then goes to ``topic`` under ``key``; on ``inm.schedule`` and ``inm.retries``."""

    id: str
    due: int
    topic: str
    key: str
    value: msgspec.Raw


class Submission(Struct, tag="submission", omit_defaults=True):
    """A provider's message id and the delivery (part) it stands for; on ``inm.receipts``."""

    route: str
    provider_id: str
    delivery: str
    key: str
    at: int
    part: int = 1
    parts: int = 1


ReceiptState = Literal["delivered", "failed", "expired", "read", "pending", "unknown"]


class Receipt(Struct, tag="receipt", omit_defaults=True):
    """What a provider reports of a message it took; on ``inm.receipts``. ``code`` and ``text`` are the provider's own."""

    route: str
    provider_id: str
    state: ReceiptState
    at: int
    reason: str | None = None
    code: str | None = None
    text: str | None = None
    last_call: bool = False
    """It has waited for its submission; without one now it is dead-lettered."""


class Outcome(Struct, omit_defaults=True):
    """What became of a delivery, normalised; on ``inm.outcomes``.

    ``kind`` ``answer`` is the provider's answer to a submit, ``receipt`` a later report of one part,
    ``silence`` the end of the time for that, ``deadline`` the end of the step's time, ``cancel`` the sender's wish that
    nothing be sent any more.
    """

    id: str
    kind: Literal["answer", "receipt", "silence", "deadline", "cancel"]
    notification: str
    delivery: str
    key: str
    at: int
    step: int
    attempt: int = 1
    route: str | None = None
    answer: Answer | None = None
    receipt: Receipt | None = None
    part: int = 1
    parts: int = 1
    started: int = 0
    """When the submit began."""
    retry_at: int | None = None
    """When dispatch has scheduled the next attempt, if it has."""
    receipts: bool = True
    """Whether the channel will report on this delivery."""
    silence_at: int | None = None
    """When a report is not waited for any longer, if that is not left to the step."""
    offer: int = 0
    """The delivery's."""
    early: int = 0
    """How often it has come before its journey."""
    redelivered: bool = False
    late: bool = False
    """The answer came after the delivery had been given up, of which there is an outcome too."""
    by: str = ""
    """Who wants it cancelled."""
    why: str | None = None


class Begun(Struct):
    """Deliveries handed to their routes next, on ``inm.begun`` before they are: their offsets on a topic.

    What of these has no answer when its worker died may have been submitted; what is in no such record has not.
    """

    id: str
    topic: str
    offsets: list[int]


class Dead(Struct, omit_defaults=True):
    """What could not be processed, on ``inm.dead``: the reason, the place it came from and the record itself."""

    reason: str
    detail: str
    stage: str
    topic: str
    partition: int
    offset: int
    at: int
    key: str | None = None
    value: str | None = None
    """The record as text, or in base 64 if ``binary``; cut at 64 KiB (the origin has the whole)."""
    binary: bool = False
    truncated: bool = False
