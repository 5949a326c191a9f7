"""A case: all that is known when a notification is decided, with its values as their types."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from inm.core import consent, magic
from inm.core.algorithms import Context
from inm.core.catalogue import Book
from inm.core.faults import Fault
from inm.core.fields import FieldSet
from inm.core.grounds import UserState
from inm.core.records import Notification
from inm.core.rules import Hit, Rules
from inm.core.scenarios import Scenario, Step
from inm.core.users import User

ADDRESS = {"sms": "phone", "email": "email"}
"""The field of recipients and users that holds a channel's address, where that does not depend on the route."""


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
        self.ends = scenario.ends(notification)
        """When (ms) it is no use any more."""
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

    def field(self, step: Step) -> str:
        """Which address the step needs: ``phone``, ``email``, or ``user``, the recipient's id."""
        return ADDRESS.get(step.channel) or self._wanted(next(iter(self.routes(step)), ""))

    def routes(self, step: Step) -> list[str]:
        """Those that it may use: of those that the tenant has, all that want the address that the first one wants."""
        names = [step.route] if step.route else self.book.tenant.routes_of(step.channel)
        return names if step.channel in ADDRESS else [name for name in names if self._wanted(name) == self._wanted(names[0])]

    def _wanted(self, route: str) -> str:
        return self.book.addresses.get(route, "phone")

    def address(self, step: Step) -> str | None:
        """Where the step leads to."""
        field = self.field(step)
        return self._user(step.channel) if field == "user" else self._address(field)

    def reachable(self, step: Step) -> bool:
        """Whether something may be sent there, and has somewhere to go."""
        return bool(self.address(step)) and not consent.channel_refusal(self.user, self.scenario, step.channel)

    @property
    def phone(self) -> str | None:
        """The recipient's number, whatever it is written to."""
        return self._address("phone")

    def _address(self, field: str) -> str | None:
        """Of tests, and of one of several destinations, only what the notification itself names."""
        own: str | None = getattr(self.notification, field)
        if own or self.user is None or self.notification.only or self.notification.test:
            return own
        known: str | None = getattr(self.user, field)
        return known

    def _user(self, channel: str) -> str | None:
        """The id; but an id is never magic, so that a test goes to the magic address beside it. Of several destinations it is none."""
        notification = self.notification
        if notification.test:
            return next((own for own in (notification.phone, notification.email) if own and magic.fate(channel, own)), None)
        return None if notification.only else notification.user

    @property
    def fields(self) -> Mapping[str, Any]:
        """What templates see."""
        if self.user is None and not self.enriched:
            return self.request_fields
        name = {"name": self.user.name} if self.user and self.user.name else {}
        return {**self.user_fields, **name, **self.enriched, **self.request_fields}

    def request_values(self) -> dict[str, Any]:
        """What rules see as ``request``; None: it is not known."""
        notification = self.notification
        return {
            **self.request_fields,
            "scenario": self.scenario.name,
            "lane": notification.lane or self.scenario.lane,
            "language": notification.language,
            "role": notification.role,
        }

    def user_values(self) -> dict[str, Any]:
        """What they see as ``user``."""
        own = {"id": self.notification.user, "phone": self._address("phone"), "email": self._address("email")}
        user = self.user
        if user is None:
            return own
        said = {"language": user.language, "tone": user.tone, "channel": user.channel, "name": user.name}
        return {**self.user_fields, **own, **said}

    def first(self, rules: Rules, more: Mapping[str, str] | None = None) -> Hit:
        """Which of the rules holds for it first; ``more`` are texts that they see besides."""
        return rules.choose(self.request_values(), self.user_values(), self.book.tenant.name, self.now, more)

    def context(self) -> Context:
        """For plug-ins: the same without what is not known."""
        moment = datetime.fromtimestamp(self.now / 1000, UTC)
        request, user = _present(self.request_values()), _present(self.user_values())
        return Context(self.book.tenant.name, self.scenario.name, request, user, self.enriched, moment)

    def _typed(self, declared: FieldSet, values: Mapping[str, Any], whose: str) -> Mapping[str, Any]:
        if not declared.declared:
            return values
        typed, faults = declared.convert(values, "")
        if faults:
            self.unusable += [f"{whose}{_place(fault)}: {fault.message}" for fault in faults]
        return typed


def _place(fault: Fault) -> str:
    return fault.pointer.replace("/", ".")


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
