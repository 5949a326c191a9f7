"""How far a campaign has come, as others see it, and what one would come to."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from inm.core.audience import Report
from inm.core.campaigns import MARK_EVERY, MARKS, STATES, Campaign, State, total, waiting


class Forecast(Struct, frozen=True, omit_defaults=True):
    """What a campaign would come to, by the rows that were tried."""

    parts: Annotated[int, Meta(description="Parts that it takes, without further steps.")]
    cost: Annotated[float, Meta(description="What they cost, by the routes' prices.")]
    seconds: Annotated[int | None, Meta(description="How long it takes; absent without a pace and a route that says its rate.")] = None


class Progress(Struct, frozen=True, omit_defaults=True):
    """A campaign as others see it. Times in ms since 1970; rates in recipients a second."""

    name: str
    tenant: str
    scenario: str
    state: Annotated[State, Meta(description="; ".join(f"{name}: {text}" for name, text in STATES.items()) + ".")]
    author: Annotated[str, Meta(description="Who created or started it.")]
    created: int
    recipients: Annotated[int, Meta(description="Rows of its audience that can be sent to.")]
    released: Annotated[int, Meta(description="Recipients that the cursor has passed.")]
    waiting: Annotated[int, Meta(description="Released, and not yet handed to a route.")]
    submitted: Annotated[int, Meta(description="Recipients whose message a provider took, of whichever step.")]
    open: Annotated[int, Meta(description="Notifications without a final event.")]
    finals: Annotated[dict[str, int], Meta(description="Notifications by their final event.")]
    parts: Annotated[int, Meta(description="Parts that providers took.")]
    report: Annotated[Report, Meta(description="What was found in its audience.")]
    forecast: Annotated[Forecast, Meta(description="What all of it comes to.")]
    pieces: Annotated[int, Meta(description="Pieces of its audience that are there; the next one has this number.")]
    repeated: Annotated[int, Meta(description="Rows of a recipient that had one already: nothing was sent for them again.")] = 0
    pace: Annotated[int | None, Meta(description="Recipients a second at most; absent: as fast as the routes take them.")] = None
    starts: Annotated[int | None, Meta(description="Not before this time.")] = None
    rate: Annotated[float | None, Meta(description="Recipients a second handed to routes lately.")] = None
    ends: Annotated[int | None, Meta(description="When the last one will have been, at this rate.")] = None


def progress(campaign: Campaign, now: int, rates: Mapping[str, float]) -> Progress:
    """How far a campaign has come. ``rates`` as for :func:`forecast`."""
    counts, held = total(campaign), waiting(campaign, now)
    rate = _rate(campaign, now)
    left = campaign.report.rows - campaign.released + held
    return Progress(
        name=campaign.name,
        tenant=campaign.tenant,
        scenario=campaign.scenario,
        state=campaign.state,
        author=campaign.author,
        created=campaign.created,
        recipients=campaign.report.rows,
        released=campaign.released,
        waiting=held,
        submitted=counts.submitted,
        open=counts.begun - sum(counts.finals.values()),
        finals=dict(sorted(counts.finals.items())),
        parts=counts.parts,
        report=campaign.report,
        forecast=forecast(campaign.report, campaign.pace, rates),
        pieces=campaign.pieces,
        repeated=counts.repeated,
        pace=campaign.pace,
        starts=campaign.starts or None,
        rate=rate,
        ends=now + int(left / rate * 1000) if rate and left and campaign.state in ("running", "done") else None,
    )


def _rate(campaign: Campaign, now: int) -> float | None:
    lately = [mark for mark in campaign.marks if now - mark[0] < 2 * MARKS * MARK_EVERY]
    if len(lately) < 2:
        return None
    (began, before), (ended, after) = lately[0], lately[-1]
    return round(max(0, after - before) * 1000 / (ended - began), 1)


def forecast(report: Report, pace: int | None, rates: Mapping[str, float]) -> Forecast:
    """``rates`` are the parts a second of the routes it would take."""
    parts = round(report.estimated(report.parts))
    takes = [report.rows / pace] if pace else []
    takes += [parts / sum(rates.values())] if rates else []
    return Forecast(parts, round(report.estimated(report.cost), 2), round(max(takes)) if takes else None)
