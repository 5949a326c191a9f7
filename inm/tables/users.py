"""Users: the cached data of recipients, and of shared offers, each row with its own end. Written by agents/users alone.

Beside them, under the tenant's name, the marks of what was invalidated at once.
"""

from collections.abc import Mapping

from inm.core.catalogue import Book
from inm.core.marks import KEEP, Marks
from inm.core.users import LATELY, User
from inm.streaming.stage import Output
from inm.tables.rows import Rows

users = Rows("users", User)
marks = Rows("users", Marks, users.table)


def known(out: Output, key: str, book: Book) -> User | None:
    """The row of a key, fresh or not; None also if it was invalidated."""
    row = users.get(out, key)
    return row and _valid(row, marks.get(out, book.tenant.name), book)


def peek(partition: int, key: str, book: Book, now: int) -> User | None:
    """The row as a view from outside of a stage sees it, while it may serve. ``KeyError`` if this worker does not hold the partition."""
    return peeked(partition, users.table[partition].get(key.encode()), book, now)


def peeked(partition: int, stored: bytes | None, book: Book, now: int) -> User | None:
    """As :func:`peek`, of a row as it is stored there."""
    return _serving(_valid(users.read(stored, now), marks.peek(partition, book.tenant.name, now), book), now)


def told(rows: Mapping[str, bytes | None], key: str, book: Book, now: int) -> User | None:
    """As :func:`peek`, by rows of the changelog: those of the key and of the tenant's name."""
    tenant = book.tenant.name
    return _serving(_valid(users.read(rows[key], now), marks.read(rows[tenant], now), book), now)


def _serving(row: User | None, now: int) -> User | None:
    """Rows stand somewhat longer than they serve."""
    return row if row is not None and max(row.expires_at, row.stale_until) >= now else None


def _valid(row: User | None, marked: Marks | None, book: Book) -> User | None:
    if row is None or row.forgotten or (marked and marked.hit(row, book.user, book.tenant.name)):
        return None
    return row


def write(out: Output, row: User) -> bool:
    """Write a row, unless the one that is there is of a later time: what was pushed or invalidated while it was asked for."""
    held = users.get(out, row.key)
    if held is not None and held.loaded_at >= row.loaded_at:
        return False
    users.put(out, row.key, row, row.ends)
    return True


def forget(out: Output, key: str) -> None:
    """Invalidate a row: nothing of it stays but that it was."""
    row = User(key, 0, loaded_at=out.now)
    users.put(out, key, row, out.now + LATELY)


def mark(out: Output, tenant: str, where: str | None) -> None:
    """Invalidate the rows of a tenant that a predicate holds of, or all."""
    held = marks.get(out, tenant) or Marks()
    marks.put(out, tenant, held.with_mark(where, out.now), out.now + KEEP)
