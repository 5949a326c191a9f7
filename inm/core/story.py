"""The story of one notification: what was decided, tried and reported, with all times; for the API and for people."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from inm.core import why
from inm.core.ledger import Journey, Sent, Told
from inm.core.records import Lane
from inm.core.why import DecisionTold

Moment = Annotated[datetime, Meta(tz=True)]


class Try(Struct, frozen=True, omit_defaults=True):
    """One attempt of a step. ``state`` is ``decided`` until the provider or its time says otherwise."""

    id: Annotated[str, Meta(description="Id of the delivery, as EDRs of this attempt begin.")]
    attempt: Annotated[int, Meta(description="From 1.")]
    route: Annotated[str, Meta(description="The configured connection used.")]
    state: Annotated[
        str,
        Meta(description="decided, then the last event that counted: retried, submitted, delivered, read, failed, unknown or expired."),
    ]
    decided: Annotated[Moment, Meta(description="Step, text and route were chosen.")]
    started: Annotated[Moment | None, Meta(description="The submit that was accepted began.")] = None
    submitted: Annotated[Moment | None, Meta(description="The provider accepted it.")] = None
    delivered: Annotated[Moment | None, Meta(description="The last part was delivered, by the provider's receipt.")] = None
    parts_delivered: Annotated[int, Meta(description="Short messages reported as delivered so far.")] = 0
    provider_ids: Annotated[list[str], Meta(description="The provider's message ids, one a part.")] = []


class StepTold(Struct, frozen=True, omit_defaults=True):
    """A step of the plan that was begun."""

    step: Annotated[int, Meta(description="From 1.")]
    channel: str
    to: Annotated[str, Meta(description="The address used.")]
    sender: Annotated[str, Meta(description="What the recipient sees as the sender.")]
    template: str
    version: Annotated[int, Meta(description="Version of the template that made the text.")]
    language: str
    parts: Annotated[int, Meta(description="Short messages that the text takes; 1 for other channels.")]
    attempts: list[Try]
    encoding: Annotated[str | None, Meta(description="gsm7 or ucs2.")] = None
    tone: Annotated[str | None, Meta(description="The tone of voice of the text, if it has one.")] = None


class EventTold(Struct, frozen=True, omit_defaults=True):
    """One event, in the order in which INM learned of them."""

    at: Moment
    event: str
    final: Annotated[bool, Meta(description="The end of the notification, by this event.")] = False
    step: int | None = None
    attempt: int | None = None
    detail: Annotated[str, Meta(description="Reason, the provider's own code and words.")] = ""


class Story(Struct, frozen=True, omit_defaults=True):
    """Status and whole story of one notification. A field that is not known yet is left out."""

    id: str
    tenant: str
    scenario: str
    lane: Lane
    state: Annotated[str, Meta(description="The last event that counted.")]
    received: Annotated[Moment, Meta(description="INM took the request.")]
    plan: Annotated[int, Meta(description="Steps that the plan has; 0 if none could be made, or none is decided yet.")]
    steps: list[StepTold]
    events: list[EventTold]
    expires: Annotated[Moment, Meta(description="Until when this story is kept, and the request recognised if it comes again.")]
    final: Annotated[bool, Meta(description="Whether it has ended. A later event may still correct it.")] = False
    at: Annotated[Moment | None, Meta(description="It waits for this time, or for its window to open then.")] = None
    request_id: Annotated[str | None, Meta(description="The producer's own reference.")] = None
    user: Annotated[str | None, Meta(description="The tenant's id of the recipient.")] = None
    test: Annotated[bool, Meta(description="A test, and marked as such everywhere.")] = False
    parent: Annotated[str | None, Meta(description="The notification that this one was made from.")] = None
    decisions: Annotated[list[DecisionTold], Meta(description="What each decision rests on, one for each step begun or refused.")] = []


def tell(journey: Journey) -> dict[str, Any]:
    """The story as JSON data, by the schema of :class:`Story`; times are RFC 3339, UTC. Addresses are in full."""
    by_step: dict[int, list[Sent]] = {}
    for sent in journey.deliveries:
        by_step.setdefault(sent.step, []).append(sent)
    scheduled = journey.notification.at if journey.notification and journey.state == "scheduled" else None
    waiting = journey.held or scheduled
    story = Story(
        id=journey.id,
        tenant=journey.tenant,
        scenario=journey.scenario,
        lane=journey.lane,
        state=journey.state,
        received=_moment(journey.received),
        plan=journey.steps,
        steps=[_step(attempts) for _, attempts in sorted(by_step.items())],
        events=[_event(told, journey.id) for told in journey.events],
        expires=_moment(journey.expires),
        final=journey.final,
        at=_perhaps(waiting),
        request_id=journey.request_id,
        user=journey.user,
        test=journey.test,
        parent=journey.parent,
        decisions=[why.tell(grounds) for grounds in journey.grounds],
    )
    return msgspec.to_builtins(story)  # type: ignore[no-any-return]


def text(story: Mapping[str, Any], *, unmask: bool = False) -> str:
    """What :func:`tell` told as a time-line for people, in UTC and in seconds from the request; no line break at the end."""
    lines = "\n".join(_lines(msgspec.convert(story, Story)))
    return lines if unmask else mask(story, lines)


def mask(story: Mapping[str, Any], lines: str) -> str:
    """``lines`` with each address of the story masked, in whatever spelling it is there."""
    addresses = {step["to"] for step in story["steps"]}
    # without its plus too: that is how providers repeat a number; the longest first, for one may hold another
    spellings = sorted(addresses | {address.removeprefix("+") for address in addresses}, key=len, reverse=True)
    if not spellings:
        return lines
    return re.sub("|".join(map(re.escape, spellings)), lambda found: masked(found[0]), lines, flags=re.IGNORECASE)


def masked(address: str) -> str:
    """An address that can be recognised, but not used: ``+39…67``, ``a…@example.com``."""
    name, at, domain = address.rpartition("@")
    if at:
        return f"{name[:1]}…@{domain}"
    return f"{address[:3]}…{address[-2:]}" if len(address) > 7 else "…"


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _perhaps(ms: int | None) -> datetime | None:
    return None if ms is None else _moment(ms)


def _step(attempts: list[Sent]) -> StepTold:
    """What the attempts of a step have in common stands once."""
    sent = attempts[0]
    return StepTold(
        step=sent.step,
        channel=sent.channel,
        to=sent.to,
        sender=sent.sender,
        template=sent.template,
        version=sent.version,
        language=sent.language,
        parts=sent.parts,
        attempts=[_try(sent) for sent in sorted(attempts, key=lambda sent: sent.attempt)],
        encoding=sent.encoding,
        tone=sent.tone,
    )


def _try(sent: Sent) -> Try:
    return Try(
        id=sent.id,
        attempt=sent.attempt,
        route=sent.route,
        state=sent.state,
        decided=_moment(sent.decided),
        started=_perhaps(sent.started),
        submitted=_perhaps(sent.submitted),
        delivered=_perhaps(sent.delivered),
        parts_delivered=sent.arrived.bit_count(),
        provider_ids=list(sent.provider_ids),
    )


def _event(told: Told, notification: str) -> EventTold:
    """A line of the ledger; its detail begins with the id of what it is of, and says if it is the end."""
    subject, _, detail = told.detail.partition(" ")
    if subject != notification and not subject.startswith(f"{notification}."):
        return EventTold(_moment(told.at), told.event, detail=told.detail)
    step, attempt = map(int, subject.removeprefix(notification)[1:].split(".")) if subject != notification else (None, None)
    first, _, rest = detail.partition(" ")
    final = first == "final"
    return EventTold(_moment(told.at), told.event, final, step, attempt, rest if final else detail)


def _lines(story: Story) -> Iterator[str]:
    whose = f" for {story.user}" if story.user else ""
    request = f", request {story.request_id}" if story.request_id else ""
    end = "final" if story.final else f"waits for {_clock(story.at)}" if story.at else "not final"
    yield f"{story.id}: {story.state}, {end}{', a test' if story.test else ''}"
    yield f"{story.tenant}/{story.scenario}{whose}{request}, lane {story.lane}"
    if story.parent:
        yield f"made from {story.parent}"
    yield f"received {_clock(story.received)}, kept until {_clock(story.expires)}"
    for decision in story.decisions:
        yield ""
        yield from why.lines(decision)
    for step in story.steps:
        parts = f", {step.parts} parts" if step.parts > 1 else ""
        encoding = f" {step.encoding}" if step.encoding else ""
        yield ""
        yield f"step {step.step} of {story.plan}: {step.channel} to {step.to} from {step.sender}"
        tone = f"/{step.tone}" if step.tone else ""
        yield f"  template {step.template} version {step.version}, {step.language}{tone}{encoding}{parts}"
        for attempt in step.attempts:
            yield f"  {_attempt(attempt, step.parts, story.received)}"
    yield ""
    for event in story.events:
        yield _told(event, story.received)


def _attempt(attempt: Try, parts: int, start: datetime) -> str:
    words = [f"attempt {attempt.attempt} by {attempt.route}: {attempt.state}"]
    for name in ("started", "submitted", "delivered"):
        moment = getattr(attempt, name)
        if moment:
            words.append(f"{name} {_offset(moment, start)}")
    if attempt.parts_delivered and attempt.parts_delivered < parts:
        words.append(f"{attempt.parts_delivered} of {parts} parts delivered")
    if attempt.provider_ids:
        words.append(f"provider ids {' '.join(attempt.provider_ids)}")
    return ", ".join(words)


def _told(event: EventTold, start: datetime) -> str:
    place = f"step {event.step} attempt {event.attempt}" if event.step else ""
    words = " ".join(filter(None, (place, "final" if event.final else "", event.detail)))
    return f"{_clock(event.at)} {_offset(event.at, start):>11}  {event.event:<9} {words}".rstrip()


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _offset(moment: datetime, start: datetime) -> str:
    return f"{(moment - start).total_seconds():+.3f}s"
