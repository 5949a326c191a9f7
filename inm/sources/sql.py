"""SQL databases, by SQLAlchemy: PostgreSQL, SQLite, and with their drivers installed MySQL, MariaDB and Oracle."""

import re
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from sqlalchemy import URL, bindparam, event, make_url, text
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncResult, create_async_engine

from inm.core.sources import Kind, Lookup, Row, Source
from inm.sources.base import MAX_ANSWER, Client, SourceError

DRIVERS = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "mysql": "mysql+aiomysql",
    "mariadb": "mariadb+aiomysql",
    "oracle": "oracle+oracledb_async",
}
"""What a URL without a driver means."""
MYSQL = {"mysql", "mariadb"}
FOREIGN_LETTERS = {1267, 1270, 1271, 3854}
"""Errors of MySQL (``ER_CANT_AGGREGATE_2COLLATIONS``, ``_3COLLATIONS``, ``_NCOLLATIONS``, ``ER_CANNOT_CONVERT_STRING``) at an id with
letters that the character set of the key column has not. Their SQLSTATE is HY000, which says nothing."""
RECYCLE = 1800
"""Seconds after which a connection is made anew: firewalls forget those that are older and idle."""
MAX_INTEGER = 2**63
_SELECT = re.compile(r"(?i)\s*(select|with)\b")


class _TooLargeError(Exception):
    """The answer is above its limit."""


class SqlClient(Client):
    """Asks in one ``IN`` query for many keys."""

    def __init__(self, source: Source, url: str) -> None:
        """:class:`SourceError` if the URL is none, or its driver is not installed."""
        self._source = source
        self._engine = _engine(url, source)
        lookups = {"users": source.users, "offers": source.offers}
        self._queries = {
            kind: text(lookup.query or "").bindparams(bindparam("keys", expanding=True)) for kind, lookup in lookups.items() if lookup
        }

    async def fetch(self, kind: Kind, keys: Sequence[str]) -> Mapping[str, list[Row] | str]:
        lookup = self._source.lookup(kind)
        if lookup is None:
            return {}
        wanted = _integers(keys) if lookup.keys == "integer" else list(keys)
        return await self._halves(kind, lookup, wanted) if wanted else {}

    async def _halves(self, kind: Kind, lookup: Lookup, keys: Sequence[Any]) -> Mapping[str, list[Row] | str]:
        """What one key does to an answer must not be at the cost of the others: halves, until it is alone."""
        try:
            return await self._ask(kind, lookup, keys)
        except SourceError:
            raise
        except Exception as error:  # noqa: BLE001 - drivers raise their own errors too, when they connect and while rows come
            if not _of_data(error):
                raise SourceError("refused" if _code(error) else "unreachable", _named(error)) from None
            if len(keys) == 1:
                return {str(keys[0]): "too-large" if isinstance(error, _TooLargeError) else "unreadable"}
        middle = len(keys) // 2
        return {**await self._halves(kind, lookup, keys[:middle]), **await self._halves(kind, lookup, keys[middle:])}

    async def _ask(self, kind: Kind, lookup: Lookup, keys: Sequence[Any]) -> Mapping[str, list[Row] | str]:
        async with self._engine.connect() as connection, connection.stream(self._queries[kind], {"keys": keys}) as result:
            try:
                return await _rows(kind, lookup, result)
            except Exception:
                await connection.invalidate()  # for its next use, MySQL's driver would read all that is left of the answer
                raise

    async def close(self) -> None:
        await self._engine.dispose()


async def stream(source: Source, url: str, query: str) -> AsyncIterator[dict[str, Any]]:
    """The rows of a query, as they come. :class:`SourceError` if it is no SELECT, or fails."""
    if not _SELECT.match(query):
        raise SourceError("misconfigured", "a query begins with SELECT or WITH")
    engine = _engine(url, source)
    try:
        async with engine.connect() as connection, connection.stream(text(query)) as result:
            async for row in result.mappings():
                yield dict(row)
    except (SourceError, GeneratorExit):
        raise
    except Exception as error:  # noqa: BLE001 - drivers raise their own errors too, when they connect and while rows come
        raise SourceError("refused" if _code(error) else "unreachable", _named(error)) from None
    finally:
        await engine.dispose()


