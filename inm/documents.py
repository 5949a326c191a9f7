"""Seed documents: those in the files of the configuration, with which an empty installation begins."""

from msgspec.structs import replace

from inm.core.books import is_template
from inm.core.catalogue import Catalogue, check
from inm.core.documents import Parsed, parse
from inm.core.faults import Fault, MisconfiguredError
from inm.core.reference import Held, tenant_of
from inm.settings import Settings, read_text

AUTHOR = "seed"


def read_seed(settings: Settings) -> list[Parsed]:
    """The documents of all ``*.yaml`` in the folder ``tenants`` of the settings. ``MisconfiguredError`` names every fault."""
    root = settings.config_dir / "tenants"
    found: dict[str, Parsed] = {}
    sentences: list[str] = []
    for file in sorted(root.glob("**/*.yaml")):
        documents, wrong = parse(read_text(file), str(file))
        sentences += [f"{one.place}: {one.fault}" for one in wrong]
        for parsed in documents:
            if parsed.path in found:
                sentences.append(f"{parsed.place}: {parsed.path} is at {found[parsed.path].place} already")
            found[parsed.path] = parsed
    if not found and not sentences:
        sentences = [f"{root}: no documents, found no file *.yaml"]
    if sentences:
        raise MisconfiguredError(sentences)
    return [*found.values()]


def load_catalogue(settings: Settings) -> Catalogue:
    """The catalogue of the seed documents, each template approved. ``MisconfiguredError`` names every fault."""
    routes = {route.name: route.channel for route in settings.routes.values()}
    seed = {_held_path(parsed): parsed for parsed in read_seed(settings)}
    held: dict[str, dict[str, Held]] = {}
    for path, parsed in seed.items():
        held.setdefault(tenant_of(path), {})[path] = Held(path, 1, parsed.document, AUTHOR, 0, "approved" if is_template(path) else None)
    found = {tenant: check(tenant, items, routes) for tenant, items in held.items()}
    sentences = [f"{_place(seed, path, fault)}: {fault}" for checked in found.values() for path, fault in checked.faults]
    strangers = sorted({key.tenant for key in settings.api_keys.values()} - held.keys())
    sentences += [f"API keys: no such tenant, found {name}, allowed: {', '.join(sorted(held))}" for name in strangers]
    if sentences:
        raise MisconfiguredError(sentences)
    books = {tenant: checked.book for tenant, checked in found.items() if checked.book}
    return Catalogue({tenant: replace(book, addresses=settings.addresses) for tenant, book in books.items()})


def _held_path(parsed: Parsed) -> str:
    return f"{parsed.path}/1" if parsed.document["kind"] == "template" else parsed.path


def _place(seed: dict[str, Parsed], path: str, fault: Fault) -> str:
    return seed[path].at(fault.pointer) if path in seed else path
