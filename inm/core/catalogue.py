"""The catalogue: all tenants' books."""

from collections.abc import Collection, Mapping

from inm.core.books import Book, BoundScenario, bind
from inm.core.consistency import Checked, check
from inm.core.scenarios import Scenario

__all__ = ["Book", "BoundScenario", "Catalogue", "Checked", "bind", "check"]


class Catalogue:
    """All tenants' books; never changes."""

    def __init__(self, books: Mapping[str, Book]) -> None:
        self._books = dict(books)
        # each in a dict, in which every request looks for the one that it names
        self._names = {tenant: dict.fromkeys(sorted(book.scenarios)) for tenant, book in books.items()}

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
        bound = book.scenarios.get(name) if book else None
        return bound.document if bound else None

    def scenario_names(self, tenant: str) -> Collection[str] | None:
        """Sorted; None if there is no such tenant."""
        return self._names.get(tenant)

    def with_book(self, tenant: str, book: Book | None) -> "Catalogue":
        """The same with another book for a tenant, or without the tenant."""
        rest = {name: other for name, other in self._books.items() if name != tenant}
        return Catalogue(rest | {tenant: book} if book else rest)
