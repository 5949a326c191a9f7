"""Changes of documents for somebody who waits: handed to the worker that decides them, and answered when it can be seen here."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from inm import topics
from inm.core.reference import Answer, Change, Done, Item
from inm.streaming.chunks import now_ms
from inm.streaming.emitter import TooLarge
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

PATIENCE = 10.0
"""Seconds in which a worker decides a change, if the one that does is there."""

_encode = msgspec.json.Encoder().encode


async def change(app: "Inm", author: str, items: Sequence[Item], tenant: str | None, *, dry_run: bool = False) -> Answer:
    """Have a change of ``tenant`` (None: by an operator) decided. A :class:`Problem` if it is too large or nobody answers in time."""
    asked = Change(uuid4().hex, author, now_ms(), list(items), tenant=tenant, dry_run=dry_run)
    awaited = app.library.answer(asked.id)
    try:
        async with asyncio.timeout(PATIENCE):
            await app.emitter.send(topics.CHANGES, 0, asked.id.encode(), _encode(asked))
            return await awaited
    except TooLarge as error:
        raise Problem("too-large", str(error)) from error
    except app.kafka_down as error:
        words = "The change was not decided in time. It may still be made: see what is there now."
        raise Problem("unavailable", words, headers={"Retry-After": "5"}) from error
    finally:
        awaited.cancel()


def done(answer: Answer) -> list[Done]:
    """What was done; as a :class:`Problem` what is wrong."""
    if answer.wrong:
        several = len({wrong.path for wrong in answer.wrong}) > 1
        faults = [
            msgspec.structs.replace(wrong.fault, message=f"{wrong.path}: {wrong.fault.message}") if several else wrong.fault
            for wrong in answer.wrong
        ]
        raise Problem("conflict" if any(wrong.conflict for wrong in answer.wrong) else "invalid-document", errors=faults)
    return answer.done
