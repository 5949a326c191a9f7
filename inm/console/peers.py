"""Other workers: a visit goes on to the one that holds what it is about, or to all of them, and their answers are put together.

A worker that is asked by another answers by the rows that it holds itself, as JSON. It checks session and rights as if a browser asked.
"""

import asyncio
import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import msgspec
from aiohttp import hdrs
from yarl import URL

from inm import topics
from inm.console.route import PREFIX
from inm.core import sessions
from inm.web.peers import FORWARDED, TIMEOUT
from inm.web.problems import KINDS, Problem

if TYPE_CHECKING:
    from inm.console.visit import Visit

log = logging.getLogger("inm.console")


class Gathered(NamedTuple):
    """What all workers have answered, and the partitions of which none did: they are moving, or their worker cannot be asked."""

    answers: list[Any]
    missing: list[int]


def is_forwarded(visit: "Visit") -> bool:
    """Whether another worker asks, and not somebody who says so."""
    given = visit.request.headers.get(FORWARDED, "")
    return bool(given) and visit.is_signed_in and sessions.unseal(visit.console.secret, "peer", given) == visit.session.id


async def gather(visit: "Visit", own: Any, held: Collection[int], topic: str = topics.OUTCOMES, *, page: str | None = None) -> Gathered:
    """``own`` and the answers of the workers that hold the other partitions. Each has a member ``partitions``: those it is of.

    ``page`` as in :func:`of_owner`.
    """
    app = visit.app
    wanted = set(range(app.partitions)) - set(held)
    owners = {owner for partition in wanted if (owner := app.owner_of(topic, partition))}
    found = await asyncio.gather(*(_ask(visit, owner, page) for owner in sorted(owners)))
    answers = [own, *(content for status, content in found if status == 200 and isinstance(content, dict))]
    reached = {partition for answer in answers for partition in answer["partitions"]}
    return Gathered(answers, sorted(set(range(app.partitions)) - reached))


async def of_owner(visit: "Visit", partition: int, topic: str = topics.OUTCOMES, *, page: str | None = None) -> Any:
    """What the worker that holds a partition answers to the same visit; its :class:`Problem`, if that is what it answers.

    ``page``: another page that it is asked for, by its path below the prefix.
    """
    owner = visit.app.owner_of(topic, partition)
    moving = Problem("unavailable", visit.gettext("What this is about moves between workers. Try again."), headers={"Retry-After": "1"})
    if owner is None or is_forwarded(visit):
        raise moving
    status, content = await _ask(visit, owner, page)
    if status == 200:
        return content
    kind = str(content.get("type", "")).rpartition("/")[2] if isinstance(content, dict) else ""
    raise Problem(kind, content.get("detail")) if kind in KINDS else moving


async def _ask(visit: "Visit", owner: str, page: str | None = None) -> tuple[int, Any]:
    """Status and content of a worker's answer; 0 if there is none."""
    request = visit.request
    headers = {
        hdrs.ACCEPT: "application/json",
        hdrs.COOKIE: request.headers.get(hdrs.COOKIE, ""),
        FORWARDED: sessions.seal(visit.console.secret, "peer", visit.session.id),
    }
    url = URL(owner.rstrip("/") + (request.raw_path if page is None else PREFIX + page), encoded=True)
    method = request.method if page is None else hdrs.METH_GET
    form = visit.form if method == hdrs.METH_POST else None
    try:
        async with visit.app.http_client.request(method, url, data=form, headers=headers, timeout=TIMEOUT, allow_redirects=False) as answer:
            return answer.status, msgspec.json.decode(await answer.read())
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        log.warning("%s cannot be asked: %r", owner, error)
        return 0, None
