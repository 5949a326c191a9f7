"""Choice: which steps are tried, in which order: the plan of the scenario or of its rule, the user's preference, a plug-in."""

from collections.abc import Sequence

from msgspec import Struct, structs

from inm.core.algorithms import Algorithms, Candidate
from inm.core.case import Case
from inm.core.catalogue import Book, BoundScenario
from inm.core.grounds import Report, Skip
from inm.core.records import Lane
from inm.core.rules import Hit
from inm.core.scenarios import Rule, Step, groups


class Choice(Struct, frozen=True):
    """The steps to try and what led to them. ``send`` is False if a rule wants nothing sent."""

    plan: list[Step]
    lane: Lane
    hit: Hit = Hit(None, [])
    rule: Rule | None = None
    preferred: str | None = None
    left_out: list[Skip] = []
    report: Report | None = None

    @property
    def send(self) -> bool:
        """Whether anything is to be sent."""
        return self.rule is None or self.rule.send


def choose(case: Case, bound: BoundScenario, algorithms: Algorithms) -> Choice:
    """The first rule that holds; its plan in place of the scenario's; the user's channel first; then what the plug-in says."""
    scenario = case.scenario
    hit = case.first(bound.rules) if scenario.rules else Hit(None, [])
    rule = None if hit.index is None else scenario.rules[hit.index]
    plan, lane = bound.steps, scenario.lane
    if rule:
        plan, lane = _replaced(bound.steps_by(rule), rule, case.book), rule.lane or lane
    preferred = case.user.channel if case.user and scenario.preference == "user" else None
    if preferred:
        plan = _preferring(plan, preferred)
    choice = Choice(plan, case.notification.lane or lane, hit, rule, preferred)
    return _by_algorithm(case, choice, algorithms) if scenario.choose and choice.send else choice


def _preferring(plan: Sequence[Step], channel: str) -> list[Step]:
    """Steps of the channel first; what begins together stays together."""
    together = sorted(groups(plan), key=lambda group: all(step.channel != channel for _, step in group))
    return [step for group in together for _, step in group]


def _replaced(plan: list[Step], rule: Rule, book: Book) -> list[Step]:
    """The plan with the rule's template and sender in the steps of their channels.

    A template without an approved version is put into every step: rather nothing than a text that the rule does not want.
    """
    if not (rule.template or rule.sender):
        return plan
    template = book.templates.get(rule.template) if rule.template else None
    sender = book.senders.get(rule.sender) if rule.sender else None
    replaced = []
    for step in plan:
        if rule.template and (template is None or template.channel == step.channel):
            step = structs.replace(step, template=rule.template)
        if rule.sender and (sender is None or sender.channel == step.channel):
            step = structs.replace(step, sender=rule.sender)
        replaced.append(step)
    return replaced


def _by_algorithm(case: Case, choice: Choice, algorithms: Algorithms) -> Choice:
    assert case.scenario.choose
    candidates = [
        Candidate(number, step.channel, step.template, step.sender, case.reachable(step))
        for number, step in enumerate(choice.plan, 1)
    ]  # fmt: skip
    numbers, report = algorithms.choose(case.scenario.choose, candidates, case.context())
    if numbers is None:
        return structs.replace(choice, report=report)
    others = [candidate for candidate in candidates if candidate.step not in numbers]
    # numbered behind those that are tried: a step's number is its place in what is done
    left_out = [
        Skip(number, candidate.channel, "not-chosen", f"algorithm {report.name} left it out")
        for number, candidate in enumerate(others, len(numbers) + 1)
    ]
    return structs.replace(choice, plan=[choice.plan[number - 1] for number in numbers], left_out=left_out, report=report)
