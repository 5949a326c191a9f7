"""The sources of all tenants, as the catalogue has them now."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from inm.core.catalogue import Book
from inm.core.fields import FieldSet
from inm.core.sources import Reader, Source
from inm.sources.base import Client, SourceError
from inm.sources.http import HttpClient
from inm.sources.loader import Loader


@dataclass(frozen=True, slots=True)
class Connected:
    """A source, ready to be asked, and the reader of its answers."""

    loader: Loader
    reader: Reader
    fields: FieldSet


class Sources:
    """One loader a tenant. Lives on one event loop."""

    def __init__(self, environ: Mapping[str, str], now: Callable[[], int]) -> None:
        """``environ`` holds URLs and tokens; ``now`` gives ms since 1970."""
        self._environ = environ
        self._now = now
        self._connected: dict[str, Connected] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, book: Book) -> Connected | None:
        """The source of a tenant; None if it has none. One whose document has changed is connected anew."""
        tenant, source = book.tenant.name, book.source
        held = self._connected.get(tenant)
        if held and held.fields is book.user and held.loader.source == source:
            return held
        loader = held.loader if held and held.loader.source == source else None
        if held and loader is None:
            self._part(self._connected.pop(tenant).loader)
        if source is None:
            return None
        loader = loader or Loader(source, lambda: connect(source, self._environ), self._now)
        self._connected[tenant] = connected = Connected(loader, Reader(source, book.user), book.user)
        return connected

    def _part(self, loader: Loader) -> None:
        closing = asyncio.create_task(loader.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Let go of all of them."""
        for held in self._connected.values():
            self._part(held.loader)
        self._connected.clear()
        await asyncio.gather(*self._closing)


def connect(source: Source, environ: Mapping[str, str]) -> Client:
    """The client of a source. :class:`SourceError` if the environment has not what it needs."""
    missing = [name for name in (source.url_env, source.token_env) if name and not environ.get(name)]
    if missing:
        raise SourceError("misconfigured", f"the environment variable {missing[0]} is not set")
    url = environ[source.url_env]
    if source.type == "sql":
        from inm.sources.sql import SqlClient  # SQLAlchemy takes a third of a second: a worker without such a source starts sooner

        return SqlClient(source, url)
    return HttpClient(source, url, environ[source.token_env] if source.token_env else None)
