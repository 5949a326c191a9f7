"""The REST channel against a service that misbehaves."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
import trustme
from aiohttp import web
from yarl import URL

from inm.channels import rest
from inm.channels.http import client, pool
from inm.channels.rest import Rest, RestRoute
from inm.core.records import Content, Delivery
from inm.core.results import Answer, Result
from inm.demo.inbox import Fault, Inbox
from tests.contract.test_channels import ignore, until

LOOPBACK = ("127.0.0.1",)


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    inbox = Inbox()
    await inbox.start()
    yield inbox
    await inbox.stop()


Open = Callable[..., Awaitable[Rest]]


@pytest.fixture
async def opened(inbox: Inbox) -> AsyncIterator[Open]:
    """Opens channels to the inbox, and closes them."""
    channels: list[Rest] = []

    async def make(**options: Any) -> Rest:
        given: dict[str, Any] = {"url": inbox.url, "secret": inbox.secret, "networks": LOOPBACK, "submit_timeout": 1.0, "patience": 0.2}
        channel = rest.build(RestRoute("inbox-1", **(given | options)))
        channels.append(channel)
        await channel.open(ignore)
        return channel

    yield make
    await asyncio.gather(*(channel.close() for channel in channels))


def delivery(number: int = 1, **given: Any) -> Delivery:
    made = Delivery(
        id=f"3-{number}.1.1", notification=f"3-{number}", key="acme/7", tenant="acme", scenario="hello", channel="rest", lane="normal",
        route="inbox-1", to="+393331234567", sender="Acme", content=Content("Ciao", title="T", data={"a": "b"}), template="t", version=1,
        language="it", step=1, attempt=1, decided=0, expires=1_900_000_000_000,
    )  # fmt: skip
    return msgspec.structs.replace(made, **given)


async def sent(channel: Rest, **given: Any) -> Answer:
    [answer] = await channel.send([delivery(**given)])
    return answer


async def test_a_message_as_it_arrives(inbox: Inbox, opened: Open) -> None:
    answer = await sent(await opened())
    assert answer == Answer(Result.SENT, ["3-1.1"], code="202")
    [received] = inbox.ledger.taken
    assert (received.message.text, received.message.title, received.message.data) == ("Ciao", "T", {"a": "b"})


async def test_the_services_own_id(opened: Open) -> None:
    assert (await sent(await opened(message_id="id"))).provider_ids == ["3-1.1"]
    assert (await sent(await opened(message_id="none"))).provider_ids == ["3-1.1"], "an id that it does not tell"


async def test_it_is_signed(opened: Open) -> None:
    answer = await sent(await opened(secret="whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u"))
    assert (answer.result, answer.reason, answer.code) == (Result.ROUTE_FAULT, "route-refused", "401")


@pytest.mark.parametrize("fault", ["silence", "close", "garbage"])
async def test_without_an_answer_nobody_knows(inbox: Inbox, opened: Open, fault: Fault) -> None:
    inbox.behaviour.fault = fault
    answer = await sent(await opened())
    assert (answer.result, answer.reason) == (Result.UNKNOWN, "no-answer")
    assert len(inbox.ledger.taken) == 1
    inbox.behaviour.fault = None


async def test_receipts_find_a_message_of_which_nobody_knows(inbox: Inbox, opened: Open) -> None:
    inbox.behaviour.fault = "close"
    assert (await sent(await opened())).provider_ids == ["3-1.1"]
    assert (await sent(await opened(message_id="id"))).provider_ids == [], "its own id was never told"


async def test_an_answer_without_end_is_read_to_the_limit(inbox: Inbox, opened: Open) -> None:
    inbox.behaviour.fault = "endless"
    assert (await sent(await opened(message_id="id"))).result is Result.SENT


async def test_redirects_are_not_followed(inbox: Inbox, opened: Open) -> None:
    inbox.behaviour.fault = "redirect"
    answer = await sent(await opened())
    assert (answer.result, answer.code) == (Result.ROUTE_FAULT, "307")


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (400, Result.PERMANENT),
        (403, Result.ROUTE_FAULT),
        (404, Result.INVALID_ADDRESS),
        (429, Result.THROTTLED),
        (451, Result.NOT_ALLOWED),
        (500, Result.TEMPORARY),
        (504, Result.UNKNOWN),
    ],
)
async def test_statuses(inbox: Inbox, opened: Open, status: int, result: Result) -> None:
    inbox.behaviour.refuse = lambda _: status
    answer = await sent(await opened())
    assert (answer.result, answer.code, answer.text) == (result, str(status), "not for this recipient")


async def test_it_rests_when_it_is_asked_to(inbox: Inbox, opened: Open) -> None:
    inbox.behaviour.refuse, inbox.behaviour.retry_after = lambda _: 429, 3600
    channel = await opened(submit_timeout=0.5)
    first = await sent(channel)
    inbox.behaviour.refuse = lambda _: None
    second = await sent(channel)
    assert [first.result, second.result] == [Result.THROTTLED, Result.THROTTLED]
    assert not inbox.ledger.taken, "the second one was never written"
    assert pool.LONGEST_REST < 3600


async def test_a_recipient_that_is_none(inbox: Inbox, opened: Open) -> None:
    for options, to in (({}, "c-2048"), ({"address": "email"}, "+393331234567"), ({"address": "user"}, "\n")):
        assert (await sent(await opened(**options), to=to)).result is Result.INVALID_ADDRESS
    assert (await sent(await opened(address="user"), to="c-2048")).result is Result.SENT
    assert [received.message.to for received in inbox.ledger.taken] == ["c-2048"]


async def test_a_template_that_shows_what_is_missing(opened: Open) -> None:
    answer = await sent(await opened(headers={"X-Title": "{{ title }}"}), content=Content("Ciao"))
    assert (answer.result, answer.reason) == (Result.PERMANENT, "missing-field")


async def test_a_private_address_is_refused_when_it_is_connected_to(inbox: Inbox, opened: Open) -> None:
    """A name passes when the route is built: where it leads is seen when it is called."""
    channel = await opened(url=inbox.url.replace("127.0.0.1", "localhost"), networks=["10.0.0.0/8"])
    answer = await sent(channel)
    assert (answer.result, answer.reason) == (Result.ROUTE_FAULT, "route-refused")
    assert "127.0.0.1 is on a private network that is not allowed" in (answer.text or "") or "::1 is on" in (answer.text or "")
    assert not inbox.ledger.taken


async def test_a_private_address_is_refused_for_each_call() -> None:
    """Also if the look whether the service is there has passed, as when a name leads elsewhere a moment later."""
    caller = client.Client(())
    for host in ("127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"):
        with pytest.raises(client.NotSentError) as refused:
            await caller.call("POST", URL(f"http://{host}:9/"), {}, b"", 2.0)
        assert refused.value.refused, host
    await caller.close()


async def test_a_name_that_leads_to_several_places(inbox: Inbox, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """``localhost`` may be ``::1`` first, where nobody listens."""
    v4, v6 = ((family, socket.SOCK_STREAM, 6, "") for family in (socket.AF_INET, socket.AF_INET6))
    found = [(*v6, ("::1", inbox.port, 0, 0)), (*v4, ("127.0.0.1", inbox.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
    channel = await opened(url=inbox.url.replace("127.0.0.1", "localhost"), networks=["127.0.0.1", "::1"])
    assert (await sent(channel)).result is Result.SENT


async def test_a_proxy_of_the_environment_is_not_believed(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert (await sent(await opened())).result is Result.SENT


async def test_a_certificate_that_nobody_vouches_for(tmp_path: Any) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(served)
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=served).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
    answers = []
    for number, trusted in enumerate((authority, stranger)):
        trusted.cert_pem.write_to_path(tmp_path / f"{number}.pem")
        channel = rest.build(RestRoute("tls", url, networks=LOOPBACK, ca_file=str(tmp_path / f"{number}.pem"), patience=0.2))
        await channel.open(ignore)
        answers.append(await sent(channel))
        await channel.close()
    await runner.cleanup()
    assert [(answer.result, answer.reason) for answer in answers] == [
        (Result.INVALID_ADDRESS, "invalid-address"),  # 404: nobody is at home there, but it was reached
        (Result.ROUTE_FAULT, "route-refused"),
    ]


async def test_a_throttled_route_keeps_its_rate(inbox: Inbox, opened: Open) -> None:
    channel = await opened(submit_timeout=0.6)
    await until(lambda: channel.up)
    channel.throttle.limit(10)
    answers = await channel.send([delivery(number) for number in range(40)])
    taken = len(inbox.ledger.taken)
    assert 3 <= taken <= 10
    assert [answer.result for answer in answers].count(Result.SENT) == taken
    assert {answer.result for answer in answers} == {Result.SENT, Result.THROTTLED}


async def test_what_waits_is_released(inbox: Inbox, opened: Open) -> None:
    channel = await opened(submit_timeout=30.0)
    await until(lambda: channel.up)
    channel.throttle.limit(1)
    sending = asyncio.create_task(channel.send([delivery(number) for number in range(40)]))
    await until(lambda: len(inbox.ledger.taken) > 0)
    channel.release()
    answers = await asyncio.wait_for(sending, 10)
    assert [answer.result for answer in answers].count(Result.THROTTLED) >= 37
    assert len(inbox.ledger.taken) == [answer.result for answer in answers].count(Result.SENT)
