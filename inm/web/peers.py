"""What another worker is asked, for a row of a partition that it holds."""

import logging
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import hdrs, web
from yarl import URL

from inm import topics
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

log = logging.getLogger("inm.rest")

FORWARDED = "Inm-Forwarded"
"""Marks what a worker asks another: if that one has not got the partition either, nobody has."""
TIMEOUT = aiohttp.ClientTimeout(total=3)
"""Seconds that another worker may take to answer."""


def asked_by(request: web.Request) -> dict[str, str]:
    """The headers of a question on behalf of a request."""
    return {hdrs.AUTHORIZATION: request.headers[hdrs.AUTHORIZATION], FORWARDED: "1"}


async def answer_of_owner(
    app: "Inm", request: web.Request, partition: int, what: str, content: bytes | None = None, topic: str = topics.OUTCOMES
) -> web.Response:
    """The same request, with its ``content``, answered by the worker that holds the partition of ``what`` is asked for."""
    owner = app.owner_of(topic, partition)
    nobody = Problem("unavailable", f"The {what}'s partition is moving between workers.", headers={"Retry-After": "1"})
    if owner is None or FORWARDED in request.headers:
        raise nobody
    url = URL(owner.rstrip("/") + request.raw_path, encoded=True)
    try:
        typed = {} if content is None else {hdrs.CONTENT_TYPE: request.content_type}
        async with app.http_client.request(
            request.method, url, data=content, headers=asked_by(request) | typed, timeout=TIMEOUT, allow_redirects=False
        ) as answer:
            headers = {name: answer.headers[name] for name in (hdrs.CONTENT_TYPE, hdrs.RETRY_AFTER) if name in answer.headers}
            return web.Response(body=await answer.read(), status=answer.status, headers=headers)
    except (aiohttp.ClientError, TimeoutError) as error:
        log.warning("%s cannot be asked: %r", owner, error)
        raise nobody from error
