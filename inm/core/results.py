"""The eight results a provider's answer can have, and the reasons behind a failure.

What follows an answer depends on its :class:`Result` alone; the provider's own code and words
are kept beside it. Every reason INM ever writes into an EDR or a dead letter is in :data:`REASONS`.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Result(StrEnum):
    """What a provider's answer means for us, whatever the channel."""

    SENT = "sent"
    """Accepted by the provider: wait for the receipt, or final where the channel gives none."""
    TEMPORARY = "temporary"
    """Not now: retry by the schedule."""
    THROTTLED = "throttled"
    """Too fast: slow the route down; not an attempt."""
    PERMANENT = "permanent"
    """Never for this message: next step."""
    INVALID_ADDRESS = "invalid-address"
    """Never for this address: next step; the address is marked."""
    NOT_ALLOWED = "not-allowed"
    """Consent, opt-out or a closed window: next step at once."""
    ROUTE_FAULT = "route-fault"
    """Credentials, bind, certificate, connection: hold the route; not an attempt."""
    UNKNOWN = "unknown"
    """Written, but no answer came: the scenario's policy decides."""


REASON: Mapping[Result, str] = {
    Result.TEMPORARY: "provider-temporary",
    Result.THROTTLED: "throttled",
    Result.PERMANENT: "provider-rejected",
    Result.INVALID_ADDRESS: "invalid-address",
    Result.NOT_ALLOWED: "not-allowed",
    Result.ROUTE_FAULT: "route-refused",
    Result.UNKNOWN: "no-answer",
}
"""The reason of a result where the provider gives no better one."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a provider said to one delivery.

    ``provider_ids`` has one id for the message or, for SMS, one a part in order, empty for a part that was not accepted: also an
    answer that is not ``sent`` may have some; ``code`` and ``text`` are
    the provider's own; ``reason`` is one of :data:`REASONS`, set unless the result is ``sent``.
    """

    result: Result
    provider_ids: list[str] = []
    reason: str | None = None
    code: str | None = None
    text: str | None = None


REASONS: dict[str, str] = {
    # the request
    "invalid-json": "the record is not a JSON object",
    "invalid-request": "a field is missing, unknown or of a wrong type; the detail names it",
    "invalid-topic": "the record came by a topic or names a tenant that is not its own",
    "unknown-tenant": "no such tenant",
    "unknown-scenario": "the tenant has no such scenario",
    "too-large": "the record is larger than a topic takes",
    # the decision
    "no-address": "the recipient has no address that any step of the plan can use",
    "unknown-template": "the scenario's template does not exist or has no approved version",
    "unknown-sender": "the scenario names a sender that does not exist",
    "suppressed": "a rule or an algorithm of the scenario wants nothing sent",
    "capped": "the recipient has had as many messages as the tenant's cap allows in its time",
    "digested": "likewise; a digest tells of it later",
    "opted-out": "the recipient does not want it, or not over this channel",
    "not-chosen": "the scenario's algorithm left this step out",
    "algorithm-failed": "an algorithm without which the scenario sends nothing failed or was late",
    "unknown-offer": "the offer is not known, or has no members",
    "missing-field": "the template needs a field that the request does not bring",
    "render-failed": "the template could not be rendered within its limits",
    "too-many-parts": "the SMS is longer than the scenario's segment limit",
    "expired": "its validity ended before it could be sent",
    "window-closed": "outside of its window, or its validity ended before the window opened",
    "not-needed": "the step's `unless` held",
    "cancelled": "the sender called it back before it was sent",
    "stopped": "it had not been sent yet when it was called back, or when another step had arrived",
    "user-data-unavailable": "its validity ended before the source of user data answered",
    # the provider
    "provider-rejected": "the provider refused the message for good",
    "invalid-address": "the provider says that the address cannot exist or takes no messages",
    "not-allowed": "the provider says that the recipient may not be written to",
    "provider-temporary": "the provider could not take the message now",
    "throttled": "the provider asked to slow down",
    "route-down": "no connection to the provider",
    "route-out": "an operator has put every route out that could take it",
    "no-route": "no route that the tenant may use takes this address",
    "route-refused": "the provider refused our credentials, bind or certificate",
    "no-answer": "the message was written, but no answer came",
    "retries-exhausted": "every attempt of the retry schedule failed",
    "undelivered": "the provider reported that it could not deliver",
    "provider-expired": "the provider gave up after the message's validity",
    "no-receipt": "no receipt came until the deadline",
    "not-read": "it was not read until the deadline",
    # the inside
    "callback-suspended": "an endpoint for callbacks took nothing for three days, or said that it is gone",
    "unknown-receipt": "a receipt for a message that INM does not know",
    "output-refused": "the broker refused a record that a stage emitted; it was meant for the topic named",
    "stage-failed": "a stage could not process the record: a defect, the detail has the exception",
}
