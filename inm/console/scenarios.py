"""Scenarios: which there are; and each in plain words, with the templates that it uses."""

from typing import Any

import msgspec
from aiohttp import web
from babel.units import format_unit
from msgspec.structs import asdict

from inm.console.conditions import words
from inm.console.route import Route, get
from inm.console.templates import serving
from inm.console.visit import Visit
from inm.core.books import BoundScenario
from inm.core.reference import versions
from inm.core.scenarios import Rule, Step
from inm.core.usage import templates_of
from inm.web.problems import Problem

PAGE = 50
"""Scenarios on a page of the list."""
_UNITS = ((86_400, "duration-day"), (3_600, "duration-hour"), (60, "duration-minute"), (1, "duration-second"))


class Scenarios:
    """The handlers."""

    def routes(self) -> list[Route]:
        return [get("/scenarios", "see", self.index), get("/scenarios/{name}", "see", self.show)]

    async def index(self, visit: Visit) -> web.StreamResponse:
        """The list by name, a page at a time."""
        wanted = visit.query("q", 100)
        text = wanted.casefold()
        bound = [
            each for name, each in sorted(visit.book.scenarios.items()) if text in name.casefold() or text in each.document.title.casefold()
        ]
        given = visit.query("page", 6)
        last = max(1, -(-len(bound) // PAGE))
        page = min(max(int(given), 1), last) if given.isascii() and given.isdecimal() else 1
        lines = [
            {"name": each.document.name, "title": each.document.title, "lane": each.document.lane, "templates": templates_of(each)}
            for each in bound[(page - 1) * PAGE : page * PAGE]
        ]
        data = {"scenarios": lines, "total": len(bound), "page": page, "pages": last, "filter": {"q": wanted}}
        return visit.page("scenarios.html", data)

    async def show(self, visit: Visit) -> web.StreamResponse:
        """One of them."""
        scenario = visit.book.scenarios.get(visit.request.match_info["name"])
        if scenario is None:
            raise Problem("not-found")
        document = scenario.document
        row = visit.app.library.held(visit.tenant)[f"{visit.tenant}/scenario/{document.name}"]
        data = {
            "name": document.name,
            "document": msgspec.to_builtins(document),
            "revision": row.revision,
            "author": row.author,
            "at": row.at,
            "plan": [_step(visit, number, step) for number, step in enumerate(scenario.steps, 1)],
            "rules": [_rule(visit, scenario, rule) for rule in document.rules],
            "templates": [_used(visit, name) for name in templates_of(scenario)],
            "validity": lasting(visit, document.validity),
        }
        return visit.page("scenario.html", data)


def lasting(visit: Visit, seconds: int) -> str:
    """A span of time, exactly, in the largest unit that goes into it."""
    size, unit = next(pair for pair in _UNITS if seconds % pair[0] == 0)
    return format_unit(seconds // size, unit, locale=visit.language)


def _step(visit: Visit, number: int, step: Step) -> dict[str, Any]:
    told = {name: value for name, value in asdict(step).items() if name in ("channel", "template", "sender", "until", "parallel", "route")}
    condition = {"unless": step.unless, "unless_words": words(visit, step.unless) if step.unless else None}
    return {"number": number, "after": lasting(visit, step.after)} | told | condition


def _rule(visit: Visit, scenario: BoundScenario, rule: Rule) -> dict[str, Any]:
    steps = [_step(visit, number, step) for number, step in enumerate(scenario.steps_by(rule), 1)] if rule.plan is not None else None
    return {
        "name": rule.name,
        "when": rule.when,
        "words": words(visit, rule.when) if rule.when else None,
        "send": rule.send,
        "template": rule.template,
        "sender": rule.sender,
        "lane": rule.lane,
        "plan": steps,
    }


def _used(visit: Visit, name: str) -> dict[str, Any]:
    rows = versions(visit.app.library.held(visit.tenant), f"{visit.tenant}/template/{name}")
    return {"name": name, "state": rows[-1].state if rows else None, "serving": serving(rows)}
