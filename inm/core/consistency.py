"""Consistency: what is wrong between the documents of one tenant, and inside them beyond their shape."""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Struct

from inm.core import fields, sources
from inm.core.books import Book, Parts, bound, is_template, version_of
from inm.core.documents import Sender, Tenant, shape
from inm.core.faults import Fault, child
from inm.core.fields import Fields
from inm.core.records import ChannelName
from inm.core.reference import Held
from inm.core.scenarios import Rule, Scenario, Step
from inm.core.sources import Source
from inm.core.templates import Template, TemplateDocument

SEEN_BY_TEMPLATES = frozenset({"name"})
"""What templates see beside the declared fields: the user's name."""
_SENDER = {
    # Digits, or up to eleven characters (3GPP TS 23.040, 9.1.2.5, alphanumeric: ten octets of packed septets).
    "sms": (re.compile(r"\+?[0-9]{1,15}|[A-Za-z0-9][A-Za-z0-9 ._&-]{0,10}"), "a number, or up to eleven letters and digits"),
    "email": (
        re.compile(r"[^\x00-\x1f<>]*<[^@\s<>\x00-\x1f]+@[^@\s<>\x00-\x1f]+>|[^@\s<>\x00-\x1f]+@[^@\s<>\x00-\x1f]+"),
        "an address, with or without a name: Acme <billing@acme.example>",
    ),
}


class Checked(Struct, frozen=True):
    """What a check found, by path. No book if there is a fault."""

    book: Book | None
    faults: list[tuple[str, Fault]]
    warnings: list[tuple[str, str]]


def check(tenant: str, held: Mapping[str, Held], routes: Mapping[str, str], changed: Collection[str] | None = None) -> Checked:
    """What is wrong with or between the documents of one tenant by path. ``routes`` says the channel of each configured route.

    Texts and rules that are not among the ``changed`` paths (None: all are) were checked when they were taken, and
    are looked at again only if the declared fields have changed.
    """
    parts = Parts(held)
    book = bound(parts)
    declared = {f"{tenant}/fields/request", f"{tenant}/fields/user"}
    looked_at = held.keys() if changed is None else {*changed, *(parts.documents if declared & {*changed} else ())} & held.keys()
    faults = [*_shapes(parts, looked_at)]
    if book is None:
        missing = (f"{tenant}/tenant", Fault("", "there is no such tenant", tenant))
        return Checked(None, faults or [missing], [])
    looking = _Check(parts, book, routes, looked_at)
    faults += looking.faults()
    return Checked(None if faults else book, faults, [] if faults else sorted(set(looking.warnings())))


def _shapes(parts: Parts, looked_at: Collection[str]) -> Iterator[tuple[str, Fault]]:
    for path, item in parts.held.items():
        if path not in parts.documents and path in looked_at:
            yield from ((path, fault) for fault in shape(item.document))


