"""The notification for a recipient of a campaign: with an id that it has whenever it is released, so that none has two."""

from collections.abc import Mapping

from msgspec import structs

from inm.core.algorithms import Algorithms
from inm.core.audience import Row, Tried, Trier
from inm.core.books import Book
from inm.core.campaigns import Campaign
from inm.core.records import Notification, Request
from inm.core.requests import expand
from inm.core.scenarios import steps_of
from inm.core.trial import attempt


def notification(campaign: Campaign, number: int, row: Row, now: int, partitions: int) -> Notification:
    """The ``number``-th recipient's, from 1. A row that is released again, or names a recipient again, is the same notification."""
    made = _made(campaign.tenant, campaign.scenario, f"\x00campaign/{campaign.name}", row, now, partitions)  # no request has such a name
    return structs.replace(made, campaign=campaign.name, row=number)


def trier(
    tenant: str, scenario: str, book: Book | None, algorithms: Algorithms, partitions: int, prices: Mapping[str, float], now: int
) -> Trier:
    """Tries rows by their own addresses. Nothing can be told of one that has none: what is known of its user is not looked at here."""

    def tried(row: Row) -> Tried | None:
        if book is None:
            return None
        trial = attempt(_made(tenant, scenario, "", row, now, partitions), book, None, now, algorithms, partitions, prices)
        if trial.message:
            return Tried(trial.message.parts, trial.message.price or 0.0)
        return Tried(refused=trial.reason) if trial.reason and (row.to.phone or row.to.email) else None

    return tried


def channels(book: Book | None, scenario: str) -> set[str]:
    """The channels that the first steps of a scenario's plans take; none of one that is not there any more."""
    bound = book.scenarios.get(scenario) if book else None
    if book is None or bound is None:
        return set()
    plans = [bound.document.plan, *(rule.plan for rule in bound.document.rules if rule.plan)]
    return {steps[0].channel for steps in (steps_of(plan, book.plans) for plan in plans) if steps}


def _made(tenant: str, scenario: str, identity: str, row: Row, now: int, partitions: int) -> Notification:
    [made] = expand(Request(scenario=scenario, to=row.to, fields=row.fields, lane="bulk"), tenant, identity, now, partitions)
    return made
