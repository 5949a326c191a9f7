"""Event detail records: one for each event of each notification, on ``inm.edr``. Version 1 of their schema.

New fields are optional and no meaning changes within a version; ``docs/schemas/edr-1.json`` is made from here.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from inm.core.grounds import Called, UserState
from inm.core.records import Lane

Event = Literal[
    "scheduled",
    "held",
    "accepted",
    "step",
    "retried",
    "submitted",
    "delivered",
    "read",
    "failed",
    "unknown",
    "expired",
    "suppressed",
    "cancelled",
    "expanded",
]


class Times(Struct, frozen=True, omit_defaults=True):
    """When each stage was reached."""

    received: Annotated[int, Meta(description="INM took the request (ms).")]
    decided: Annotated[int | None, Meta(description="Step, text and route were chosen (ms).")] = None
    started: Annotated[int | None, Meta(description="The attempt to submit began (ms).")] = None
    submitted: Annotated[int | None, Meta(description="The provider accepted it (ms).")] = None
    delivered: Annotated[int | None, Meta(description="The last part was delivered, by the provider's receipt (ms).")] = None


class Rejected(Struct, frozen=True, omit_defaults=True):
    """A step that was not taken."""

    step: Annotated[int, Meta(description="Step of the plan, from 1; those that an algorithm left out come behind those it chose.")]
    channel: Annotated[str, Meta(description="sms, email or rest.")]
    reason: Annotated[str, Meta(description="Why, from the documented list of reasons.")]


class Decided(Struct, frozen=True, omit_defaults=True):
    """What a decision rests on: versions, names and reasons, no values. What it came to is in the record itself."""

    revision: Annotated[int, Meta(description="Revision of the scenario.")] = 0
    user: Annotated[
        UserState,
        Meta(
            description="What was known of the user: none, unknown (the source knows no such user), fresh, stale (past its time) or "
            "loaded (fetched for this)."
        ),
    ] = "none"
    rule: Annotated[int | None, Meta(description="The rule of the scenario that held, from 1; absent if none did.")] = None
    rule_name: Annotated[str, Meta(description="Its name, if it has one.")] = ""
    language: Annotated[str | None, Meta(description="The language that was asked for, by the request or the user data.")] = None
    tone: Annotated[str | None, Meta(description="Likewise, the tone of voice.")] = None
    preferred: Annotated[str | None, Meta(description="The user's own channel, if its steps were tried first.")] = None
    rejected: Annotated[list[Rejected], Meta(description="Steps that were not taken, and why.")] = []
    algorithms: Annotated[dict[str, Called], Meta(description="What came of each plug-in: used, or why it had no say.")] = {}


class Edr(Struct, frozen=True, omit_defaults=True, tag=1, tag_field="schema"):
    """One event of one notification. Every notification has exactly one record with ``final`` true; later ones correct it."""

    id: Annotated[str, Meta(description="Unique; a record written twice has the same id.")]
    event: Annotated[
        Event,
        Meta(
            description="What happened: scheduled (it waits for its time), held (it waits for its window to open), accepted (the request "
            "is taken), step (a further step of the plan begins), retried (an attempt failed, another follows), submitted (the provider "
            "took it), delivered, read, failed, unknown (no one knows whether it arrived), expired (its time ended before it could be "
            "sent), suppressed (nothing is sent: a rule or the recipient wants it so), cancelled (called back by its sender before it was "
            "sent; not final: a step that was not needed any more), expanded (it stood for several recipients, who have notifications of "
            "their own)."
        ),
    ]
    at: Annotated[int, Meta(description="When it happened (ms).")]
    notification: Annotated[str, Meta(description="Id of the notification.")]
    tenant: Annotated[str, Meta(description="The brand or market segment.")]
    scenario: Annotated[str, Meta(description="The business reason.")]
    times: Annotated[Times, Meta(description="When each stage was reached, as far as it was.")]
    final: Annotated[bool, Meta(description="The end of the notification, by this event.")] = False
    request_id: Annotated[str | None, Meta(description="The producer's own reference.")] = None
    user: Annotated[str | None, Meta(description="The tenant's id of the recipient.")] = None
    to: Annotated[str | None, Meta(description="The address used.")] = None
    channel: Annotated[str | None, Meta(description="sms, email or rest.")] = None
    route: Annotated[str | None, Meta(description="The configured connection used.")] = None
    lane: Annotated[Lane | None, Meta(description="Its priority.")] = None
    sender: Annotated[str | None, Meta(description="What the recipient sees as the sender.")] = None
    template: Annotated[str | None, Meta(description="Name of the template that made the text.")] = None
    version: Annotated[int | None, Meta(description="Version of that template.")] = None
    language: Annotated[str | None, Meta(description="Language of the text (BCP 47).")] = None
    tone: Annotated[str | None, Meta(description="Its tone of voice, if the variant has one.")] = None
    step: Annotated[int | None, Meta(description="Step of the plan, from 1.")] = None
    attempt: Annotated[int | None, Meta(description="Attempt of the step, from 1.")] = None
    parts: Annotated[int | None, Meta(description="Short messages that the text takes; 1 for other channels.")] = None
    encoding: Annotated[str | None, Meta(description="gsm7 or ucs2.")] = None
    provider_ids: Annotated[list[str], Meta(description="The provider's message ids, one a part.")] = []
    reason: Annotated[str | None, Meta(description="Why, from the documented list of reasons.")] = None
    code: Annotated[str | None, Meta(description="The provider's own code.")] = None
    text: Annotated[str | None, Meta(description="The provider's own words, or the detail of the reason.")] = None
    redelivered: Annotated[bool, Meta(description="It may have been submitted before: a worker died before it could note that.")] = False
    duplicate: Annotated[bool, Meta(description="A further submit of what was submitted already.")] = False
    correction: Annotated[bool, Meta(description="Came late, and says otherwise or more than an earlier record.")] = False
    test: Annotated[bool, Meta(description="A test, not to be counted as business.")] = False
    parent: Annotated[str | None, Meta(description="The notification that this one was made from.")] = None
    children: Annotated[int, Meta(description="With expanded: how many notifications were made from this one.")] = 0
    campaign: Annotated[str | None, Meta(description="Name of the campaign that it is of.")] = None
    until: Annotated[int | None, Meta(description="With held: when it goes on (ms).")] = None
    decision: Annotated[Decided | None, Meta(description="With accepted and step: what the decision rests on.")] = None
