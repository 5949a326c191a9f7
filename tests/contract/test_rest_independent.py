"""The REST channel and a service that knows nothing of INM: aiohttp's server, and signatures by the reference implementation."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from inm.channels import rest
from inm.channels.rest import ReportingRest, RestRoute
from inm.core.records import Receipt
from inm.core.results import Result
from tests.contract.test_rest import delivery

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u"


class Service:
    """Takes ``POST /v2/accounts/7/messages`` and answers with an id of its own."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    async def post(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.taken.append(Webhook(SECRET).verify(body, dict(request.headers)))
        self.headers.append(dict(request.headers))
        return web.json_response({"messages": [{"ref": f"svc-{len(self.taken)}"}]}, status=201)

    def report(self, number: int, status: str) -> tuple[dict[str, str], bytes]:
        """What the service posts to tell of a message."""
        body = json.dumps({"events": [{"ref": f"svc-{number}", "status": status, "when": 1_795_334_400}, {"ref": "svc-x"}]})
        moment = datetime.now(UTC)
        stamp = str(int(moment.timestamp()))
        signature = Webhook(SECRET).sign(f"evt-{number}", moment, body)
        return {"webhook-id": f"evt-{number}", "webhook-timestamp": stamp, "webhook-signature": signature}, body.encode()


@pytest.fixture
async def service() -> AsyncIterator[tuple[Service, str]]:
    service = Service()
    app = web.Application()
    app.router.add_post("/v2/accounts/7/messages", service.post)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield service, f"http://127.0.0.1:{runner.addresses[0][1]}/v2/accounts/7/messages"
    await runner.cleanup()


async def test_there_and_back(service: tuple[Service, str]) -> None:
    there, url = service
    channel = rest.build(
        RestRoute(
            "svc",
            url,
            networks=["127.0.0.0/8"],
            secret=SECRET,
            receipt_secret=SECRET,
            token="t0ken",
            headers={"X-Tenant": "{{ tenant }}"},
            body={"recipient": {"phone": "{{ to }}"}, "content": {"type": "text", "body": "{{ text }}"}, "custom": "{{ data }}"},
            message_id="messages[0].ref",
            receipt_items="events",
            receipt_id="ref",
            receipt_state="status",
            receipt_at="when",
            receipt_states={"DELIVERED": "delivered", "DISPLAYED": "read"},
        )
    )
    assert isinstance(channel, ReportingRest)
    reported: list[Receipt] = []

    async def take(receipts: Any) -> None:
        reported.extend(receipts)

    await channel.open(take)
    answers = await channel.send([delivery(number) for number in range(1, 21)])
    assert [answer.result for answer in answers] == [Result.SENT] * 20
    assert {answer.provider_ids[0] for answer in answers} == {f"svc-{number}" for number in range(1, 21)}
    assert there.taken[0] == {
        "recipient": {"phone": "+393331234567"},
        "content": {"type": "text", "body": "Ciao"},
        "custom": {"a": "b"},
    }
    assert there.headers[0]["Authorization"] == "Bearer t0ken"
    assert there.headers[0]["X-Tenant"] == "acme"
    now = int(datetime.now(UTC).timestamp() * 1000)
    for number, word in ((1, "DELIVERED"), (1, "DISPLAYED"), (2, "QUEUED")):
        await channel.take(*there.report(number, word), now)
    assert reported == [
        Receipt("svc", "svc-1", "delivered", 1_795_334_400_000),
        Receipt("svc", "svc-1", "read", 1_795_334_400_000),
    ]
    await channel.close()


async def test_many_at_once_go_over_few_connections(service: tuple[Service, str]) -> None:
    there, url = service
    channel = rest.build(RestRoute("svc", url, networks=["127.0.0.1"], secret=SECRET, connections=4))
    await channel.open(lambda _: asyncio.sleep(0))
    answers = await channel.send([delivery(number) for number in range(300)])
    assert {answer.result for answer in answers} == {Result.SENT}
    assert len({headers["webhook-id"] for headers in there.headers}) == 300
    await channel.close()
