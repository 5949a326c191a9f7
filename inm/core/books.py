"""Books: the documents of one tenant, bound to each other."""

from collections.abc import Mapping
from functools import cached_property
from typing import TypeVar

import msgspec
from msgspec import Struct

from inm.core.documents import Account, Document, Key, Sender, Tenant, decode
from inm.core.fields import Fields, FieldSet
from inm.core.languages import Fallback
from inm.core.reference import Held
from inm.core.rules import Rules
from inm.core.scenarios import Scenario
from inm.core.sources import Source
from inm.core.templates import Template, TemplateDocument

Kind = TypeVar("Kind")


class BoundScenario:
    """A scenario at a revision, with its rules, which are compiled when they are first asked for."""

    def __init__(self, document: Scenario, revision: int, request: FieldSet, user: FieldSet) -> None:
        self.document = document
        self.revision = revision
        self._request = request
        self._user = user

    @cached_property
    def rules(self) -> Rules:
        """Its rules over the tenant's fields."""
        return Rules(self.document.rules, self._request, self._user)


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
    same = before is not None and (before.request.fields, before.user.fields) == (request.fields, user.fields)
    if before is not None and same:
        request, user = before.request, before.user
    return Book(
        tenant=tenant,
        request=request,
        user=user,
        scenarios={
            document.name: _scenario(document, parts.held[path].revision, request, user, before if same else None)
            for path, document in parts.of(Scenario).items()
        },
        templates={document.name: _template(document, version_of(path), before) for path, document in parts.of(TemplateDocument).items()},
        senders={document.name: document for document in parts.of(Sender).values()},
        source=next(iter(parts.of(Source).values()), None),
        keys={document.name: document for document in parts.of(Key).values()},
        accounts={document.name: document for document in parts.of(Account).values()},
        fallback=Fallback(tenant.language, tenant.fallback, tenant.tones),
    )


def _scenario(document: Scenario, revision: int, request: FieldSet, user: FieldSet, before: Book | None) -> BoundScenario:
    known = before.scenarios.get(document.name) if before else None
    same = known is not None and (known.revision, known.document) == (revision, document)
    return known if known and same else BoundScenario(document, revision, request, user)


def _template(document: TemplateDocument, version: int, before: Book | None) -> Template:
    known = before.templates.get(document.name) if before else None
    return known if known and known.version == version and known.document == document else Template(document, version)
