"""Runs ``inm`` commands beside an installation."""

import asyncio
import os
import sys
from typing import NamedTuple

from inm.demo.installation import Installation


class Said(NamedTuple):
    """Exit code, stdout and stderr of a command."""

    code: int
    out: str
    talk: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


async def inm(installation: Installation, *arguments: object, given: str = "", user: str = "olga") -> Said:
    """``inm …``, by a user."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "inm", *map(str, arguments),
        env=os.environ | installation.environment() | {"USER": user},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, talk = await process.communicate(given.encode())
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), talk.decode())


async def done(installation: Installation, *arguments: object, given: str = "", user: str = "olga") -> Said:
    """As :func:`inm`, of what must succeed."""
    said = await inm(installation, *arguments, given=given, user=user)
    assert said.code == 0, said
    return said
