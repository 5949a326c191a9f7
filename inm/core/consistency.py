"""Consistency: what is wrong between the documents of one tenant, and inside them beyond their shape."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import msgspec
from msgspec import Struct

from inm.core import callbacks, fields, networks, soundness, sources
from inm.core.books import Book, Parts, bound, is_template, version_of
from inm.core.callbacks import Callback
from inm.core.documents import Document, Sender, Tenant, shape
from inm.core.doubts import doubts
from inm.core.faults import Fault, child
from inm.core.fields import Fields
from inm.core.networks import Network
from inm.core.records import ChannelName
from inm.core.reference import Held
from inm.core.scenarios import Plan, Rule, Scenario, Step
from inm.core.sources import Source
from inm.core.templates import Template, TemplateDocument
from inm.core.windows import Holidays, Window
from inm.core.zones import is_zone

SEEN_BY_TEMPLATES = frozenset({"name"})
"""What templates see beside the declared fields: the user's name."""
_SENDER = {
    # Digits, or up to eleven characters (3GPP TS 23.040, 9.1.2.5, alphanumeric: ten octets of packed septets).
    "sms": (re.compile(r"\+?[0-9]{1,15}|[A-Za-z0-9][A-Za-z0-9 ._&-]{0,10}"), "a number, or up to eleven letters and digits"),
    "email": (
        re.compile(r"[^\x00-\x1f<>]*<[^@\s<>\x00-\x1f]+@[^@\s<>\x00-\x1f]+>|[^@\s<>\x00-\x1f]+@[^@\s<>\x00-\x1f]+"),
        "an address, with or without a name: Acme <billing@acme.example>",
    ),
    "rest": (re.compile(r"[^\x00-\x1f\x7f]{1,254}"), "a name, as the system that is called knows it"),
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
    return Checked(None if faults else book, faults, [] if faults else sorted(set(doubts(parts, book, looking.versions, looked_at))))


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
            yield from ((path, fault) for fault in self._document(path, document))
        for path, template in self.versions.items():
            yield from ((path, fault) for fault in self._template(template))

    def _document(self, path: str, document: Document) -> Iterable[Fault]:
        match document:
            case Tenant():
                return self._tenant(document)
            case Fields():
                return fields.check(document)
            case Sender():
                return _sender(document)
            case Source():
                return self._source(path, document)
            case Callback():
                return callbacks.faults(document, _networks(self.book.tenant), self.book.scenarios)
            case Plan():
                return self._plan(document.steps, "/steps", path)
            case Holidays():
                return soundness.of_holidays(document)
            case Window():
                return self._window(document)
            case Scenario():
                return self._scenario(path, document)
            case _:
                return ()

    def _tenant(self, tenant: Tenant) -> Iterator[Fault]:
        if not is_zone(tenant.timezone):
            yield Fault("/timezone", "no such time zone", repr(tenant.timezone[:60]), "an IANA time zone as Europe/Rome")
        try:
            networks.parse(tenant.networks)
        except ValueError as error:
            yield Fault("/networks", str(error))
        for channel in tenant.routes:
            for route in tenant.routes_of(channel):
                yield from self._route(channel, route, f"/routes/{channel}")
        if tenant.cap and tenant.cap.digest:
            yield from self._named(tenant.cap.digest, self.book.scenarios, "/cap/digest")
        for channel, window in tenant.windows.items():
            yield from self._named(window, self.book.windows.documents, f"/windows/{channel}")

    def _named(self, name: str, known: Collection[str], pointer: str) -> Iterator[Fault]:
        if name not in known:
            last = pointer.split("/")[-1]
            what = {"window": "window", "plan": "plan", "holidays": "holidays", "digest": "scenario"}.get(last, "window")
            yield Fault(pointer, f"no such {what}", repr(name), ", ".join(sorted(known)[:20]) or "none is there")

    def _window(self, window: Window) -> Iterator[Fault]:
        if window.holidays:
            yield from self._named(window.holidays, self.book.windows.holidays, "/holidays")
        if is_zone(self.book.tenant.timezone):
            yield from soundness.of_window(window, self.book)

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
        bound = self.book.scenarios[scenario.name]
        yield from self._plan(scenario.plan, "/plan", path)
        for index, rule in enumerate(scenario.rules):
            if rule.plan is not None:
                yield from self._plan(rule.plan, f"/rules/{index}/plan", path)
            yield from self._rule(rule, bound.steps_by(rule), f"/rules/{index}")
        if scenario.window:
            yield from self._named(scenario.window, self.book.windows.documents, "/window")
        if path in self.looked_at and is_zone(self.book.tenant.timezone):
            yield from soundness.of_windows(scenario, self.book)
        if self.book.request.declared:
            for index, name in enumerate(scenario.requires):
                if name not in self.book.request.fields:
                    yield Fault(f"/requires/{index}", "no such field", name, ", ".join(self.book.request.fields))
        if path in self.looked_at:
            yield from self.book.scenarios[scenario.name].rules.faults

    def _plan(self, plan: list[Step] | str, pointer: str, path: str) -> Iterator[Fault]:
        if isinstance(plan, str):
            yield from self._named(plan, self.book.plans, pointer)
            return
        for index, step in enumerate(plan):
            yield from self._step(step, f"{pointer}/{index}")
        if path in self.looked_at:
            yield from soundness.of_steps(plan, pointer, self.book)

    def _step(self, step: Step, pointer: str) -> Iterator[Fault]:
        yield from self._of_channels(step.template, self.channels, [step.channel], f"{pointer}/template")
        yield from self._of_channels(step.sender, self._senders, [step.channel], f"{pointer}/sender")
        if step.route:
            yield from self._route(step.channel, step.route, f"{pointer}/route")
        elif step.channel not in self.book.tenant.routes:
            yield Fault(f"{pointer}/route", f"is missing, and the tenant has no route for {step.channel}")

    def _rule(self, rule: Rule, plan: list[Step], pointer: str) -> Iterator[Fault]:
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


def _networks(tenant: Tenant) -> Sequence[Network]:
    try:
        return networks.parse(tenant.networks)
    except ValueError:
        return ()


def _channel(document: object) -> object:
    return document.get("channel") if isinstance(document, dict) else None


def _version(item: Held) -> object:
    try:
        return msgspec.convert(item.document, TemplateDocument)
    except (msgspec.ValidationError, UnicodeEncodeError):
        return None


def _few(known: Mapping[str, object], *channels: str) -> str:
    return ", ".join(sorted(name for name, channel in known.items() if channel in channels)[:20]) or "none is there"


def _sender(sender: Sender) -> Iterator[Fault]:
    pattern, allowed = _SENDER[sender.channel]
    if not pattern.fullmatch(sender.address):
        yield Fault("/address", f"is no sender of channel {sender.channel}", repr(sender.address[:60]), allowed)
