"""Tenants, scenarios and templates: their documents, and the catalogue of all of them.

A document is a YAML mapping with ``kind``: ``tenant``, ``scenario`` or ``template``; its tenant is the
folder that it lies in. Everything is checked when it is loaded, nothing when it is used.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from inm.core import languages
from inm.core.faults import Fault, MisconfiguredError, find
from inm.core.records import Lane, Language, Name
from inm.core.rendering import Compiled

ChannelName = Literal["sms", "email"]
Until = Literal["submitted", "delivered"]
OnUnknown = Literal["resend", "wait-for-receipt"]
Seconds = Annotated[int, Meta(ge=1, le=7 * 24 * 3600)]

_SENDER = {
    # Digits, or up to eleven characters (3GPP TS 23.040, 9.1.2.5, alphanumeric: ten octets of packed septets).
    "sms": re.compile(r"\+?[0-9]{1,15}|[A-Za-z0-9][A-Za-z0-9 ._&-]{0,10}"),
    "email": re.compile(r"[^\x00-\x1f<>]*<[^@\s<>\x00-\x1f]+@[^@\s<>\x00-\x1f]+>|[^@\s<>\x00-\x1f]+@[^@\s<>\x00-\x1f]+"),
}


class Tenant(Struct, frozen=True, forbid_unknown_fields=True, tag="tenant", tag_field="kind"):
    """A brand. ``routes`` names the route of each channel that steps use unless they name one."""

    name: Name
    title: str
    language: Language
    timezone: str
    """IANA name."""
    routes: dict[ChannelName, Name]


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to reach the recipient. ``after`` seconds without ``until`` the next step begins, or the end is ``unknown``."""

    channel: ChannelName
    template: Name
    sender: Annotated[str, Meta(min_length=1, max_length=254)]
    """SMS: a number or up to eleven characters; e-mail: an address, with or without a name before it in ``<>``."""
    after: Seconds
    until: Until = "delivered"
    route: Name | None = None

    def __post_init__(self) -> None:
        if not _SENDER[self.channel].fullmatch(self.sender):
            raise ValueError(f"{self.sender!r} is no sender of channel {self.channel}")


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, tag="scenario", tag_field="kind"):
    """A business reason to notify, and the plan of how. ``validity`` is in seconds from the request or its ``at``."""

    name: Name
    plan: Annotated[list[Step], Meta(min_length=1, max_length=10)]
    validity: Seconds
    title: str = ""
    lane: Lane = "normal"
    on_unknown: OnUnknown = "wait-for-receipt"
    """Whether an SMS whose fate is unknown is sent again, at the risk of two, or not, at the risk of none."""
    max_parts: Annotated[int, Meta(ge=1, le=20)] = 3
    critical: bool = False
    """A recipient cannot opt out of it."""


class Variant(Struct, frozen=True, forbid_unknown_fields=True):
    """The sources of one language: SMS has ``text``, e-mail also ``subject`` and perhaps ``html``."""

    text: Annotated[str, Meta(min_length=1)]
    subject: Annotated[str, Meta(min_length=1)] | None = None
    html: str | None = None


class TemplateDocument(Struct, frozen=True, forbid_unknown_fields=True, tag="template", tag_field="kind"):
    """One version of a template, in several languages."""

    name: Name
    version: Annotated[int, Meta(ge=1)]
    channel: ChannelName
    variants: Annotated[dict[Language, Variant], Meta(min_length=1)]
    flash: bool = False
    """SMS that is shown at once and not kept."""


Document = Tenant | Scenario | TemplateDocument


class Message(Struct, frozen=True):
    """A variant, compiled."""

    text: Compiled
    subject: Compiled | None = None
    html: Compiled | None = None

    @property
    def variables(self) -> frozenset[str]:
        """The fields that it reads."""
        return frozenset().union(*(part.variables for part in (self.text, self.subject, self.html) if part))


class Template(Struct, frozen=True):
    """A template ready for use: compiled messages by language, in the languages' usual case."""

    name: str
    version: int
    channel: str
    flash: bool
    messages: dict[str, Message]


class Book(Struct, frozen=True):
    """All of one tenant; of each template the highest version."""

    tenant: Tenant
    scenarios: dict[str, Scenario]
    templates: dict[str, Template]


class Catalogue:
    """All tenants' documents; never changes."""

    def __init__(self, books: Mapping[str, Book]) -> None:
        self._books = dict(books)
        self._names = {tenant: sorted(book.scenarios) for tenant, book in books.items()}

    @property
    def tenants(self) -> list[str]:
        """Their names, sorted."""
        return sorted(self._books)

    def book(self, tenant: str) -> Book | None:
        """A tenant's documents."""
        return self._books.get(tenant)

    def scenario(self, tenant: str, name: str) -> Scenario | None:
        """A tenant's scenario; None also for an unknown tenant."""
        book = self._books.get(tenant)
        return book.scenarios.get(name) if book else None

    def scenario_names(self, tenant: str) -> list[str] | None:
        """Sorted; None if there is no such tenant."""
        return self._names.get(tenant)


