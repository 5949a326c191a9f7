"""A case: all that is known when a notification is decided, with its values as their types."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from inm.core import consent
from inm.core.algorithms import Context
from inm.core.catalogue import Book
from inm.core.faults import Fault
from inm.core.fields import FieldSet
from inm.core.grounds import UserState
from inm.core.records import Notification
from inm.core.scenarios import Scenario
from inm.core.users import User

ADDRESS = {"sms": "phone", "email": "email"}
"""The field of recipients and users that holds a channel's address."""

_OF_USER = ("language", "tone", "channel", "name")


class Case:
    """One notification, the documents of its tenant and what is known of its recipient at ``now`` (ms).

    The request's addresses, language, tone and fields win over the user's.
    """

    def __init__(self, notification: Notification, book: Book, scenario: Scenario, user: User | None, now: int) -> None:
        self.notification = notification
        self.book = book
        self.scenario = scenario
        self.known = user
        """The row as it is, of a user that the source does not know too."""
        self.user = None if user is None or user.absent else user
        self.now = now
        self.enriched: dict[str, Any] = {}
        self.unusable: list[str] = []
        """Fields whose values are not what the tenant's documents declare now."""
        self.request_fields = self._typed(book.request, notification.fields, "request")
        self.user_fields: Mapping[str, Any] = self._typed(book.user, self.user.fields, "user") if self.user else {}

    @property
    def language(self) -> str | None:
        """What is asked for."""
        return self.notification.language or (self.user.language if self.user else None)

    @property
    def tone(self) -> str | None:
        """Likewise."""
        return self.notification.tone or (self.user.tone if self.user else None)

    @property
    def state(self) -> UserState:
        """What the user data are worth."""
        if self.known is None:
            return "none"
        if self.known.absent:
            return "unknown"
        if self.notification.loaded == "known":
            return "loaded"
        return "fresh" if self.known.expires_at >= self.now else "stale"

    def address(self, channel: str) -> str | None:
        """The recipient's address. Of tests, and of one of several destinations, only what the notification itself names."""
        field = ADDRESS[channel]
        own: str | None = getattr(self.notification, field)
        if own or self.user is None or self.notification.only or self.notification.test:
            return own
        known: str | None = getattr(self.user, field)
        return known

    def reachable(self, channel: str) -> bool:
        """Whether something may be sent there, and has somewhere to go."""
        return bool(self.address(channel)) and not consent.channel_refusal(self.user, self.scenario, channel)

    @property
    def fields(self) -> Mapping[str, Any]:
        """What templates see."""
        if self.user is None and not self.enriched:
            return self.request_fields
        name = {"name": self.user.name} if self.user and self.user.name else {}
        return {**self.user_fields, **name, **self.enriched, **self.request_fields}

    def request_values(self) -> dict[str, Any]:
        """What rules and plug-ins see as ``request``; what is not known is left out."""
        notification = self.notification
        own = {"scenario": self.scenario.name, "lane": notification.lane or self.scenario.lane}
        return {**self.request_fields, **own, **_present({"language": notification.language, "role": notification.role})}

    def user_values(self) -> dict[str, Any]:
        """What they see as ``user``."""
        own = {name: getattr(self.user, name) for name in _OF_USER} if self.user else {}
        addresses = {field: self.address(channel) for channel, field in ADDRESS.items()}
        return {**self.user_fields, **_present({"id": self.notification.user, **own, **addresses})}

    def context(self) -> Context:
        """For plug-ins."""
        moment = datetime.fromtimestamp(self.now / 1000, UTC)
        return Context(self.book.tenant.name, self.scenario.name, self.request_values(), self.user_values(), self.enriched, moment)

    def _typed(self, declared: FieldSet, values: Mapping[str, Any], whose: str) -> Mapping[str, Any]:
        if not declared.declared:
            return values
        typed, faults = declared.convert(values, "")
        self.unusable += [f"{whose}{_place(fault)}: {fault.message}" for fault in faults]
        return typed


def _place(fault: Fault) -> str:
    return fault.pointer.replace("/", ".")


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
