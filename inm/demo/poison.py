"""Records on the request topics that are no requests, of every kind that we know, and whether each is buried as it must be."""

from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any, NamedTuple

import msgspec

from inm import topics
from inm.core.deadletters import Letter

TENANT = "acme"

_encode = msgspec.json.encode


class Kind(NamedTuple):
    """A value, the reason of its dead letter, what its detail names, and the tenant to whose topic it is written if it is another."""

    name: str
    value: bytes | None
    reason: str
    names: str = ""
    tenant: str | None = None

    def topic(self, usual: str) -> str:
        """Where it is written."""
        return topics.requests(self.tenant or usual)


def kinds(good: dict[str, Any], tenant: str, other: str) -> list[Kind]:
    """Each a spoilt copy of a ``good`` request of ``tenant``; one is on the topic of the ``other``."""
    whole, to = _encode(good), good["to"]

    def without(field: str) -> bytes:
        return _encode({name: value for name, value in good.items() if name != field})

    def having(**more: Any) -> bytes:
        return _encode(good | more)

    def lane(raw: bytes) -> bytes:
        return whole[:-1] + b',"lane":' + raw + b"}"

    return [
        Kind("not JSON", b"hello", "invalid-json"),
        Kind("half a JSON", whole[:-10], "invalid-json"),
        Kind("nothing", b"", "invalid-json"),
        Kind("null", None, "invalid-json"),
        Kind("JSON null", b"null", "invalid-json"),
        Kind("a number", b"42", "invalid-json"),
        Kind("a list", _encode([good]), "invalid-json"),
        Kind("binary garbage", bytes(range(256)) * 20, "invalid-json"),
        Kind("UTF-16", whole.decode().encode("utf-16"), "invalid-json"),
        Kind("wrong UTF-8", lane(b'"\xff\xfe"'), "invalid-json"),
        Kind("deep nesting", b'{"fields":' * 20_000 + b"1" + b"}" * 20_000, "invalid-json"),
        Kind("NaN", lane(b"NaN"), "invalid-json"),
        Kind("a number beyond any float", lane(b"1e999"), "invalid-request"),
        Kind("a huge integer for a text", lane(b"9" * 400), "invalid-request"),
        Kind("no scenario", without("scenario"), "invalid-request", "scenario"),
        Kind("no recipient", without("to"), "invalid-request", "to"),
        Kind("unknown scenario", having(scenario="nonsense"), "unknown-scenario", "nonsense"),
        Kind("unknown field", having(colour="red"), "invalid-request", "colour"),
        Kind("wrong type", having(fields=[1]), "invalid-request", "/fields"),
        Kind("nobody", having(to={"language": "en"}), "invalid-request", "/to"),
        Kind("empty list of recipients", having(to=[]), "invalid-request", "/to"),
        Kind("5001 recipients", having(to=[to] * 5001), "invalid-request", "/to"),
        Kind("phone without plus", having(to={"phone": "393331234567"}), "invalid-request", "/to/phone"),
        Kind("one of three is wrong", having(to=[to, {"phone": 1}, {"user": "x"}]), "invalid-request", "/to/1/phone"),
        Kind("an id with a line break", having(request_id="a\nb"), "invalid-request", "/request_id"),
        Kind("an id beyond its limit", having(request_id="x" * 300), "invalid-request", "/request_id"),
        Kind("no such lane", having(lane="express"), "invalid-request", "/lane"),
        Kind("a time without zone", having(at="2026-12-01T10:00:00"), "invalid-request", "/at"),
        Kind("another tenant's name", having(tenant=other), "invalid-topic", other),
        Kind("another tenant's topic", having(tenant=tenant), "invalid-topic", tenant, other),
        Kind("900 kB", having(fields={"text": "x" * 900_000}), "too-large"),
        Kind("fields beyond their limit", having(fields={"text": "x" * 100_000}), "invalid-request", "/fields"),
    ]


class Poison:
    """The poison of a run: ``records`` to write, and what the dead letters say of them."""

    def __init__(self, run: str) -> None:
        good = {"scenario": "otp", "to": {"phone": "+393339999999"}, "fields": {"code": "poison"}}
        self._kinds = cycle(kinds(good, TENANT, "volta"))
        self._run = run
        self._sent: dict[bytes, Kind] = {}
        self.letters: Counter[bytes] = Counter()
        """By key: how often each was buried for its reason and with its origin."""
        self.misread: list[str] = []
        """Kinds that were buried otherwise."""

    def records(self, count: int) -> Iterator[tuple[str, bytes, bytes | None]]:
        """Topic, key and value of the next ones, of each kind in turn."""
        for kind in islice(self._kinds, count):
            key = f"{self._run}-poison-{len(self._sent)}".encode()
            self._sent[key] = kind
            yield kind.topic(TENANT), key, kind.value

    def buried(self, letter: Letter) -> bool:
        """Whether a dead letter is of one of them."""
        kind = self._sent.get(letter.key or b"")
        if kind is None or letter.key is None:
            return False
        dead = letter.dead
        right = dead.reason == kind.reason and kind.names in dead.detail and dead.topic == kind.topic(TENANT) and dead.offset >= 0
        if right:
            self.letters[letter.key] += 1
        else:
            self.misread.append(f"{kind.name}: {dead.reason}: {dead.detail[:200]}")
        return True

    def report(self) -> dict[str, Any]:
        """How many were sent, are not buried, are buried more than once, and were buried otherwise than they should be."""
        again = sum(times - 1 for times in self.letters.values())
        return {"sent": len(self._sent), "unburied": self.unburied, "again": again, "misread": self.misread[:20]}

    @property
    def unburied(self) -> int:
        """How many have no letter yet."""
        return len(self._sent) - len(self.letters) - len(self.misread)
