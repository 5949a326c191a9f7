"""What to send now for a notification: the first step of its plan that can be made, or why there is none."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from inm.core import languages
from inm.core.ids import delivery_id
from inm.core.records import Content, Delivery, Notification
from inm.core.rendering import RenderError
from inm.core.scenarios import Book, Catalogue, Message, Scenario, Step, Template, Until
from inm.core.sms import segment
from inm.core.users import User

ADDRESS = {"sms": "phone", "email": "email"}
"""The field of recipients and users that holds a channel's address."""


class Skip(Struct, frozen=True):
    """A step that could not be made, and why: ``reason`` is one of ``REASONS``."""

    step: int
    channel: str
    reason: str
    detail: str


class Send(Struct, frozen=True):
    """Send this. ``deadline`` (ms) ends the step's time; ``steps`` is the length of the plan."""

    delivery: Delivery
    deadline: int
    until: Until
    steps: int
    skipped: list[Skip]


class Refusal(Struct, frozen=True):
    """Nothing can be sent, finally; ``reason`` is one of ``REASONS``."""

    reason: str
    detail: str
    skipped: list[Skip]


Decision = Send | Refusal


class _CannotError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def decide(notification: Notification, catalogue: Catalogue, user: User | None, now: int) -> Decision:
    """The decision for ``notification.step`` at ``now`` (ms), when its ``at`` has come.

    The request's addresses, language and fields win over the user's. Validity counts from the later of
    ``received`` and ``at``; no attempt begins after it or after the step's deadline.
    """
    book = catalogue.book(notification.tenant)
    scenario = book.scenarios.get(notification.scenario) if book else None
    if book is None or scenario is None:
        reason = "unknown-scenario" if book else "unknown-tenant"
        return Refusal(reason, f"{notification.tenant}/{notification.scenario}", [])
    validity_ends = max(notification.received, notification.at or 0) + scenario.validity * 1000
    if now > validity_ends:
        return Refusal("expired", f"its validity of {scenario.validity} s ended {now - validity_ends} ms ago", [])
    skipped: list[Skip] = []
    for number, step in enumerate(scenario.plan[notification.step - 1 :], notification.step):
        deadline = now + step.after * 1000
        try:
            delivery = _delivery(notification, number, book, scenario, user, now, min(validity_ends, deadline))
        except _CannotError as error:
            skipped.append(Skip(number, step.channel, error.reason, error.detail))
        else:
            return Send(delivery, deadline, step.until, len(scenario.plan), skipped)
    return _refusal(skipped)


def _refusal(skipped: list[Skip]) -> Refusal:
    """The first reason that somebody can mend in the scenario or the fields; ``no-address`` if all lack an address."""
    telling = next((skip for skip in skipped if skip.reason != "no-address"), None)
    if telling:
        return Refusal(telling.reason, f"step {telling.step} ({telling.channel}): {telling.detail}", skipped)
    wanted = ", ".join(dict.fromkeys(ADDRESS[skip.channel] for skip in skipped))
    return Refusal("no-address", f"the plan needs {wanted}" if wanted else "the plan has no further step", skipped)


def _delivery(
    notification: Notification, number: int, book: Book, scenario: Scenario, user: User | None, now: int, expires: int
) -> Delivery:
    step = scenario.plan[number - 1]
    to = _address(step, notification, user)
    template = book.templates[step.template]
    wanted = notification.language or (user.language if user else None)
    language = languages.pick(template.messages, wanted, book.tenant.language) or min(template.messages)
    content = _content(template, template.messages[language], _fields(notification, user))
    encoding, parts = _segments(content, step, scenario)
    return Delivery(
        id=delivery_id(notification.id, number, 1),
        notification=notification.id,
        key=notification.key,
        tenant=notification.tenant,
        scenario=scenario.name,
        channel=step.channel,
        lane=notification.lane or scenario.lane,
        route=step.route or book.tenant.routes[step.channel],
        to=to,
        sender=step.sender,
        content=content,
        template=template.name,
        version=template.version,
        language=language,
        step=number,
        attempt=1,
        decided=now,
        expires=expires,
        parts=parts,
        encoding=encoding,
        on_unknown=scenario.on_unknown,
    )


def _address(step: Step, notification: Notification, user: User | None) -> str:
    field = ADDRESS[step.channel]
    address: str | None = getattr(notification, field) or (getattr(user, field) if user else None)
    if not address:
        raise _CannotError("no-address", f"no {field}")
    return address


def _fields(notification: Notification, user: User | None) -> Mapping[str, Any]:
    if user is None:
        return notification.fields
    known = {**user.fields, "name": user.name} if user.name else user.fields
    return {**known, **notification.fields}


def _content(template: Template, message: Message, fields: Mapping[str, Any]) -> Content:
    try:
        return Content(
            text=message.text.render(fields),
            # One line, for a line break in it would begin another header (RFC 5322, section 2.2).
            subject=" ".join(message.subject.render(fields).split()) if message.subject else None,
            html=message.html.render(fields) if message.html else None,
            flash=template.flash,
        )
    except RenderError as error:
        raise _CannotError(error.reason, f"template {template.name} version {template.version}: {error.detail}") from error


def _segments(content: Content, step: Step, scenario: Scenario) -> tuple[str | None, int]:
    if step.channel != "sms":
        return None, 1
    segments = segment(content.text)
    if segments.parts > scenario.max_parts:
        raise _CannotError("too-many-parts", f"{segments.parts} parts in {segments.encoding}, allowed are {scenario.max_parts}")
    return segments.encoding, segments.parts
