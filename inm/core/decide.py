"""What to send now for a notification: the first step of its plan that can be made, or why there is none."""

from collections.abc import Sequence

from msgspec import Struct

from inm.core import consent
from inm.core.algorithms import Algorithms, NoAlgorithms
from inm.core.case import ADDRESS, Case
from inm.core.catalogue import Book, BoundScenario
from inm.core.choice import Choice, choose
from inm.core.composing import CannotError, compose
from inm.core.grounds import Grounds, Report, Skip
from inm.core.records import Delivery, Notification
from inm.core.scenarios import Step, Until
from inm.core.users import User

__all__ = ["Decision", "Refusal", "Send", "Skip", "decide"]

_MENDED_LAST = ("opted-out", "no-address", "not-chosen")
"""Reasons of single steps that tell less than any other: nobody can mend them in the scenario or the fields."""


class Send(Struct, frozen=True):
    """Send this. ``deadline`` (ms) ends the step's time; ``steps`` is the length of the plan."""

    delivery: Delivery
    deadline: int
    until: Until
    steps: int
    skipped: list[Skip]
    grounds: Grounds = Grounds()
    plan: list[Step] = []


class Refusal(Struct, frozen=True):
    """Nothing can be sent, finally; ``reason`` is one of ``REASONS``."""

    reason: str
    detail: str
    skipped: list[Skip]
    grounds: Grounds = Grounds()
    plan: list[Step] = []


Decision = Send | Refusal

NONE = NoAlgorithms()

MOST_NAMES = 50
"""Field names that the grounds keep, of request and user each."""


def decide(
    notification: Notification,
    book: Book | None,
    user: User | None,
    now: int,
    algorithms: Algorithms = NONE,
    plan: Sequence[Step] = (),
) -> Decision:
    """The decision for ``notification.step`` at ``now`` (ms), when its ``at`` has come, by the documents of its tenant.

    ``plan`` is what was decided for the first step: further steps go on with it. Validity counts from the later of
    ``received`` and ``at``; no attempt begins after it or after the step's deadline.
    """
    bound = book.scenarios.get(notification.scenario) if book else None
    if book is None or bound is None:
        reason = "unknown-scenario" if book else "unknown-tenant"
        return Refusal(reason, f"{notification.tenant}/{notification.scenario}", [])
    case = Case(notification, book, bound.document, user, now)
    late = now - _validity_ends(case)
    if late > 0:
        detail = f"its validity of {case.scenario.validity} s ended {late} ms ago"
        return Refusal("expired", detail, [], _grounds(case, bound))
    entry = consent.refusal(case.user, case.scenario)
    if entry:
        return Refusal("opted-out", f"the user has opted out of {entry}", [], _grounds(case, bound))
    return _decide(case, bound, algorithms, plan)


def _decide(case: Case, bound: BoundScenario, algorithms: Algorithms, plan: Sequence[Step]) -> Decision:
    reports: list[Report] = []
    if case.scenario.enrich:
        added, report = algorithms.enrich(case.scenario.enrich, case.context())
        case.enriched = added or {}
        reports.append(report)
    if plan:
        choice = Choice(list(plan), case.notification.lane or case.scenario.lane)
    else:
        choice = choose(case, bound.rules, algorithms)
        if choice.report:
            reports.append(choice.report)
    failed = _failed(case, reports)
    if failed:
        detail = f"algorithm {failed.name}: {failed.result} {failed.detail}".rstrip()
        return Refusal("algorithm-failed", detail, [], _grounds(case, bound, choice, reports))
    if not choice.send or not choice.plan:
        detail = "the algorithm chose none of the steps" if choice.send else "a rule wants nothing sent"
        return Refusal("suppressed", detail, choice.left_out, _grounds(case, bound, choice, reports, choice.left_out))
    delivery, skipped = _first_step(case, choice)
    grounds = _grounds(case, bound, choice, reports, skipped)
    if delivery is None:
        reason, detail = _why_none(skipped)
        return Refusal(reason, detail, skipped, grounds, choice.plan)
    step = choice.plan[delivery.step - 1]
    return Send(delivery, case.now + step.after * 1000, step.until, len(choice.plan), skipped, grounds, choice.plan)


def _first_step(case: Case, choice: Choice) -> tuple[Delivery | None, list[Skip]]:
    """The first step that can be made, from the notification's on, and those before it and outside of the choice."""
    skipped: list[Skip] = []
    validity_ends = _validity_ends(case)
    for number, step in enumerate(choice.plan[case.notification.step - 1 :], case.notification.step):
        try:
            return compose(case, step, number, choice.lane, min(validity_ends, case.now + step.after * 1000)), skipped + choice.left_out
        except CannotError as error:
            skipped.append(Skip(number, step.channel, error.reason, error.detail))
    return None, skipped + choice.left_out


def _why_none(skipped: list[Skip]) -> tuple[str, str]:
    """The first reason that somebody can mend in the scenario or the fields; else that the user wants none; ``no-address`` at last."""
    ranked = sorted(skipped, key=lambda skip: _MENDED_LAST.index(skip.reason) if skip.reason in _MENDED_LAST else -1)
    if ranked and ranked[0].reason != "no-address":
        return ranked[0].reason, f"step {ranked[0].step} ({ranked[0].channel}): {ranked[0].detail}"
    wanted = ", ".join(dict.fromkeys(ADDRESS[skip.channel] for skip in skipped if skip.reason == "no-address"))
    return "no-address", f"the plan needs {wanted}" if wanted else "the plan has no further step"


def _validity_ends(case: Case) -> int:
    return max(case.notification.received, case.notification.at or 0) + case.scenario.validity * 1000


def _failed(case: Case, reports: list[Report]) -> Report | None:
    """The plug-in without which the scenario wants nothing sent."""
    declared = {"choose": case.scenario.choose, "enrich": case.scenario.enrich}
    for report in reports:
        algorithm = declared[report.hook]
        if report.result != "used" and algorithm and algorithm.otherwise == "refuse":
            return report
    return None


_UNDECIDED = Choice([], "normal")


def _grounds(
    case: Case, bound: BoundScenario, choice: Choice = _UNDECIDED, reports: Sequence[Report] = (), skipped: Sequence[Skip] = ()
) -> Grounds:
    return Grounds(
        step=case.notification.step,
        revision=bound.revision,
        user=case.state,
        rules=len(case.scenario.rules),
        rule=None if choice.hit.index is None else choice.hit.index + 1,
        rule_name=choice.rule.name if choice.rule else "",
        misses=[*choice.hit.misses, *case.unusable],
        skipped=list(skipped),
        reports=list(reports),
        language=case.language,
        tone=case.tone,
        preferred=choice.preferred,
        request_fields=list(case.request_fields)[:MOST_NAMES],
        user_fields=list(case.user_fields)[:MOST_NAMES],
    )
