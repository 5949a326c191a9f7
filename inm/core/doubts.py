"""Doubts: documents that can be, but will hardly do what is meant."""

from collections.abc import Collection, Iterator, Mapping

from inm.core import soundness
from inm.core.books import Book, BoundScenario, Parts
from inm.core.scenarios import Rule, Scenario
from inm.core.templates import Template


def doubts(parts: Parts, book: Book, versions: Mapping[str, Template], looked_at: Collection[str]) -> Iterator[tuple[str, str]]:
    """By path, of documents without faults; ``versions`` are the templates that are ``looked_at``."""
    yield from ((path, warning) for path, template in versions.items() for warning in _toneless(template))
    for path, scenario in parts.of(Scenario).items():
        bound = book.scenarios[scenario.name]
        names = _templates(bound)
        if path in looked_at:
            yield from ((path, warning) for warning in _never_begun(bound))
            unapproved = [name for name in names if name not in book.templates]
            yield from ((path, f"template {name} has no approved version yet: steps with it are skipped") for name in unapproved)
        served = [template for name in names if (template := book.templates.get(name)) and path in looked_at]
        yield from ((path, warning) for template in served for warning in _unbound(book, bound, template))
        for other, template in versions.items():
            if template.name in names:
                yield from ((other, warning) for warning in _unbound(book, bound, template))


def _unbound(book: Book, bound: BoundScenario, template: Template) -> Iterator[str]:
    """Fields that a template needs, though no request of the scenario is bound to bring them."""
    scenario = bound.document
    declared = [*book.request.fields.items(), *book.user.fields.items()]
    bound_to = {*scenario.requires, *(name for name, field in declared if field.required or field.default is not None)}
    missing = template.needed - bound_to if book.request.declared else frozenset()
    for name in sorted(missing and missing - _ensured(bound, template.name)):
        yield f"scenario {scenario.name}: template {template.name} needs {name}, which no request must bring: name it in requires"


def _ensured(bound: BoundScenario, template: str) -> frozenset[str]:
    """Fields that are there whenever the scenario uses a template, by the conditions of the rules that name it."""
    if any(step.template == template for step in bound.steps):
        return frozenset()
    naming = (index for index, rule in enumerate(bound.document.rules) if template in _named(bound, rule))
    return frozenset.intersection(*map(bound.rules.ensured, naming))


def _templates(bound: BoundScenario) -> set[str]:
    """Those that it may use."""
    return {step.template for step in bound.steps}.union(*(_named(bound, rule) for rule in bound.document.rules))


def _named(bound: BoundScenario, rule: Rule) -> set[str]:
    """Those that a rule names."""
    own = {step.template for step in bound.steps_by(rule)} if rule.plan is not None else set()
    return own | ({rule.template} if rule.template else set())


def _never_begun(bound: BoundScenario) -> Iterator[str]:
    """Plans that are longer than the validity."""
    validity = bound.document.validity
    for steps in (bound.steps, *(bound.steps_by(rule) for rule in bound.document.rules if rule.plan is not None)):
        number = soundness.beyond(steps, validity)
        if number:
            yield f"step {number} begins only when the validity of {validity} s has ended, if the steps before it take their time"


def _toneless(template: Template) -> Iterator[str]:
    """Languages that are there in tones of voice only."""
    for language in sorted({key.partition("/")[0] for key in template.keys} - {*template.keys}):
        yield f"variant {language} is missing: who wants no tone of voice that is there gets another language"
