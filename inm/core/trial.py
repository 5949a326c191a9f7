"""Trial: what would become of a request, without anything being sent."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from inm.core import fanout, sms, why
from inm.core.algorithms import Algorithms
from inm.core.books import Book, bind
from inm.core.decide import Hold, Send, decide
from inm.core.records import ChannelName, Delivery, Email, Lane, Language, Notification, Phone, Tone
from inm.core.reference import Held
from inm.core.users import User
from inm.core.why import DecisionTold


class GivenUser(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """User data to try with, in place of what is known."""

    language: Language | None = None
    tone: Tone | None = None
    channel: ChannelName | None = None
    name: str | None = None
    phone: Phone | None = None
    email: Email | None = None
    phones: list[Phone] = []
    emails: list[Email] = []
    opt_out: list[str] = []
    fields: dict[str, Any] = {}

    def row(self, key: str, now: int) -> User:
        """The row that it would be."""
        return User(key, now, **msgspec.structs.asdict(self))


class Asked(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of ``POST /v1/try``."""

    request: Annotated[dict[str, Any], Meta(description="A request for one recipient, as for /v1/requests.")]
    user: Annotated[GivenUser | None, Meta(description="User data to try with, in place of what INM knows.")] = None
    draft: Annotated[bool, Meta(description="With the newest versions of templates that are not rejected, approved or not.")] = False
    to: Annotated[
        Annotated[str, Meta(max_length=254)] | None,
        Meta(description="A number or mailbox: it is sent there for real, as a test. Not with draft."),
    ] = None


class Rendered(Struct, frozen=True, omit_defaults=True):
    """The message as it would be sent."""

    step: Annotated[int, Meta(description="Step of the plan, from 1.")]
    channel: str
    to: str
    sender: str
    route: str
    lane: Lane
    template: str
    version: int
    language: str
    text: str
    parts: Annotated[int, Meta(description="Short messages that the text takes; 1 for other channels.")]
    tone: str | None = None
    subject: str | None = None
    html: str | None = None
    flash: bool = False
    title: str | None = None
    data: dict[str, str] = {}
    encoding: Annotated[str | None, Meta(description="gsm7 or ucs2.")] = None
    foreign: Annotated[str, Meta(description="The characters that make it ucs2, each once.")] = ""
    price: Annotated[float | None, Meta(description="Of all its parts, by the price of the route, if that is set.")] = None


class Whom(Struct, frozen=True, omit_defaults=True):
    """A member of an offer, or a further address."""

    role: str | None = None
    user: str | None = None
    phone: str | None = None
    email: str | None = None


class Trial(Struct, frozen=True, omit_defaults=True):
    """What would become of the request."""

    outcome: Annotated[
        Literal["send", "refused", "expanded"],
        Meta(
            description="send (the message is there), refused (reason and detail say why), expanded (also has notifications of their own)."
        ),
    ]
    reason: str | None = None
    detail: str | None = None
    message: Rendered | None = None
    plan: Annotated[int, Meta(description="Steps that the plan has.")] = 0
    decision: DecisionTold | None = None
    also: Annotated[list[Whom], Meta(description="Members of the offer, or further addresses, each with a notification of its own.")] = []
    notification: Annotated[str | None, Meta(description="Id of the notification, if it was sent.")] = None
    held: Annotated[int | None, Meta(description="Its window is shut: it would wait until then (ms), and then be as told here.")] = None


def attempt(
    notification: Notification,
    book: Book,
    user: User | None,
    now: int,
    algorithms: Algorithms,
    partitions: int,
    prices: Mapping[str, float],
) -> Trial:
    """What :func:`decide` says, at once even if the request has a later time. ``prices`` are of a part, by route."""
    if fanout.is_expanded(notification, user):
        return Trial("expanded", also=[_whom(child) for child in fanout.members(notification, user, partitions)])
    decision = decide(notification, book, user, max(now, notification.at or 0), algorithms)
    held = decision.until if isinstance(decision, Hold) else None
    if held is not None:
        decision = decide(notification, book, user, held, algorithms)
    told = why.tell(decision.grounds)
    if not isinstance(decision, Send):
        reason = "window-closed" if isinstance(decision, Hold) else decision.reason
        return Trial("refused", reason, decision.detail, None, len(decision.plan), told)
    scenario = book.scenarios[notification.scenario].document
    further = []
    if scenario.destinations == "all":
        further = fanout.destinations(notification, user, {step.channel for step in decision.plan}, partitions)
    message, also = _rendered(decision.delivery, prices), [_whom(child) for child in further]
    return Trial("send", None, None, message, decision.steps, told, also, held=held)


def drafted(held: Mapping[str, Held], before: Book | None) -> Book | None:
    """The book as it would be if all that waits for approval were approved."""
    waiting = ("draft", "submitted")
    return bind(
        {path: msgspec.structs.replace(row, state="approved") if row.state in waiting else row for path, row in held.items()}, before
    )


def _whom(child: Notification) -> Whom:
    return Whom(child.role, child.user, child.phone, child.email)


def _rendered(delivery: Delivery, prices: Mapping[str, float]) -> Rendered:
    price = prices.get(delivery.route)
    content = delivery.content
    return Rendered(
        step=delivery.step,
        channel=delivery.channel,
        to=delivery.to,
        sender=delivery.sender,
        route=delivery.route,
        lane=delivery.lane,
        template=delivery.template,
        version=delivery.version,
        language=delivery.language,
        text=content.text,
        parts=delivery.parts,
        tone=delivery.tone,
        subject=content.subject,
        html=content.html,
        flash=content.flash,
        title=content.title,
        data=content.data,
        encoding=delivery.encoding,
        foreign=sms.foreign(content.text) if delivery.encoding == "ucs2" else "",
        price=None if price is None else round(price * delivery.parts, 6),
    )
