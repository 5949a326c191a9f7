"""What a worker, or a command, knows of the reference data: the documents as they are, and the catalogue made of them."""

import asyncio
import logging
from collections.abc import Callable, Mapping

import msgspec

from inm.core import apikeys
from inm.core.apikeys import ApiKey
from inm.core.catalogue import Book, Catalogue, bind
from inm.core.reference import Answer, Held, is_answer, read, tenant_of
from inm.streaming.mirror import Rows

log = logging.getLogger("inm.reference")


class Library:
    """Fed by a mirror of ``inm.reference``, a change as a whole at a time. Only books of tenants that a change touches are made anew."""

    def __init__(
        self,
        keys: Mapping[str, ApiKey] | None = None,
        on_change: Callable[[], object] = lambda: None,
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        """``keys`` are API keys that stand beside those of documents; ``on_change`` is called when there is another catalogue.

        ``addresses`` are those that routes want, as :attr:`Book.addresses` has them.
        """
        self.catalogue = Catalogue({})
        self.keys: Mapping[str, ApiKey] = keys or {}
        self._own_keys = self.keys
        self._addresses = addresses or {}
        self._on_change = on_change
        self._held: Mapping[str, Mapping[str, Held]] = {}
        self._staged: dict[bytes, bytes | None] = {}
        self._awaited: dict[str, asyncio.Future[Answer]] = {}

    @property
    def empty(self) -> bool:
        """Whether there are no documents at all, as before the first start."""
        return not self._held

    @property
    def tenants(self) -> list[str]:
        """Those that have documents, sorted."""
        return sorted(self._held)

    def held(self, tenant: str) -> Mapping[str, Held]:
        """A tenant's documents by path."""
        return self._held.get(tenant, {})

    def answer(self, change: str) -> "asyncio.Future[Answer]":
        """The answer to a change, when it has come and what the change did can be seen here."""
        awaited = self._awaited[change] = asyncio.get_running_loop().create_future()
        awaited.add_done_callback(lambda _: self._awaited.pop(change, None))
        return awaited

    async def take(self, rows: Rows, whole: bool) -> None:
        """Take in what the mirror hands on. Rows wait for the answer that is written behind them: no change is seen in part."""
        for key, value in rows.items():
            self._staged.pop(key, None)
            self._staged[key] = value
        if not whole and not any(map(is_answer, rows)):
            return
        staged, self._staged = self._staged, {}
        fresh: dict[str, dict[str, Held]] = {}
        answers: list[Answer] = []
        for key, value in staged.items():
            try:
                row = read(key, value) if value is not None else None
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                log.warning("a record of inm.reference was not written by INM, and is passed over: %s", error)
                continue
            if isinstance(row, Answer):
                answers.append(row)
            elif not is_answer(key):
                self._put(key.decode(), row, fresh)
        if fresh:
            await self._replace(fresh)
        for answer in answers:
            awaited = self._awaited.get(answer.change)
            if awaited is not None and not awaited.done():
                awaited.set_result(answer)

    def _put(self, path: str, row: Held | None, fresh: dict[str, dict[str, Held]]) -> None:
        tenant = tenant_of(path)
        if row == fresh.get(tenant, self.held(tenant)).get(path):
            return
        documents = fresh.setdefault(tenant, dict(self.held(tenant)))
        if row is None:
            del documents[path]
        else:
            documents[path] = row

    async def _replace(self, fresh: Mapping[str, dict[str, Held]]) -> None:
        """Make the books of these tenants anew, beside the event loop, and put all of it in place at once."""
        catalogue = self.catalogue
        for tenant, documents in fresh.items():
            book = await asyncio.to_thread(_book, tenant, documents, catalogue.book(tenant))
            catalogue = catalogue.with_book(tenant, book and msgspec.structs.replace(book, addresses=self._addresses))
        self._held = {tenant: documents for tenant, documents in {**self._held, **fresh}.items() if documents}
        self.catalogue = catalogue
        books = filter(None, map(catalogue.book, catalogue.tenants))
        of_documents = (ApiKey(key.tenant, key.name, key.sha256, key.expires, key.test) for book in books for key in book.keys.values())
        self.keys = {**self._own_keys, **apikeys.index(of_documents)}
        self._on_change()


def _book(tenant: str, documents: Mapping[str, Held], before: Book | None) -> Book | None:
    try:
        return bind(documents, before)
    except Exception:  # a defect in one tenant's book must not stop the others': it goes on with the one it has
        log.exception("the documents of %s cannot be used: going on with the former ones", tenant)
        return before
