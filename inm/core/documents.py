"""Documents: what reference data consist of, each a mapping with ``kind``; their paths; and YAML made into them."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal, NamedTuple, cast, get_args

import msgspec
from msgspec import Meta, Struct

from inm.core import yamltext
from inm.core.callbacks import Callback
from inm.core.capping import Cap
from inm.core.faults import Fault, find
from inm.core.fields import Fields
from inm.core.records import ChannelName, Language, Name, Tone
from inm.core.reference import Wrong
from inm.core.roles import Role
from inm.core.scenarios import Plan, Scenario
from inm.core.sources import Source
from inm.core.templates import TemplateDocument
from inm.core.windows import Holidays, Window

# No pattern: msgspec 0.22 crashes on a list or a text with one. A name that is not there is refused anyway.
_Route = Annotated[str, Meta(min_length=1, max_length=100)]


class Tenant(Struct, frozen=True, forbid_unknown_fields=True, tag="tenant", tag_field="kind", omit_defaults=True):
    """A brand. ``routes`` names the route, or routes, of each channel that steps use unless they name one."""

    name: Name
    title: str
    language: Language
    timezone: str
    """IANA name."""
    routes: dict[ChannelName, _Route | Annotated[list[_Route], Meta(min_length=1, max_length=20)]]
    windows: dict[ChannelName, Name] = {}
    """Documents of kind window: over that channel nothing is sent outside of it."""
    networks: list[str] = []
    """Private networks that its callbacks may lead to: ``10.20.0.0/16``."""
    cap: Cap | None = None
    """How many messages a recipient gets at most in a time."""
    fallback: dict[Language, list[Language]] = {}
    """What to try after a language; by its own parts (``it-CH``, ``it``) if absent. The tenant's language and English come last always."""
    tones: dict[Tone, list[Tone]] = {}
    """What to try after a tone of voice; a variant without tone comes last always."""
    moderation: bool = True
    """Whether a template's version needs another person than its author to approve it."""

    def routes_of(self, channel: str) -> list[str]:
        """The routes of a channel that steps may use: none if there is no word of it."""
        found = self.routes.get(cast(ChannelName, channel), [])
        return [found] if isinstance(found, str) else found


class Sender(Struct, frozen=True, forbid_unknown_fields=True, tag="sender", tag_field="kind", omit_defaults=True):
    """What recipients see as the sender. SMS: a number or up to eleven characters; e-mail: an address, with or without a name."""

    tenant: Name
    name: Name
    channel: ChannelName
    address: Annotated[str, Meta(min_length=1, max_length=254)]


class Key(Struct, frozen=True, forbid_unknown_fields=True, tag="key", tag_field="kind", omit_defaults=True):
    """An API key, by the SHA-256 of the whole key. ``expires`` in ms since 1970. A test key sends to magic recipients only."""

    tenant: Name
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{1,32}$(?!\n)")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
    expires: int | None = None
    test: bool = False


class Account(Struct, frozen=True, forbid_unknown_fields=True, tag="account", tag_field="kind", omit_defaults=True):
    """A person who works with the tenant's documents. ``password`` is an argon2id hash, and never exported.

    ``identity`` is how the OpenID provider names her; ``language`` is that of the pages, by what the browser asks for if absent.
    """

    tenant: Name
    name: Name
    roles: Annotated[list[Role], Meta(min_length=1)]
    title: Annotated[str, Meta(max_length=100)] = ""
    password: str | None = None
    identity: Annotated[str, Meta(min_length=1, max_length=254)] | None = None
    language: Literal["en", "it", "ru"] | None = None
    disabled: bool = False


Document = Tenant | Fields | Sender | TemplateDocument | Plan | Window | Holidays | Scenario | Source | Callback | Key | Account
KINDS: Mapping[str, type[Document]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Document)}


class Parsed(NamedTuple):
    """A document as it was written. ``lines`` has the line of each JSON pointer."""

    path: str
    document: dict[str, Any]
    place: str
    """``file:line``."""
    lines: dict[str, int]

    def at(self, pointer: str) -> str:
        """``file:line`` of a pointer, or of the nearest thing around it."""
        return _at(self.place, self.lines, pointer)


def parse(text: str, file: str) -> tuple[list[Parsed], list[Wrong]]:
    """The documents of a YAML text, and what is wrong with it or with their shape."""
    found: list[Parsed] = []
    wrong: list[Wrong] = []
    try:
        values = [*yamltext.read(text)]
    except yamltext.YamlError as error:
        return [], [Wrong("", Fault("", error.message), f"{file}:{error.line}")]
    for value, line, lines in values:
        place = f"{file}:{line}"
        faults = shape(value)
        wrong += [Wrong(_guess(value), fault, _at(place, lines, fault.pointer)) for fault in faults]
        if not faults:
            found.append(Parsed(path_of(value), value, place, lines))
    return found, wrong


def decode(value: Any) -> Document:
    """A document of plain data. ``msgspec.ValidationError`` if it is none, ``UnicodeEncodeError`` if it has what is no text."""
    kind = value.get("kind") if isinstance(value, dict) else None
    # Of one kind: msgspec works a union out anew each time, which takes twenty times as long.
    document: Document = msgspec.convert(value, KINDS.get(kind, Document) if isinstance(kind, str) else Document)
    return document


def shape(value: Any) -> list[Fault]:
    """What is wrong with a document by itself, without looking into its texts and conditions."""
    try:
        decode(value)
    except UnicodeEncodeError:
        return [Fault("", "has characters that are no text")]
    except msgspec.ValidationError as error:
        with suppress(UnicodeEncodeError):
            return find(value, Document) or [Fault("", str(error))]
        return [Fault("", str(error))]
    return []


def path_of(document: Mapping[str, Any]) -> str:
    """``acme/tenant``, ``acme/scenario/otp``; a template without its version."""
    kind, name = document["kind"], document["name"]
    return f"{name}/tenant" if kind == "tenant" else f"{document['tenant']}/{kind}/{name}"


def _guess(value: Any) -> str:
    """The path of a document with faults, as far as it goes."""
    try:
        return path_of(value)[:300]
    except (TypeError, KeyError):
        return ""


def _at(place: str, lines: Mapping[str, int], pointer: str) -> str:
    while pointer and pointer not in lines:
        pointer = pointer.rpartition("/")[0]
    return f"{place.rpartition(':')[0]}:{lines[pointer]}" if pointer else place
