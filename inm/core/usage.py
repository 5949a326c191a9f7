"""Usage: which templates a scenario uses, and which scenarios a template is used by."""

from collections.abc import Mapping

from inm.core.books import Book, BoundScenario


def templates_of(scenario: BoundScenario) -> list[str]:
    """The templates that its steps name, by its own plan or by a rule, each once."""
    rules = scenario.document.rules
    steps = [*scenario.steps, *(step for rule in rules for step in scenario.steps_by(rule))]
    return [*dict.fromkeys([*(step.template for step in steps), *(rule.template for rule in rules if rule.template)])]


def scenarios_by_template(book: Book) -> Mapping[str, list[str]]:
    """By the template's name, the scenarios that use it, sorted."""
    found: dict[str, list[str]] = {}
    for name, scenario in sorted(book.scenarios.items()):
        for template in templates_of(scenario):
            found.setdefault(template, []).append(name)
    return found
