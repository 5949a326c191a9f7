"""A query's rows in a file: an audience is read twice, and a query may answer otherwise the second time."""

import os
from pathlib import Path

import click

from inm.cli.audience import line_of
from inm.core.catalogue import Book
from inm.core.rowfiles import heading_faults
from inm.sources.base import SourceError
from inm.sources.sql import stream


async def spool(book: Book | None, query: str, path: Path) -> None:
    """Ask the tenant's source, row by row. ``ClickException`` if it is not SQL, fails, or has wrong columns."""
    source = book.source if book else None
    if book is None or source is None or source.type != "sql":
        raise click.ClickException("a query needs a source of type sql: inm get source")
    url = os.environ.get(source.url_env)
    if not url:
        raise click.ClickException(f"the environment variable {source.url_env} is not set, and it must hold the source's URL")
    try:
        with path.open("wb") as file:
            checked = False
            async for row in stream(source, url, query):
                faults = [] if checked else heading_faults(list(row), book.request.fields if book.request.declared else None)
                if faults:
                    raise click.ClickException("\n".join(["the query cannot be used:", *map(str, faults)]))
                checked = True
                file.write(line_of(row))
    except SourceError as error:
        raise click.ClickException(f"the source cannot be asked: {error}") from error
