"""What producers send: every scenario, repeated requests, waiting ones, wrong ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

import msgspec

from inm.core.ids import user_key
from inm.core.users import Member, User
from tests.simulation.loop import START

OFFERS = {
    offer: User(
        user_key("acme", None, None, None, offer),
        2**50,
        members=[Member("master" if one == 0 else "slave", user=f"u{one}", phone=f"+3933311133{one:02}") for one in range(size)],
    )
    for offer, size in (("family", 3), ("alone", 1), ("nobody", 0))
}
"""What INM knows of shared offers from the start."""

SCENARIOS = ("otp", "welcome", "letter", "chain")
POISON = (b"", b"{", b'{"scenario": "otp"}', b'{"scenario": "nothing", "to": {"user": "u"}}', b"\xff\xfe")


@dataclass(frozen=True)
class Sent:
    """A record on the request topic, ``pause`` seconds after the one before."""

    value: bytes
    partition: int
    pause: float
    hole: bool


def traffic(random: Random, partitions: int) -> Iterator[Sent]:
    """2 to 8 requests within 3 seconds, or bursts of them; often of few scenarios, so that they meet on the same topics."""
    asked: list[bytes] = []
    burst = random.random() < 0.5
    scenarios = random.sample(SCENARIOS, random.randint(1, len(SCENARIOS)))
    for number in range(random.randint(2, 8)):
        chance = random.random()
        if asked and chance < 0.15:
            value = random.choice(asked)
        elif chance < 0.2:
            value = random.choice(POISON)
        else:
            value = msgspec.json.encode(_request(random, number, random.choice(scenarios)))
            asked.append(value)
        pause = 0.0 if burst and random.random() < 0.8 else random.random() * 0.5
        yield Sent(value, random.randrange(partitions), pause, random.random() < 0.05)


def plans(random: Random, partitions: int) -> Iterator[Sent]:
    """Some requests whose steps begin together, or wait for their windows."""
    for number in range(random.randint(1, 4)):
        request = _request(random, 100 + number, random.choice(("both", "held", "broken")))
        user = random.randrange(6)
        request["to"] = {"user": f"u{user}", "phone": f"+3933311122{user:02}", "email": f"u{user}@customer.example"}
        yield Sent(msgspec.json.encode(request), random.randrange(partitions), random.random(), False)


def _request(random: Random, number: int, scenario: str) -> dict[str, Any]:
    request: dict[str, Any] = {"scenario": scenario, "request_id": f"r{number}", "fields": {"code": str(number)}}
    request["to"] = _recipient(random) if random.random() < 0.9 else [_recipient(random) for _ in range(random.randint(2, 4))]
    if random.random() < 0.1:
        due = START + random.random() * 8
        request["at"] = datetime.fromtimestamp(due, UTC).isoformat()
    if random.random() < 0.05:
        request["fields"] = {}
    if number % 7 == 5:
        request["to"] = {"offer": [*OFFERS][number // 7 % len(OFFERS)]}
    return request


def _recipient(random: Random) -> dict[str, str]:
    number = random.randrange(6)
    to = {"user": f"u{number}", "phone": f"+3933311122{number:02}", "email": f"u{number}@customer.example"}
    if random.random() < 0.15:
        return {"user": f"u{number}"}
    if random.random() < 0.15:
        del to[random.choice(("phone", "email"))]
    return to
