"""Composing: one step made into a delivery, with its text in the recipient's language, or the reason why it cannot be."""

from inm.core import consent, magic
from inm.core.case import Case
from inm.core.ids import delivery_id
from inm.core.records import Content, Delivery, Lane
from inm.core.rendering import RenderError
from inm.core.scenarios import Step
from inm.core.sms import segment
from inm.core.templates import Template


class CannotError(Exception):
    """The step cannot be made; ``reason`` is one of ``REASONS``."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def compose(case: Case, step: Step, number: int, lane: Lane, expires: int) -> Delivery:
    """The delivery of a step, the ``number``-th (from 1). ``CannotError`` if there is a reason against it."""
    notification, book = case.notification, case.book
    to = _address(case, step)
    template = book.templates.get(step.template)
    if template is None:
        raise CannotError("unknown-template", f"template {step.template} has no approved version")
    sender = book.senders.get(step.sender)
    if sender is None:
        raise CannotError("unknown-sender", f"sender {step.sender} is not there")
    routes = case.routes(step)
    if not routes:
        raise CannotError("route-down", f"the tenant has no route for {step.channel}")
    variant, content = _content(case, template)
    encoding, parts = _segments(content, step, case.scenario.max_parts)
    language, _, tone = variant.partition("/")
    if notification.test and magic.fate(step.channel, to):
        routes = [magic.route(step.channel)]
    return Delivery(
        id=delivery_id(notification.id, number, 1),
        notification=notification.id,
        key=notification.key,
        tenant=notification.tenant,
        scenario=case.scenario.name,
        channel=step.channel,
        lane=lane,
        route=routes[0],
        routes=routes if len(routes) > 1 else [],
        to=to,
        sender=sender.address,
        content=content,
        template=template.name,
        version=template.version,
        language=language,
        step=number,
        attempt=1,
        decided=case.now,
        expires=expires,
        parts=parts,
        encoding=encoding,
        on_unknown=case.scenario.on_unknown,
        tone=tone or None,
        track=step.until == "read",
    )


def _address(case: Case, step: Step) -> str:
    entry = consent.channel_refusal(case.user, case.scenario, step.channel)
    if entry:
        raise CannotError("opted-out", f"the user has opted out of {entry}")
    address = case.address(step)
    if not address:
        raise CannotError("no-address", f"no {case.field(step)}")
    return address


def _content(case: Case, template: Template) -> tuple[str, Content]:
    try:
        variant, message = template.variant(case.language, case.tone, case.book.fallback)
        return variant, message.render(case.fields)
    except RenderError as error:
        raise CannotError(error.reason, f"template {template.name} version {template.version}: {error.detail}") from error
    except ValueError as error:
        raise CannotError("render-failed", f"template {template.name} version {template.version}: {error}") from error


def _segments(content: Content, step: Step, allowed: int) -> tuple[str | None, int]:
    if step.channel != "sms":
        return None, 1
    segments = segment(content.text)
    if segments.parts > allowed:
        raise CannotError("too-many-parts", f"{segments.parts} parts in {segments.encoding}, allowed are {allowed}")
    return segments.encoding, segments.parts
