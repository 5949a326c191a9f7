"""What to send now for a notification: the first step of its plan that can be made, or why there is none."""

from collections.abc import Sequence

from msgspec import Struct, structs

from inm.core import consent, holding
from inm.core.algorithms import Algorithms, NoAlgorithms
from inm.core.case import Case
from inm.core.catalogue import Book, BoundScenario
from inm.core.choice import Choice, choose
from inm.core.composing import CannotError, compose
from inm.core.grounds import Grounds, Report, Skip
from inm.core.records import Delivery, Notification
from inm.core.scenarios import LAST, Step, Until, groups
from inm.core.users import User

__all__ = ["Decision", "Hold", "Refusal", "Send", "Skip", "decide"]

_MENDED_LAST = ("window-closed", "opted-out", "no-address", "not-needed", "not-chosen")
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
    beside: list["Send"] = []
    """The steps that begin together with it; what they rest on and skipped is told here."""
    last: int = 0
    """The number of the last step that begins now, or never: the plan goes on behind it."""


class Refusal(Struct, frozen=True):
    """Nothing can be sent, finally; ``reason`` is one of ``REASONS``."""

    reason: str
    detail: str
    skipped: list[Skip]
    grounds: Grounds = Grounds()
    plan: list[Step] = []


class Hold(Struct, frozen=True):
    """Not now: decide again at ``until`` (ms), when the windows of the step ``step`` are open."""

    until: int
    detail: str
    step: int
    skipped: list[Skip]
    grounds: Grounds = Grounds()
    plan: list[Step] = []


Decision = Send | Refusal | Hold

NOTHING = ("", "")

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
    last: tuple[str, str] = NOTHING,
) -> Decision:
    """The decision for ``notification.step`` at ``now`` (ms), when its ``at`` has come, by the documents of its tenant.

    ``plan`` is what was decided for the first step: further steps go on with it. ``last`` is what the step before came to, and
    why. Validity counts from the later of ``received`` and ``at``; no attempt begins after it or after the step's deadline.
    """
    bound = book.scenarios.get(notification.scenario) if book else None
    if book is None or bound is None:
        reason = "unknown-scenario" if book else "unknown-tenant"
        return Refusal(reason, f"{notification.tenant}/{notification.scenario}", [])
    case = Case(notification, book, bound.document, user, now)
    late = now - case.ends
    if late > 0:
        reason = "window-closed" if notification.held else "expired"
        detail = f"its validity of {case.scenario.validity} s ended {late} ms ago"
        return Refusal(reason, detail, [], _grounds(case, bound))
    entry = consent.refusal(case.user, case.scenario)
    if entry:
        return Refusal("opted-out", f"the user has opted out of {entry}", [], _grounds(case, bound))
    return _decide(case, bound, algorithms, plan, last)


def _decide(case: Case, bound: BoundScenario, algorithms: Algorithms, plan: Sequence[Step], last: tuple[str, str]) -> Decision:
    reports: list[Report] = []
    if case.scenario.enrich:
        added, report = algorithms.enrich(case.scenario.enrich, case.context())
        case.enriched = added or {}
        reports.append(report)
    if plan:
        choice = Choice(list(plan), case.notification.lane or case.scenario.lane)
    else:
        choice = choose(case, bound, algorithms)
        if choice.report:
            reports.append(choice.report)
    failed = _failed(case, reports)
    if failed:
        detail = f"algorithm {failed.name}: {failed.result} {failed.detail}".rstrip()
        return Refusal("algorithm-failed", detail, [], _grounds(case, bound, choice, reports))
    if not choice.send or not choice.plan:
        detail = "the algorithm chose none of the steps" if choice.send else "a rule wants nothing sent"
        return Refusal("suppressed", detail, choice.left_out, _grounds(case, bound, choice, reports, choice.left_out))
    return _Steps(case, bound, choice, reports).begin(last)


