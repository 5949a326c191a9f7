"""``inm send``."""

from typing import Any
from uuid import uuid4

import click
import msgspec

from inm import topics
from inm.cli import desk
from inm.cli.asking import asking, checked, document, produce
from inm.core.requests import expand
from inm.settings import from_environment


@click.command("send")
@asking
@click.option("--request-id", help="Your own reference; the same again is the same request. A new one if absent.")
@click.option("--lane", type=click.Choice(["urgent", "normal", "bulk"]), help="The scenario's lane if absent.")
@click.option("--at", help="Not before this time (RFC 3339).")
@click.option("--test", is_flag=True, help="A test: marked as such, and for magic recipients, or those named here, only.")
@click.option("--dry-run", is_flag=True, help="Check and print the request, but do not send it.")
def command(
    scenario: str, tenant: str, request_id: str | None, lane: str | None, at: str | None, test: bool, dry_run: bool, **recipient: Any
) -> None:
    """Send a request to a tenant's topic, checked as a worker checks it; prints the notification's id.

    Example: inm send otp --phone +393331234567 --language it --field code=493817
    """
    request = document(scenario, recipient) | {"request_id": request_id or str(uuid4())}
    request |= {name: value for name, value in {"lane": lane, "at": at, "test": test or None}.items() if value is not None}
    settings = from_environment()
    parsed = checked(request, tenant, desk.run(desk.catalogue(settings)))
    value = msgspec.json.encode(request)
    if dry_run:
        click.echo(value)
        return
    desk.run(produce(settings, topics.requests(tenant), value))
    for notification in expand(parsed, tenant, "", 0, settings.partitions):
        click.echo(notification.id)
