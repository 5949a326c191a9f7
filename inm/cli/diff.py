"""``inm diff``."""

import difflib
import sys

import click

from inm.cli import desk
from inm.core.copies import comparable, newest
from inm.core.faults import MisconfiguredError
from inm.settings import from_environment

EXIT_DIFFERENT = 1
EXIT_FAILED = 2


@click.command("diff")
@click.argument("places", nargs=-1, required=True, metavar="FILE|DIR...")
def command(places: tuple[str, ...]) -> None:
    """Show what inm apply would change of the documents in YAML files, as a unified difference.

    Exit codes: 0 nothing, 1 something, 2 it could not be told, 78 a configuration that cannot be used.
    """
    try:
        different = _differences(places)
    except MisconfiguredError:
        raise
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_FAILED)
    except click.exceptions.Exit:
        sys.exit(EXIT_FAILED)
    sys.exit(EXIT_DIFFERENT if different else 0)


def _differences(places: tuple[str, ...]) -> bool:
    written = desk.read_files(places)
    library = desk.run(desk.documents(from_environment()))
    held = {path: row for tenant in library.tenants for path, row in newest(library.held(tenant)).items()}
    different = False
    for parsed in written:
        row = held.get(parsed.path)
        before, after = comparable(row.document) if row else "", comparable(parsed.document)
        name = row.path if row else "/dev/null"
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, parsed.place, lineterm="")
        for line in lines:
            click.echo(line)
        different = different or before != after
    return different
