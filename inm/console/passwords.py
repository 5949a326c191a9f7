"""Passwords: argon2id, beside the event loop, a few at a time: each takes 64 MiB and some hundredths of a second."""

import asyncio
from secrets import token_urlsafe

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 12
LONGEST = 256
AT_ONCE = 2

_hasher = PasswordHasher()
_turns = asyncio.Semaphore(AT_ONCE)
_nobodys = _hasher.hash(token_urlsafe())
"""What the password of an unknown account is compared with: to say no takes as long as to say yes."""


def hashed(password: str) -> str:
    """What is kept. ``ValueError`` if it is too short or too long; a sentence that does not repeat it."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(f"a password has {SHORTEST} to {LONGEST} characters")
    return _hasher.hash(password)


async def hashed_aside(password: str) -> str:
    """As :func:`hashed`, beside the event loop."""
    async with _turns:
        return await asyncio.to_thread(hashed, password)


async def is_right(password: str, kept: str | None) -> bool:
    """Whether it is the password of an account; of one without, or of none, it is not."""
    async with _turns:
        return await asyncio.to_thread(_verified, password[: LONGEST + 1], kept or _nobodys) and kept is not None


def _verified(password: str, kept: str) -> bool:
    try:
        return _hasher.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False
