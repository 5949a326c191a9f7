"""``inm export``."""

from pathlib import Path

import click

from inm.cli import desk
from inm.core.copies import file_of, newest, text
from inm.settings import from_environment


@click.command("export")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--tenant", help="Those of this tenant.")
def command(folder: Path, tenant: str | None) -> None:
    """Write all documents as YAML files into a folder: <tenant>/<kind>/<name>.yaml, of each template the newest version.

    inm apply takes the folder again, and changes nothing. Passwords of accounts are not in it. Files that are there are written over.
    """
    library = desk.run(desk.documents(from_environment()))
    if tenant is not None and tenant not in library.tenants:
        raise click.ClickException(f"there is no tenant {tenant}; there are: {', '.join(library.tenants) or 'none'}")
    count = 0
    for name in [tenant] if tenant else library.tenants:
        for path, row in newest(library.held(name)).items():
            file = folder / file_of(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text(row.document), encoding="utf-8")
            count += 1
    click.echo(f"{count} documents written to {folder}", err=True)