def load(documents: Mapping[tuple[str, str], str], routes: Mapping[str, str]) -> Catalogue:
    """The catalogue of YAML texts by (tenant, path). ``routes`` says the channel of each configured route.

    ``MisconfiguredError`` with a sentence for every fault of every document.
    """
    sentences: list[str] = []
    parsed: dict[str, list[tuple[str, Document]]] = {}
    for (tenant, path), text in documents.items():
        document, faults = _parse(text)
        sentences += [f"{path}: {fault}" for fault in faults]
        if document:
            parsed.setdefault(tenant, []).append((path, document))
    books: dict[str, Book] = {}
    for tenant, found in ({} if sentences else parsed).items():
        book, faulty = _bind(tenant, found, routes)
        sentences += faulty
        if book:
            books[tenant] = book
    if sentences:
        raise MisconfiguredError(sentences)
    return Catalogue(books)


def _parse(text: str) -> tuple[Document | None, list[Fault]]:
    try:
        value = msgspec.yaml.decode(text)
    except msgspec.DecodeError as error:
        return None, [Fault("", f"no YAML: {' '.join(str(error).split())}")]
    try:
        return msgspec.convert(value, Document), []
    except msgspec.ValidationError as error:
        return None, find(value, Document) or [Fault("", str(error))]


def _bind(tenant: str, found: list[tuple[str, Document]], routes: Mapping[str, str]) -> tuple[Book | None, list[str]]:
    """The book of one tenant, and what is wrong between its documents."""
    own = [(path, document) for path, document in found if isinstance(document, Tenant)]
    if [document.name for _, document in own] != [tenant]:
        names = ", ".join(document.name for _, document in own) or "none"
        return None, [f"{found[0][0]}: a tenant's folder has one document of kind tenant with its name, found {names}, allowed: {tenant}"]
    sentences = [*_repeated(found)]
    templates: dict[str, Template] = {}
    for path, document in found:
        if isinstance(document, TemplateDocument):
            template, faults = _compile(document)
            sentences += [f"{path}: {fault}" for fault in faults]
            if document.name not in templates or templates[document.name].version < document.version:
                templates[document.name] = template
    scenarios = {document.name: document for _, document in found if isinstance(document, Scenario)}
    for path, document in found:
        if isinstance(document, Scenario):
            sentences += [f"{path}: {fault}" for fault in _plan_faults(document, own[0][1], templates, routes)]
    sentences += [f"{own[0][0]}: {fault}" for fault in _route_faults(own[0][1].routes, routes)]
    return Book(own[0][1], scenarios, templates), sentences


def _repeated(found: list[tuple[str, Document]]) -> Iterator[str]:
    seen: dict[object, str] = {}
    for path, document in found:
        identity = (type(document), document.name, document.version if isinstance(document, TemplateDocument) else 0)
        if identity in seen:
            yield f"{path}: /name: found {document.name!r}, which {seen[identity]} has already"
        seen[identity] = path


def _compile(document: TemplateDocument) -> tuple[Template, list[Fault]]:
    messages: dict[str, Message] = {}
    faults: list[Fault] = []
    for tag, variant in document.variants.items():
        language = languages.normal(tag)
        sources = {"text": variant.text, "subject": variant.subject, "html": variant.html}
        compiled: dict[str, Compiled] = {}
        for part, source in sources.items():
            pointer = f"/variants/{tag}/{part}"
            if document.channel == "sms" and part != "text" and source is not None:
                faults.append(Fault(pointer, "an SMS has no such part", allowed="text"))
            elif document.channel == "email" and part == "subject" and source is None:
                faults.append(Fault(pointer, "is missing", allowed="an e-mail's subject"))
            elif source is not None:
                try:
                    compiled[part] = Compiled(source, language, html=part == "html")
                except ValueError as error:
                    faults.append(Fault(pointer, str(error)))
        if "text" in compiled:
            messages[language] = Message(**compiled)
    return Template(document.name, document.version, document.channel, document.flash, messages), faults


def _plan_faults(scenario: Scenario, tenant: Tenant, templates: Mapping[str, Template], routes: Mapping[str, str]) -> Iterator[Fault]:
    for index, step in enumerate(scenario.plan):
        template = templates.get(step.template)
        fitting = sorted(name for name, other in templates.items() if other.channel == step.channel)
        if template is None or template.channel != step.channel:
            allowed = ", ".join(fitting) or "none is there"
            yield Fault(f"/plan/{index}/template", f"no template of channel {step.channel}", repr(step.template), allowed)
        if step.route:
            yield from _route_faults({step.channel: step.route}, routes, f"/plan/{index}/route")
        elif step.channel not in tenant.routes:
            yield Fault(f"/plan/{index}/route", f"is missing, and the tenant has no route for {step.channel}")


def _route_faults(used: Mapping[ChannelName, str], routes: Mapping[str, str], pointer: str = "") -> Iterable[Fault]:
    for channel, route in used.items():
        if routes.get(route) != channel:
            fitting = ", ".join(sorted(name for name, other in routes.items() if other == channel)) or "none is configured"
            yield Fault(pointer or f"/routes/{channel}", f"no route of channel {channel}", repr(route), fitting)
