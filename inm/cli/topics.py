"""``inm topics``."""

import json

import click

from inm import topics
from inm.cli import desk
from inm.settings import Settings, from_environment, kafka_client
from inm.streaming import admin


async def wanted(settings: Settings) -> list[topics.Topic]:
    """The topics that the installation has, or will begin with."""
    return topics.catalogue((await desk.catalogue(settings)).tenants, settings.partitions)


@click.command("topics")
@click.option("--create", is_flag=True, help="Create the topics that are missing on the cluster.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(create: bool, as_json: bool) -> None:
    """List the topics of the installation with their keys and partitions, or create those that are missing."""
    settings = from_environment()
    wished = desk.run(wanted(settings))
    if create:
        for name in desk.run(admin.ensure(wished, settings.broker.servers, kafka_client(settings), settings.broker.replication)):
            click.echo(f"created {name}")
        return
    for topic in wished:
        if as_json:
            row = {"name": topic.name, "partitions": topic.partitions, "key": topic.key, "public": topic.public, "config": topic.config}
            click.echo(json.dumps(row))
        else:
            click.echo(f"{topic.name:35} {topic.partitions:3} partitions  {'public  ' if topic.public else 'internal'}  key: {topic.key}")
