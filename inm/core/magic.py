"""Magic recipients: addresses that stand for an outcome. A test to one of them takes the whole way and ends as it says.

The numbers are those that Ofcom keeps free for drama, and ``.test`` leads nowhere (RFC 2606, section 2): by mistake nobody is disturbed.
"""

from typing import Literal, get_args

Fate = Literal["delivered", "permanent", "temporary", "late", "never"]

FATES: dict[Fate, str] = {
    "delivered": "accepted, and delivered within a second",
    "permanent": "refused for good",
    "temporary": "refused for now at the first attempt, delivered by the second",
    "late": "accepted, and delivered only after the step's time or the validity has ended",
    "never": "accepted, and never heard of again",
}

_PHONE = "+4477009000{:02}"
_EMAIL = "{}@inm.test"

ADDRESSES: dict[str, dict[str, Fate]] = {
    "sms": {_PHONE.format(number): fate for number, fate in enumerate(get_args(Fate), 1)},
    "email": {_EMAIL.format(fate): fate for fate in get_args(Fate)},
}
# A system that is called by REST may know people by either.
ADDRESSES["rest"] = ADDRESSES["sms"] | ADDRESSES["email"]
"""What each magic address of a channel stands for."""


RESERVED = "magic-"
"""How the names of built-in routes begin."""


def fate(channel: str, address: str) -> Fate | None:
    """What happens to a test to this address; None if it is no magic one. Domains and names in any case."""
    return ADDRESSES.get(channel, {}).get(address.lower())


def is_magic(address: str) -> bool:
    """Whether it is a magic address of any channel."""
    return any(fate(channel, address) for channel in ADDRESSES)


def is_route(name: str) -> bool:
    """Whether it is a built-in route's name."""
    return name.startswith(RESERVED)


def route(channel: str) -> str:
    """The built-in route that answers for magic recipients of a channel. No configured route has such a name."""
    return f"{RESERVED}{channel}"
