"""The tenants' documents: read from files, checked, and made into the catalogue."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from inm.core.faults import MisconfiguredError
from inm.core.scenarios import Catalogue, load
from inm.settings import Settings, read_text


def load_catalogue(settings: Settings) -> Catalogue:
    """The catalogue of ``tenants/<tenant>/**/*.yaml`` in the folder of the settings."""
    root = settings.config_dir / "tenants"
    texts = {(path.relative_to(root).parts[0], str(path)): read_text(path) for path in sorted(root.glob("*/**/*.yaml"))}
    if not texts:
        raise MisconfiguredError([f"{root}: no documents, found no file <tenant>/*.yaml"])
    catalogue = load(texts, {route.name: route.channel for route in settings.routes.values()})
    strangers = sorted({key.tenant for key in settings.api_keys.values()} - set(catalogue.tenants))
    sentences = [f"API keys: no such tenant, found {name}, allowed: {', '.join(catalogue.tenants)}" for name in strangers]
    for name in catalogue.tenants:
        book = catalogue.book(name)
        try:
            ZoneInfo(book.tenant.timezone if book else "UTC")
        except (OSError, ValueError, ZoneInfoNotFoundError) as error:
            sentences.append(f"{root / name}: /timezone: {error}, allowed: an IANA time zone as Europe/Rome")
    if sentences:
        raise MisconfiguredError(sentences)
    return catalogue
