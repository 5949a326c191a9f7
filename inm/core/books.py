"""Books: the documents of one tenant, bound to each other."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TypeVar

import msgspec
from msgspec import Struct

from inm.core.callbacks import BoundCallback, Callback
from inm.core.documents import Account, Document, Key, Sender, Tenant, decode
from inm.core.fields import Fields, FieldSet
from inm.core.languages import Fallback
from inm.core.reference import Held
from inm.core.rules import Rules
from inm.core.scenarios import LAST, Plan, Rule, Scenario, Step, steps_of
from inm.core.sources import Source
from inm.core.templates import Template, TemplateDocument
from inm.core.windows import Holidays, Window, Windows

Kind = TypeVar("Kind")


class BoundScenario:
    """A scenario at a revision, with the plans that it names and its conditions, which are compiled when they are first asked for."""

    def __init__(self, document: Scenario, revision: int, plans: Mapping[str, Plan], request: FieldSet, user: FieldSet) -> None:
        self.document = document
        self.revision = revision
        self.plans = {name: plans[name] for name in named(document) if name in plans}
        self._request = request
        self._user = user
        self._conditions: dict[str, Rules] = {}

    @cached_property
    def rules(self) -> Rules:
        """Its rules over the tenant's fields."""
        return Rules(self.document.rules, self._request, self._user)

    @property
    def steps(self) -> list[Step]:
        """Those of its own plan."""
        return steps_of(self.document.plan, self.plans)

    def steps_by(self, rule: Rule) -> list[Step]:
        """Those of the plan by a rule of it."""
        return self.steps if rule.plan is None else steps_of(rule.plan, self.plans)

    def condition(self, unless: str) -> Rules:
        """The condition of a step, as the only rule."""
        if unless not in self._conditions:
            self._conditions[unless] = Rules([Rule(when=unless)], self._request, self._user, LAST)
        return self._conditions[unless]


def named(scenario: Scenario) -> Iterator[str]:
    """The plans that a scenario names."""
    yield from (plan for plan in (scenario.plan, *(rule.plan for rule in scenario.rules)) if isinstance(plan, str))


class Book(Struct, frozen=True):
    """All of one tenant that serves; of each template the newest approved version. Never changes."""

    tenant: Tenant
    request: FieldSet
    user: FieldSet
    scenarios: dict[str, BoundScenario]
    templates: dict[str, Template]
    senders: dict[str, Sender]
    source: Source | None
    keys: dict[str, Key]
    accounts: dict[str, Account]
    fallback: Fallback
    plans: dict[str, Plan] = {}
    windows: Windows = Windows()
    callbacks: dict[str, BoundCallback] = {}
    addresses: Mapping[str, str] = {}
    """Which address routes want, by their names, where the channel does not say it: ``phone``, ``email`` or ``user``."""


class Parts:
    """The documents of one tenant by path, decoded; what cannot be is left out."""

    def __init__(self, held: Mapping[str, Held]) -> None:
        self.held = held
        self.documents: dict[str, Document] = {}
        for path in _serving(held):
            try:
                self.documents[path] = decode(held[path].document)
            except (msgspec.ValidationError, UnicodeEncodeError):
                continue

    def of(self, kind: type[Kind]) -> dict[str, Kind]:
        """Those of a kind by path."""
        return {path: document for path, document in self.documents.items() if isinstance(document, kind)}


def _serving(held: Mapping[str, Held]) -> list[str]:
    """All paths, but of each template the newest approved version only."""
    newest: dict[str, str] = {}
    paths: list[str] = []
    for path, item in held.items():
        if not is_template(path):
            paths.append(path)
        elif item.state == "approved":
            name = path.rpartition("/")[0]
            if name not in newest or version_of(newest[name]) < version_of(path):
                newest[name] = path
    return [*paths, *newest.values()]


def is_template(path: str) -> bool:
    """Whether a path is that of a template's version: ``acme/template/otp-sms/4``."""
    return path.count("/") == 3 and "/template/" in path


def version_of(path: str) -> int:
    """The version in such a path; 0 if it is none."""
    last = path.rpartition("/")[2]
    return int(last) if last.isascii() and last.isdecimal() else 0


def bind(held: Mapping[str, Held], before: Book | None = None) -> Book | None:
    """The book of one tenant's documents by path, for workers: what cannot serve is left out. None without a tenant document.

    What is the same in ``before`` is taken from there, compiled as it is.
    """
    return bound(Parts(held), before)


def bound(parts: Parts, before: Book | None = None) -> Book | None:
    """As :func:`bind`, of decoded documents."""
    tenant = next(iter(parts.of(Tenant).values()), None)
    if tenant is None:
        return None
    fields = {document.name: document for document in parts.of(Fields).values()}
    request, user = FieldSet(fields.get("request")), FieldSet(fields.get("user"))
    plans = {document.name: document for document in parts.of(Plan).values()}
    same = before is not None and (before.request.fields, before.user.fields) == (request.fields, user.fields)
    if before is not None and same:
        request, user = before.request, before.user
    return Book(
        tenant=tenant,
        request=request,
        user=user,
        scenarios={
            document.name: _scenario(document, parts.held[path].revision, plans, request, user, before if same else None)
            for path, document in parts.of(Scenario).items()
        },
        templates={document.name: _template(document, version_of(path), before) for path, document in parts.of(TemplateDocument).items()},
        senders={document.name: document for document in parts.of(Sender).values()},
        source=next(iter(parts.of(Source).values()), None),
        keys={document.name: document for document in parts.of(Key).values()},
        accounts={document.name: document for document in parts.of(Account).values()},
        fallback=Fallback(tenant.language, tenant.fallback, tenant.tones),
        plans=plans,
        windows=Windows(parts.of(Window).values(), parts.of(Holidays).values()),
        callbacks={document.name: BoundCallback(document, parts.held[path].at) for path, document in parts.of(Callback).items()},
        addresses=before.addresses if before else {},
    )


def _scenario(
    document: Scenario, revision: int, plans: Mapping[str, Plan], request: FieldSet, user: FieldSet, before: Book | None
) -> BoundScenario:
    known = before.scenarios.get(document.name) if before else None
    fresh = BoundScenario(document, revision, plans, request, user)
    return known if known and (known.revision, known.document, known.plans) == (revision, document, fresh.plans) else fresh


def _template(document: TemplateDocument, version: int, before: Book | None) -> Template:
    known = before.templates.get(document.name) if before else None
    return known if known and known.version == version and known.document == document else Template(document, version)
