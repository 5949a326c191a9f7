"""The completeness ledger over REST: the tallies of all workers, added up."""

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

import aiohttp
import msgspec
from aiohttp import web
from msgspec import Struct

from inm import topics
from inm.core.completeness import Line, Tally, line, summed
from inm.streaming.chunks import now_ms
from inm.tables.journeys import tallies
from inm.web import peers
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

log = logging.getLogger("inm.rest")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, dict[str, Tally]]).decode

Held = dict[str, dict[str, Tally]]
"""Tallies by partition and key."""


class LedgerLines(Struct, frozen=True):
    """The ledger, in the order of scenario and hour."""

    lines: list[Line]


class CountsView:
    """The handlers, over the application they belong to."""

    def __init__(self, app: "Inm") -> None:
        self._app = app

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """The lines of the tenant. 503 if a partition is on no worker that can be asked: part of a ledger is none."""
        since = _number(request.query.get("since", "0"))
        scenario = request.query.get("scenario")
        held = self._held(tenant)
        for found in await asyncio.gather(*(self._ask(request, url) for url in self._others(held))):
            held |= found
        if len(held) < self._app.partitions:
            raise Problem("unavailable", "Some partitions are moving between workers.", headers={"Retry-After": "1"})
        now = now_ms()
        lines = [line(key, tally, now) for key, tally in sorted(summed(_all(held)).items())]
        wanted = [each for each in lines if each.hour >= since and scenario in (None, each.scenario)]
        return web.Response(body=_encode(LedgerLines(wanted)), content_type="application/json")

    async def held(self, request: web.Request, tenant: str) -> web.Response:
        """What another worker asks for :meth:`get`: the tallies of the partitions that this one has."""
        return web.Response(body=_encode(self._held(tenant)), content_type="application/json")

    def _held(self, tenant: str) -> Held:
        found: Held = {}
        for partition in range(self._app.partitions):
            try:
                found[str(partition)] = tallies.of_hours(partition, now_ms(), tenant)
            except KeyError:
                continue
        return found

    def _others(self, held: Held) -> set[str]:
        missing = (partition for partition in range(self._app.partitions) if str(partition) not in held)
        return set(filter(None, (self._app.owner_of(topics.OUTCOMES, partition) for partition in missing)))

    async def _ask(self, request: web.Request, owner: str) -> Held:
        """Nothing if the owner cannot be asked."""
        try:
            async with self._app.http_client.get(
                f"{owner.rstrip('/')}/internal/ledger", headers=peers.asked_by(request), timeout=peers.TIMEOUT, allow_redirects=False
            ) as answer:
                return _decode(await answer.read()) if answer.status == 200 else {}
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            log.warning("%s cannot be asked: %r", owner, error)
            return {}


def _all(held: Held) -> Iterable[tuple[str, Tally]]:
    return (pair for found in held.values() for pair in found.items())


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise Problem("bad-request", "since is a time in ms since 1970")
    return int(text)