class _Steps:
    """The steps of a plan, of which the first that can be made is looked for."""

    def __init__(self, case: Case, bound: BoundScenario, choice: Choice, reports: Sequence[Report]) -> None:
        self.case = case
        self.bound = bound
        self.choice = choice
        self.reports = reports
        self.skipped: list[Skip] = []
        self.waits: list[tuple[int, str, Send]] = []
        """Steps of the group at hand that must wait: until when (ms), and why."""

    def begin(self, last: tuple[str, str]) -> Decision:
        """The first steps of which one can be made, from the notification's on; those that cannot are told."""
        for group in groups(self.choice.plan, self.case.notification.step):
            self.waits = []
            sends = [send for number, step in group if (send := self._send(step, number, last))]
            if sends:
                return self._together(sends, group[-1][0])
            if self.waits:
                until, detail, send = min(self.waits, key=lambda wait: wait[0])
                return Hold(until, detail, send.delivery.step, self.told, self.grounds, self.choice.plan)
            last = ("skipped", self.skipped[-1].reason)
        return Refusal(*_why_none(self.told), self.told, self.grounds, self.choice.plan)

    @property
    def told(self) -> list[Skip]:
        """All steps that are not taken."""
        return self.skipped + self.choice.left_out

    @property
    def grounds(self) -> Grounds:
        """What led to it."""
        return _grounds(self.case, self.bound, self.choice, self.reports, self.told)

    def _together(self, sends: list[Send], last: int) -> Send:
        """What begins together; those whose windows are shut are made now too, and sent when they open."""
        ends = self.case.ends
        for until, _, send in self.waits:
            wait = until - self.case.now
            expires = min(ends, send.deadline + wait)
            delivery = structs.replace(send.delivery, closes=self.case.now, reopens=until, expires=expires)
            sends.append(structs.replace(send, delivery=delivery, deadline=send.deadline + wait))
        first, plan = sends[0], self.choice.plan
        return structs.replace(first, beside=sends[1:], last=last, skipped=self.told, grounds=self.grounds, plan=plan)

    def _send(self, step: Step, number: int, last: tuple[str, str]) -> Send | None:
        """The step, if it can be made now."""
        try:
            self._needed(step, last)
            return self._made(step, number)
        except CannotError as error:
            self.skipped.append(Skip(number, step.channel, error.reason, error.detail))
        return None

    def _needed(self, step: Step, last: tuple[str, str]) -> None:
        if step.unless is None:
            return
        if self.case.first(self.bound.condition(step.unless), dict(zip(LAST, last, strict=True))).index is not None:
            raise CannotError("not-needed", f"unless {step.unless}")

    def _made(self, step: Step, number: int) -> Send | None:
        case, now, ends = self.case, self.case.now, self.case.ends
        windows = holding.openings(case, step, self.choice.lane)
        delivery = compose(case, step, number, self.choice.lane, min(ends, now + step.after * 1000))
        send = Send(delivery, now + step.after * 1000, step.until, len(self.choice.plan), [])
        if not windows:
            return send
        shut = holding.wait(windows, now, ends, delivery.id)
        if shut is None:
            times = holding.times(windows, now, delivery.id)
            return structs.replace(send, delivery=structs.replace(delivery, closes=times.closes, reopens=times.reopens))
        if shut.until is None:
            raise CannotError("window-closed", shut.detail)
        self.waits.append((shut.until, shut.detail, send))
        return None


def _why_none(skipped: list[Skip]) -> tuple[str, str]:
    """The first reason that somebody can mend in the scenario or the fields; else that the user wants none; ``no-address`` at last."""
    ranked = sorted(skipped, key=lambda skip: _MENDED_LAST.index(skip.reason) if skip.reason in _MENDED_LAST else -1)
    if ranked and ranked[0].reason != "no-address":
        return ranked[0].reason, f"step {ranked[0].step} ({ranked[0].channel}): {ranked[0].detail}"
    wanted = ", ".join(dict.fromkeys(skip.detail.removeprefix("no ") for skip in skipped if skip.reason == "no-address"))
    return "no-address", f"the plan needs {wanted}" if wanted else "the plan has no further step"


def _failed(case: Case, reports: list[Report]) -> Report | None:
    """The plug-in without which the scenario wants nothing sent."""
    for report in reports:
        algorithm = case.scenario.choose if report.hook == "choose" else case.scenario.enrich
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
