"""The REST door: requests in, stories out, and what operators and programs need to know of this worker."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import hdrs, web, web_response

from inm import metrics, topics
from inm.core import schemas
from inm.core.apikeys import ApiKey
from inm.intake import body, openapi, submission
from inm.intake.callbacks import Callbacks
from inm.intake.campaigns import Campaigns
from inm.intake.cancelling import Cancelling
from inm.intake.counts import CountsView
from inm.intake.keys import idempotency_key, key_of
from inm.intake.ledger import Ledger
from inm.intake.links import Readers
from inm.intake.receipts import Receipts
from inm.intake.reference import KeyHandler, Reference
from inm.intake.submission import Item
from inm.intake.trials import Trials
from inm.intake.users import Users
from inm.streaming.chunks import now_ms
from inm.web import problems
from inm.web.mailbox import Mailbox
from inm.web.problems import Handler, Problem

if TYPE_CHECKING:
    from inm.app import Inm

METHODS = (hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_POST, hdrs.METH_PUT, hdrs.METH_DELETE)
"""Those that metrics tell apart."""
MAX_LOOKUPS = 1000
"""Notifications up to which a replay is recognised as one; a larger one is done again, which changes nothing."""
BIG = 64 * 1024
"""Bytes of a body that is checked in a thread, so that the stages go on meanwhile."""

TenantHandler = Callable[[web.Request, str], Awaitable[web.Response]]
_encode = msgspec.json.Encoder().encode


class Rest:
    """The handlers, over the application they belong to."""

    def __init__(self, app: "Inm") -> None:
        self._app = app
        self._ledger = Ledger(app)
        self._reference = Reference(app)
        self._mailbox = Mailbox(app.emitter)
        self._users = Users(app, self._mailbox)
        self._receipts = Receipts(app)
        self._callbacks = Callbacks(app)
        self._campaigns = Campaigns(app)
        self._counts = CountsView(app)

    def install(self, web_app: web.Application) -> None:
        """Put middlewares and routes into an application that has not started."""
        # Its versions are nobody's business; answers to malformed HTTP take no other way than this one.
        web_response.SERVER_SOFTWARE = "INM"  # type: ignore[attr-defined]
        web_app.middlewares.extend((_measured, problems.middleware))
        web_app.add_routes(
            [
                web.post("/v1/requests", self._of_key(self.post_requests)),
                web.post("/v1/try", self._of_key(Trials(self._app, self._produce).post)),
                web.get("/v1/notifications/{id}", self._of_tenant(self._ledger.story)),
                web.delete("/v1/notifications/{id}", self._of_key(Cancelling(self._app, self._mailbox).delete)),
                web.post("/v1/receipts/{route}", self._receipts.post),
                web.get("/v1/callbacks/{name}", self._of_key(self._callbacks.get)),
                web.post("/v1/callbacks/{name}/resend", self._of_key(self._callbacks.resend)),
                web.post("/internal/fingerprints", self._of_tenant(self._ledger.fingerprints)),
                *self._reference.routes(self._of_key),
                *self._campaigns.routes(self._of_key),
                web.get("/v1/ledger", self._of_tenant(self._counts.get)),
                web.get("/internal/ledger", self._of_tenant(self._counts.held)),
                *Readers(self._app).routes(),
                web.post("/v1/users/invalidate", self._of_tenant(self._users.invalidate)),
                web.get("/v1/users/{id}", self._of_tenant(self._users.get)),
                web.put("/v1/users/{id}", self._of_tenant(self._users.put)),
                web.delete("/v1/users/{id}", self._of_tenant(self._users.delete)),
                web.get("/openapi.json", _document(openapi.document())),
                web.get("/schemas/request/1", _document(schemas.request_schema(), "application/schema+json")),
                web.get("/schemas/edr/1", _document(schemas.edr_schema(), "application/schema+json")),
                web.get("/problems/{kind}", problems.page),
                web.get("/healthz", _alive),
                web.get("/readyz", self.ready),
                web.get("/metrics", self.metrics),
            ]
        )

    async def post_requests(self, request: web.Request, caller: ApiKey) -> web.Response:
        """Take one request or a list: 202 when Kafka has all of them."""
        key = idempotency_key(request)
        content = await body.read(request)
        tenant = caller.tenant
        read = partial(submission.read, content, tenant, self._app.catalogue, key, now_ms(), self._app.partitions, test=caller.test)
        items = await asyncio.to_thread(read) if len(content) > BIG else read()
        replayed = key is not None and await self._is_replay(request, tenant, items)
        if not replayed:
            await self._produce(tenant, items)
        headers = {"Idempotency-Replayed": "true"} if replayed else {}
        if len(items) == 1 and len(items[0].notifications) == 1:
            headers[hdrs.LOCATION] = f"/v1/notifications/{items[0].notifications[0].id}"
        return web.Response(body=_encode(submission.taken(items)), status=202, content_type="application/json", headers=headers)

    async def ready(self, request: web.Request) -> web.Response:
        """Whether this worker takes part: its partitions are there with their tables restored, and it knows the documents."""
        if not self._app.ready:
            raise Problem("unavailable", "The worker has not got its partitions, or the documents, yet.", headers={"Retry-After": "1"})
        return web.json_response({"status": "ready"})

    async def metrics(self, request: web.Request) -> web.Response:
        """For Prometheus."""
        metrics.READY.set(self._app.ready)
        metrics.REFERENCE_AGE.set(self._app.mirror.age)
        metrics.PARTITIONS.set(len(self._app.assignments.partitions) if self._app.ready else 0)
        return web.Response(body=metrics.exposition(), headers={hdrs.CONTENT_TYPE: metrics.CONTENT_TYPE})

    def _of_key(self, handler: KeyHandler) -> Handler:
        async def authorized(request: web.Request) -> web.Response:
            if not self._app.informed:
                raise Problem("unavailable", "The worker does not know the documents yet.", headers={"Retry-After": "1"})
            return await handler(request, key_of(request, self._app.library.keys, now_ms()))

        return authorized

    def _of_tenant(self, handler: TenantHandler) -> Handler:
        return self._of_key(lambda request, key: handler(request, key.tenant))

    async def _is_replay(self, request: web.Request, tenant: str, items: list[Item]) -> bool:
        """Whether all of it is in the ledger already. A :class:`Problem` if something else is, under the same key."""
        asked = {notification.id: notification.fingerprint for item in items for notification in item.notifications}
        if len(asked) > MAX_LOOKUPS:
            return False
        known = await self._ledger.known(request, tenant, asked)
        if any(fingerprint not in (None, asked[notification]) for notification, fingerprint in known.items()):
            raise Problem("idempotency-mismatch")
        return len(known) == len(asked)

    async def _produce(self, tenant: str, items: list[Item]) -> None:
        topic, partitions = topics.requests(tenant), self._app.partitions
        place = partial(topics.partition_of_key, partitions=partitions)
        await self._mailbox.put((topic, place(item.identity), item.identity.encode(), item.record) for item in items)


def _document(content: dict[str, Any], content_type: str = "application/json") -> Handler:
    body = msgspec.json.format(_encode(content))

    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type)

    return serve


async def _alive(_: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


@web.middleware
async def _measured(request: web.Request, handler: Handler) -> web.StreamResponse:
    began = perf_counter()
    response = await handler(request)
    route = problems.route_of(request)
    method = request.method if request.method in METHODS else "other"
    metrics.HTTP_REQUESTS.labels(route, method, response.status).inc()
    metrics.HTTP_SECONDS.labels(route).observe(perf_counter() - began)
    return response
