"""The example tenants in the demo: their documents applied as editors do it, and requests of theirs among the others."""

from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import msgspec

from inm import topics
from inm.core.users import Upsert
from inm.demo.installation import CONFIG, Installation
from inm.demo.run import Run

EVERY = 10
"""Every tenth request is one of an example tenant, until each has been sent once: no two messages are to be the same."""


def folders() -> list[Path]:
    """One a tenant."""
    return sorted(file.parent for file in (CONFIG / "examples").glob("*/tenant.yaml"))


async def apply(installation: Installation) -> None:
    """What ``inm apply`` does with the documents. ``RuntimeError`` with its words if they are refused."""
    await installation.command("apply", *map(str, folders()), "--author", "editor", "--approved-by", "moderator")


class MixedRun(Run):
    """A run of the demo's own traffic with the example tenants' in it."""

    async def start(self) -> None:
        """As any run, and tell INM of the users of the examples."""
        await super().start()
        for folder in folders():
            for user in _users(folder):
                await self._producer.send(topics.USERS, msgspec.json.encode(user), user.key.encode())
        await self._producer.flush()

    def requests(self, count: int) -> Iterator[tuple[str, bytes]]:
        """Tenant and request record, as many as are asked for."""
        examples = _requests()
        for number, own in enumerate(super().requests(count)):
            example = next(examples, None) if number % EVERY == 0 else None
            if example:
                tenant, request = example
                yield tenant, msgspec.json.encode(request | {"request_id": f"{self.census.run}-{number}"})
            else:
                yield own


def _requests() -> Iterator[tuple[str, dict[str, Any]]]:
    """The samples that make one notification each, of the tenants in turn."""
    return (sample for sample in chain.from_iterable(zip_longest(*map(_samples, folders()))) if sample)


def _samples(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    users = _users(folder)
    tenant = users[0].key.partition("/")[0]
    alone = {user.key for user in users if not (user.phones or user.emails)}
    for line in (folder / "requests.jsonl").read_bytes().splitlines():
        request: dict[str, Any] = msgspec.json.decode(line)
        if f"{tenant}/{request['to'].get('user')}" in alone:
            yield tenant, request


def _users(folder: Path) -> list[Upsert]:
    return [msgspec.json.decode(line, type=Upsert) for line in (folder / "users.jsonl").read_bytes().splitlines()]