async def _rows(kind: Kind, lookup: Lookup, result: AsyncResult[Any]) -> Mapping[str, list[Row] | str]:
    missing = {lookup.map.key, *lookup.map.places.values()} - set(result.keys())
    if missing:
        raise SourceError("refused", f"the query of {kind} has no column {', '.join(sorted(missing))}")
    found: dict[str, list[Row] | str] = {}
    size = 0
    async for row in result.mappings():
        size += sum(len(value) if isinstance(value, str | bytes | list | dict) else 8 for value in row.values())
        if size > MAX_ANSWER:
            raise _TooLargeError
        rows = found.setdefault(str(row[lookup.map.key]), [])
        assert isinstance(rows, list)
        rows.append(dict(row))
    return found


def _engine(url: str, source: Source) -> AsyncEngine:
    try:
        parsed = make_url(url)
        parsed = parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))
        engine = create_async_engine(
            parsed,
            pool_size=source.connections,
            max_overflow=0,
            pool_pre_ping=True,
            pool_recycle=RECYCLE,
            hide_parameters=True,
            execution_options={"postgresql_readonly": True},
            connect_args=_mysql(parsed) if parsed.get_backend_name() in MYSQL else {},
        )
    except (ArgumentError, NoSuchModuleError, ImportError, OSError, TypeError, ValueError) as error:
        # not its words: they may repeat the URL, which has the password
        detail = f"{source.url_env} holds no URL of a database whose driver is installed: {_named(error)}"
        raise SourceError("misconfigured", detail) from None
    if parsed.get_backend_name() in MYSQL and "ssl_ca" in parsed.query:
        event.listen(engine.sync_engine, "connect", _encrypted)
    return engine


def _mysql(url: URL) -> dict[str, Any]:
    """What the driver is to know besides the URL. SQLAlchemy would hand on the name of ``ssl_ca``, with which it can do nothing."""
    told: dict[str, Any] = {"init_command": "SET SESSION TRANSACTION READ ONLY"}
    if "ssl_ca" in url.query:
        told["ssl"] = ssl.create_default_context(cafile=str(url.query["ssl_ca"]))
    return told


def _encrypted(connection: Any, _record: object) -> None:
    """Left alone, aiomysql goes on without TLS if the server offers none."""
    driver = connection.driver_connection
    if not driver._secure:  # noqa: SLF001 - it has no public word for that
        driver.close()
        raise ConnectionError


def _integers(keys: Sequence[str]) -> list[int]:
    """Those that are numbers as a database writes them: another spelling would be another key here."""
    numbers = (int(key) for key in keys if key.isascii() and key.removeprefix("-").isdigit() and len(key) < 20)
    return [number for number in numbers if abs(number) < MAX_INTEGER and str(number) in keys]


def _driver(error: BaseException) -> BaseException:
    """The driver's own error."""
    inner = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return inner.__cause__ or inner


def _code(error: BaseException) -> str | None:
    """The database's code of an error that it answered with; None if it did not answer."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return None
    inner = _driver(error)
    return getattr(inner, "sqlstate", None) or getattr(inner, "sqlite_errorname", None)


def _number(error: BaseException) -> int | None:
    """MySQL's own code, which is finer than SQLSTATE."""
    arguments = _driver(error).args
    return arguments[0] if _code(error) and arguments and isinstance(arguments[0], int) else None


def _of_data(error: BaseException) -> bool:
    """Whether it comes of a key or of what is stored for it, and not of the query or the server (SQLSTATE class 22: data exception)."""
    told = (_code(error) or "").startswith("22") or _number(error) in FOREIGN_LETTERS
    return told or isinstance(error, _TooLargeError | DataError | UnicodeDecodeError)


def _named(error: BaseException) -> str:
    """What kind of error it is. Its words may have keys and values in them."""
    return " ".join(str(part) for part in (type(_driver(error)).__name__, _code(error), _number(error)) if part)