class _Check:
    """The documents of one tenant that are checked against each other."""

    def __init__(self, parts: Parts, book: Book, routes: Mapping[str, str], looked_at: Collection[str]) -> None:
        self.parts = parts
        self.book = book
        self.routes = routes
        self.looked_at = looked_at

    @cached_property
    def versions(self) -> dict[str, Template]:
        """By path, the versions of templates that are looked at."""
        found: dict[str, Template] = {}
        for path in filter(is_template, self.looked_at):
            document = self.parts.documents.get(path) or _version(self.parts.held[path])
            if isinstance(document, TemplateDocument):
                serving = self.book.templates.get(document.name)
                same = serving is not None and serving.document is document
                found[path] = serving if serving and same else Template(document, version_of(path))
        return found

    @cached_property
    def channels(self) -> dict[str, object]:
        """The channel of each template, in the version that serves or else in the newest."""
        paths = sorted(filter(is_template, self.parts.held), key=version_of)
        newest = {path.split("/")[2]: _channel(self.parts.held[path].document) for path in paths}
        return newest | {template.name: template.channel for template in self.book.templates.values()}

    def faults(self) -> Iterator[tuple[str, Fault]]:
        """By path."""
        for path, document in self.parts.documents.items():
            if isinstance(document, Tenant):
                found = self._tenant(document)
            elif isinstance(document, Fields):
                found = fields.check(document)
            elif isinstance(document, Sender):
                found = _sender(document)
            elif isinstance(document, Source):
                found = self._source(path, document)
            elif isinstance(document, Scenario):
                found = self._scenario(path, document)
            else:
                continue
            yield from ((path, fault) for fault in found)
        for path, template in self.versions.items():
            yield from ((path, fault) for fault in self._template(template))

    def warnings(self) -> Iterator[tuple[str, str]]:
        """By path: what can be, but will hardly do what is meant. Only where there are no faults."""
        yield from ((path, warning) for path, template in self.versions.items() for warning in _toneless(template))
        for path, scenario in self.parts.of(Scenario).items():
            names = _templates(scenario)
            if path in self.looked_at:
                unapproved = [name for name in names if name not in self.book.templates]
                yield from ((path, f"template {name} has no approved version yet: steps with it are skipped") for name in unapproved)
            served = [template for name in names if (template := self.book.templates.get(name)) and path in self.looked_at]
            yield from ((path, warning) for template in served for warning in self._unbound(scenario, template))
            for other, template in self.versions.items():
                if template.name in names:
                    yield from ((other, warning) for warning in self._unbound(scenario, template))

    def _unbound(self, scenario: Scenario, template: Template) -> Iterator[str]:
        """Fields that a template needs, though no request of the scenario is bound to bring them."""
        declared = [*self.book.request.fields.items(), *self.book.user.fields.items()]
        bound_to = {*scenario.requires, *(name for name, field in declared if field.required or field.default is not None)}
        missing = template.needed - bound_to if self.book.request.declared else frozenset()
        for name in sorted(missing and missing - self._ensured(scenario, template.name)):
            yield f"scenario {scenario.name}: template {template.name} needs {name}, which no request must bring: name it in requires"

    def _ensured(self, scenario: Scenario, template: str) -> frozenset[str]:
        """Fields that are there whenever the scenario uses a template, by the conditions of the rules that name it."""
        if any(step.template == template for step in scenario.plan):
            return frozenset()
        rules = self.book.scenarios[scenario.name].rules
        return frozenset.intersection(*(rules.ensured(index) for index, rule in enumerate(scenario.rules) if template in _named(rule)))

    def _tenant(self, tenant: Tenant) -> Iterator[Fault]:
        try:
            ZoneInfo(tenant.timezone)
        except (OSError, ValueError, ZoneInfoNotFoundError):
            yield Fault("/timezone", "no such time zone", repr(tenant.timezone[:60]), "an IANA time zone as Europe/Rome")
        for channel, route in tenant.routes.items():
            yield from self._route(channel, route, f"/routes/{channel}")

    def _route(self, channel: ChannelName, route: str, pointer: str) -> Iterator[Fault]:
        if self.routes.get(route) != channel:
            yield Fault(pointer, f"no route of channel {channel}", repr(route), _few(self.routes, channel))

    def _source(self, path: str, source: Source) -> Iterator[Fault]:
        first = next(iter(self.parts.of(Source)))
        if path != first:
            yield Fault("/name", "a tenant has one source", source.name, first.rpartition("/")[2])
        yield from sources.faults(source, self.book.user)

    def _template(self, template: Template) -> Iterator[Fault]:
        wrong = template.faults()
        yield from wrong
        if wrong or not self.book.request.declared:
            return
        allowed = {*self.book.request.fields, *self.book.user.fields, *SEEN_BY_TEMPLATES}
        for key in template.keys:
            for name in sorted(template.message(key).variables - allowed):
                yield Fault(child("/variants", key), "reads a field that is not declared", name, ", ".join(sorted(allowed)))

    def _scenario(self, path: str, scenario: Scenario) -> Iterator[Fault]:
        for index, step in enumerate(scenario.plan):
            yield from self._step(step, f"/plan/{index}")
        for index, rule in enumerate(scenario.rules):
            yield from self._rule(rule, rule.plan or scenario.plan, f"/rules/{index}")
        if self.book.request.declared:
            for index, name in enumerate(scenario.requires):
                if name not in self.book.request.fields:
                    yield Fault(f"/requires/{index}", "no such field", name, ", ".join(self.book.request.fields))
        if path in self.looked_at:
            yield from self.book.scenarios[scenario.name].rules.faults

    def _step(self, step: Step, pointer: str) -> Iterator[Fault]:
        yield from self._of_channels(step.template, self.channels, [step.channel], f"{pointer}/template")
        yield from self._of_channels(step.sender, self._senders, [step.channel], f"{pointer}/sender")
        if step.route:
            yield from self._route(step.channel, step.route, f"{pointer}/route")
        elif step.channel not in self.book.tenant.routes:
            yield Fault(f"{pointer}/route", f"is missing, and the tenant has no route for {step.channel}")

    def _rule(self, rule: Rule, plan: list[Step], pointer: str) -> Iterator[Fault]:
        for index, step in enumerate(rule.plan or ()):
            yield from self._step(step, f"{pointer}/plan/{index}")
        channels = [step.channel for step in plan]
        if rule.template:
            yield from self._of_channels(rule.template, self.channels, channels, f"{pointer}/template")
        if rule.sender:
            yield from self._of_channels(rule.sender, self._senders, channels, f"{pointer}/sender")

    @cached_property
    def _senders(self) -> dict[str, object]:
        return {sender.name: sender.channel for sender in self.book.senders.values()}

    def _of_channels(self, name: str, known: Mapping[str, object], channels: Collection[ChannelName], pointer: str) -> Iterator[Fault]:
        if known.get(name) not in channels:
            what, words = pointer.rpartition("/")[2], " or ".join(sorted(set(channels)))
            yield Fault(pointer, f"no {what} of channel {words}", repr(name), _few(known, *channels))


def _channel(document: object) -> object:
    return document.get("channel") if isinstance(document, dict) else None


def _version(item: Held) -> object:
    try:
        return msgspec.convert(item.document, TemplateDocument)
    except (msgspec.ValidationError, UnicodeEncodeError):
        return None


def _few(known: Mapping[str, object], *channels: str) -> str:
    return ", ".join(sorted(name for name, channel in known.items() if channel in channels)[:20]) or "none is there"


def _templates(scenario: Scenario) -> set[str]:
    """Those that it may use."""
    return {step.template for step in scenario.plan}.union(*map(_named, scenario.rules))


def _named(rule: Rule) -> set[str]:
    """Those that a rule names."""
    return {step.template for step in rule.plan or ()} | ({rule.template} if rule.template else set())


def _toneless(template: Template) -> Iterator[str]:
    """Languages that are there in tones of voice only."""
    for language in sorted({key.partition("/")[0] for key in template.keys} - {*template.keys}):
        yield f"variant {language} is missing: who wants no tone of voice that is there gets another language"


def _sender(sender: Sender) -> Iterator[Fault]:
    pattern, allowed = _SENDER[sender.channel]
    if not pattern.fullmatch(sender.address):
        yield Fault("/address", f"is no sender of channel {sender.channel}", repr(sender.address[:60]), allowed)
