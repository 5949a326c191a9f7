"""Callbacks: what became of notifications, posted to who wants to know. What is tried when, and when an endpoint is given up."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal
from zlib import crc32

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from inm.core import networks
from inm.core.edr import Event
from inm.core.faults import Fault
from inm.core.networks import Network
from inm.core.records import Name
from inm.core.sources import Variable, variables_of

SCHEDULE = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds after a failed attempt 1, 2, … until the next one: the example of Standard Webhooks 1.0."""
JITTER = 0.1
"""Share of the wait by which it varies."""
FAILING = 5
"""Failures in a row after which an endpoint gets one callback at a time, to see whether it is there again."""
LOOKS = (30, 60, 120, 300)
"""Seconds until the first, second, … such look, and between all later ones."""
PATIENCE = 72 * 3600 * 1000
"""Milliseconds of nothing but failures after which an endpoint is suspended."""
KEEP = 7 * 24 * 3600 * 1000
"""Milliseconds, from the event, for which a callback is kept that was not taken."""
LONGEST_REST = 3600 * 1000
"""Milliseconds that an endpoint gets at most when it asks for time by Retry-After."""
AT_ONCE = 20
"""Callbacks under way to one endpoint."""
MARGIN = 3600 * 1000
"""Milliseconds before the last change of its document from which on an endpoint is told of events."""
NEVER = 10**14
"""Added to the time of callbacks that are not tried any more: they stand behind all that are."""


class Callback(Struct, frozen=True, forbid_unknown_fields=True, tag="callback", tag_field="kind", omit_defaults=True):
    """Who wants to know what. Posts are signed by Standard Webhooks with the secret in the environment variable."""

    tenant: Name
    name: Name
    url: Annotated[str, Meta(min_length=1, max_length=2000)]
    secret_env: Variable
    """Of the workers; its name begins with the tenant's in capitals. With two secrets in it, a blank between, both sign."""
    events: list[Event] = []
    """Without any: the end of each notification, that it was read, and corrections."""
    scenarios: list[Name] = []
    """Without any: all of the tenant."""


class BoundCallback(Struct, frozen=True):
    """A callback, and when (ms) it was last changed."""

    document: Callback
    at: int

    @property
    def endpoint(self) -> str:
        """What identifies it in topics and tables."""
        return f"{self.document.tenant}/{self.document.name}"


class Glimpse(Struct):
    """What of an EDR says whom it concerns."""

    id: str
    event: str
    at: int
    tenant: str
    scenario: str
    final: bool = False
    correction: bool = False


class Letter(Struct, array_like=True):
    """A callback on its way. ``edr`` is the record as it is on ``inm.edr``."""

    id: str
    event: str
    at: int
    edr: bytes
    attempts: int = 0


class Posting(Struct, tag="letter"):
    """A letter for an endpoint, on ``inm.callbacks``."""

    endpoint: str
    id: str
    event: str
    at: int
    edr: msgspec.Raw

    def letter(self) -> Letter:
        """As it is kept."""
        return Letter(self.id, self.event, self.at, bytes(self.edr))


class Resend(Struct, tag="resend"):
    """An order, on ``inm.callbacks``: call the endpoint again, with what was given up since a time (ms) too."""

    endpoint: str
    since: int


class Tried(Struct, frozen=True):
    """What came of one post. ``rest`` is what the endpoint asks for, in seconds."""

    result: Literal["taken", "failed", "gone"]
    error: str = ""
    rest: float = 0.0


Suspension = Literal["failing", "gone"]


class Endpoint(Struct, frozen=True, omit_defaults=True):
    """How it stands with an endpoint. Times are ms."""

    at: int = 0
    """When its document was changed: then it begins anew."""
    failures: int = 0
    """In a row."""
    failing_since: int = 0
    looks: int = 0
    rest_until: int = 0
    """Nothing is posted before."""
    suspended: Suspension | None = None
    error: str = ""
    """What came of the last failure."""
    resend: int | None = None
    """Since when what was given up is to be tried again."""

    @property
    def state(self) -> str:
        """In one word."""
        return "suspended" if self.suspended else "failing" if self.failures >= FAILING else "working"


def concerns(edr: Glimpse, bound: BoundCallback) -> bool:
    """Whether an endpoint is told of an event."""
    callback = bound.document
    wanted = edr.event in callback.events if callback.events else edr.final or edr.correction or edr.event == "read"
    return wanted and (not callback.scenarios or edr.scenario in callback.scenarios) and edr.at >= bound.at - MARGIN


def allowance(endpoint: Endpoint, now: int) -> int:
    """How many posts may be under way at once."""
    if endpoint.suspended or endpoint.rest_until > now:
        return 0
    return AT_ONCE if endpoint.failures < FAILING else 1


def settle(endpoint: Endpoint, letter: Letter, tried: Tried, now: int) -> tuple[Endpoint, int | None]:
    """How it stands with the endpoint after a post, and when (ms) the letter is to be posted again; None if it was taken."""
    if tried.result == "taken":
        return Endpoint(endpoint.at, resend=endpoint.resend), None
    since = endpoint.failing_since or now
    failures = endpoint.failures + 1
    changed = replace(endpoint, failures=failures, failing_since=since, error=tried.error)
    rest = min(int(tried.rest * 1000), LONGEST_REST)
    if tried.result == "gone" or now - since >= PATIENCE:
        changed = replace(changed, suspended="gone" if tried.result == "gone" else "failing")
    elif failures >= FAILING:
        look = LOOKS[min(endpoint.looks, len(LOOKS) - 1)] * 1000
        changed = replace(changed, looks=endpoint.looks + 1, rest_until=now + max(rest, look))
    else:
        changed = replace(changed, rest_until=max(endpoint.rest_until, now + rest))
    return changed, next_attempt(letter, now)


def next_attempt(letter: Letter, now: int) -> int:
    """When (ms) a letter is due after its attempt has failed; beyond :data:`NEVER` if that was the last one."""
    if letter.attempts >= len(SCHEDULE):
        return NEVER + letter.at
    chance = crc32(f"{letter.id}@{now}".encode()) / 0xFFFF_FFFF
    return now + round(SCHEDULE[letter.attempts] * 1000 * (1 - JITTER + 2 * JITTER * chance))


def resumed(endpoint: Endpoint, since: int) -> Endpoint:
    """The endpoint as if nothing had failed, with what was given up since a time to be tried again."""
    return Endpoint(endpoint.at, resend=min(since, since if endpoint.resend is None else endpoint.resend))


def content(letter: Letter) -> bytes:
    """The body of a post, as Standard Webhooks wants it: type, timestamp, data."""
    moment = datetime.fromtimestamp(letter.at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.json.encode({"type": f"notification.{letter.event}", "timestamp": moment, "data": msgspec.Raw(letter.edr)})


def faults(callback: Callback, allowed: Sequence[Network], scenarios: Collection[str]) -> Iterator[Fault]:
    """What is wrong with a document. ``allowed`` are the private networks that the tenant's callbacks may lead to."""
    objection = networks.objection(callback.url, allowed)
    if objection:
        yield Fault("/url", objection)
    prefix = variables_of(callback.tenant)
    if not callback.secret_env.startswith(prefix):
        yield Fault("/secret_env", "is no variable of the tenant", callback.secret_env, f"a name that begins with {prefix}")
    for index, name in enumerate(callback.scenarios):
        if name not in scenarios:
            yield Fault(f"/scenarios/{index}", "no such scenario", name, ", ".join(sorted(scenarios)[:20]))
