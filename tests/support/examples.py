"""The example tenants of ``config/examples``: their documents, users and requests, as editors and producers would hand them in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from inm.core import requests, users
from inm.core.books import is_template
from inm.core.catalogue import Book, Catalogue, Checked, check
from inm.core.decide import Decision, Send, decide
from inm.core.documents import parse
from inm.core.fanout import destinations, is_expanded, members
from inm.core.records import Notification
from inm.core.reference import Held
from inm.core.users import Upsert, User

FOLDER = Path(__file__).parents[2] / "config" / "examples"
TENANTS = {"telco": "lumo", "bank": "corvia", "ev": "wattora"}
"""By folder."""
PARTITIONS = 6
ROUTES = {"smsc-1": "sms", "smtp-1": "email"}
"""Those of the demo."""


class Sample(NamedTuple):
    """A line of ``requests.jsonl``."""

    name: str
    """``roaming-welcome-2``."""
    scenario: str
    line: bytes


class Example:
    """One of the folders."""

    def __init__(self, folder: str) -> None:
        self.folder = FOLDER / folder
        self.tenant = TENANTS[folder]
        self.checked = _checked(self.folder, self.tenant)
        assert self.checked.book, self.checked.faults
        self.book: Book = self.checked.book
        self.catalogue = Catalogue({self.tenant: self.book})
        upserts = [users.parse(line) for line in self._lines("users.jsonl")]
        self.users = {upsert.key: upsert.user(0) for upsert in upserts if isinstance(upsert, Upsert)}
        self.samples = [_sample(line) for line in self._lines("requests.jsonl")]

    def notifications(self, sample: Sample) -> Iterator[tuple[Notification, User | None]]:
        """Those that a request makes, each with its user: of an offer its members, of one with several destinations all."""
        request = requests.parse(sample.line, self.tenant, self.catalogue)
        for notification in requests.expand(request, self.tenant, "place", 0, PARTITIONS):
            user = self.users.get(notification.key)
            expanded = members(notification, user, PARTITIONS) if is_expanded(notification, user) else [notification]
            for child in expanded:
                yield child, self.users.get(child.key)
                yield from ((further, self.users.get(child.key)) for further in self._further(child))

    def _further(self, notification: Notification) -> list[Notification]:
        bound = self.book.scenarios[notification.scenario]
        user = self.users.get(notification.key)
        channels = {step.channel for step in bound.steps}
        return destinations(notification, user, channels, PARTITIONS) if bound.document.destinations == "all" else []

    def decided(self, notification: Notification, user: User | None, now: int) -> Iterator[Decision]:
        """The decision, and that of each further step as if the ones before had not reached the recipient."""
        decision = decide(msgspec.structs.replace(notification, received=now), self.book, user, now)
        while isinstance(decision, Send):
            yield decision
            if decision.delivery.step >= decision.steps:
                return
            further = msgspec.structs.replace(notification, received=now, step=decision.delivery.step + 1)
            decision = decide(further, self.book, user, now, plan=decision.plan)
        yield decision

    def _lines(self, name: str) -> list[bytes]:
        return (self.folder / name).read_bytes().splitlines()


def _sample(line: bytes) -> Sample:
    request: dict[str, Any] = msgspec.json.decode(line)
    return Sample(request["request_id"], request["scenario"], line)


def _checked(folder: Path, tenant: str) -> Checked:
    held: dict[str, Held] = {}
    for file in sorted(folder.rglob("*.yaml")):
        documents, wrong = parse(file.read_text(), str(file))
        assert not wrong, wrong
        for found in documents:
            path = f"{found.path}/1" if found.document["kind"] == "template" else found.path
            assert path not in held, f"{path} is there twice"
            held[path] = Held(path, 1, found.document, "ada", 0, "approved" if is_template(path) else None)
    return check(tenant, held, ROUTES)
