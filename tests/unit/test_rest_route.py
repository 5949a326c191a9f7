"""A REST route: its options, the request that it makes of a delivery, and what statuses mean."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inm.channels import rest
from inm.channels.http import codes
from inm.channels.http.message import UnsendableError, identity
from inm.channels.rest import ReportingRest, Rest, RestRoute
from inm.channels.routes import build
from inm.core.faults import MisconfiguredError
from inm.core.records import Content, Delivery
from inm.core.rendering import RenderError
from inm.core.results import REASONS, Result
from inm.settings.routes import RouteSettings

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u"
URL = "https://crm.example/messages"


def delivery(**given: Any) -> Delivery:
    content = given.pop("content", Content("Ciao", title="Title", data={"screen": "home"}))
    return Delivery(
        id="3-abc.1.2", notification="3-abc", key="acme/7", tenant="acme", scenario="hello", channel="rest", lane="normal",
        route="crm", to="+393331234567", sender="Acme", content=content, template="t", version=4, language="it", step=1, attempt=2,
        decided=0, expires=1_900_000_000_000,
    ) if not given else msgspec.structs.replace(delivery(content=content), **given)  # fmt: skip


def route(**options: Any) -> RestRoute:
    return RestRoute("crm", **{"url": URL, **options})


PEOPLE = route(url="https://crm.example/v1/{{ to }}/inbox", address="user").templates()
SHOWING = route(headers={"X-Text": "{{ text }}"}).templates()


def test_the_body_without_a_template() -> None:
    made = route().templates().render(delivery())
    assert (made.method, str(made.url)) == ("POST", URL)
    assert made.headers == {"Content-Type": "application/json"}
    assert json.loads(made.body or b"") == {
        "id": "3-abc.1", "to": "+393331234567", "sender": "Acme", "text": "Ciao", "title": "Title", "data": {"screen": "home"},
        "language": "it", "tenant": "acme", "scenario": "hello", "expires": 1_900_000_000_000,
    }  # fmt: skip


def test_the_id_is_the_same_over_attempts_and_another_for_each_step() -> None:
    assert identity(delivery(attempt=1)) == identity(delivery(attempt=7)) != identity(delivery(step=2))


def test_a_templated_request() -> None:
    made = (
        route(
            url="https://crm.example/{{ tenant }}/people/{{ to }}?lang={{ language }}",
            method="{{ 'PUT' if attempt > 1 else 'POST' }}",
            headers={"x-name": "{{ sender }}\n  {{ text }}", "X-Key": "{{ token }}"},
            body={"a": ["{{ data.screen }}", "{{ data.none }}", "{{ version }}", {"b": "{{ title }}!"}], "c": 1, "d": True, "e": None},
            token="t0ken",
        )
        .templates()
        .render(delivery())
    )
    assert (made.method, str(made.url)) == ("PUT", "https://crm.example/acme/people/%2B393331234567?lang=it")
    assert made.headers == {"X-Name": "Acme Ciao", "X-Key": "t0ken", "Content-Type": "application/json"}
    assert json.loads(made.body or b"") == {"a": ["home", None, 4, {"b": "Title!"}], "c": 1, "d": True, "e": None}


def test_a_token_that_no_header_names_is_a_bearer() -> None:
    assert route(token="t0ken").templates().render(delivery()).headers["Authorization"] == "Bearer t0ken"


def test_what_has_no_body_sends_none() -> None:
    assert route(method="GET").templates().render(delivery()).body is None


@given(st.text(min_size=1).filter(lambda text: text.isprintable() and not any("\ud800" <= c <= "\udfff" for c in text)))
@example(".")
@example("..")
@example("../admin?x=y#z")
def test_no_recipient_leads_elsewhere(to: str) -> None:
    """Whatever stands in a path stays in its place of it."""
    try:
        made = PEOPLE.render(delivery(to=to))
    except UnsendableError:
        assert to in (".", "..")
        return
    assert to not in (".", ".."), "whoever takes these may read them as another path"
    assert made.url.host == "crm.example"
    assert made.url.parts == ("/", "v1", to, "inbox")
    assert not made.url.query_string
    assert not made.url.fragment


@given(st.dictionaries(st.text(), st.text()), st.text())
def test_no_content_breaks_out_of_its_place(data: dict[str, str], text: str) -> None:
    made = SHOWING.render(delivery(content=Content(text, data=data)))
    assert not {"\r", "\n", "\0"} & set(made.headers["X-Text"])
    assert json.loads(made.body or b"")["data"] == data


def test_a_text_that_shows_what_is_not_there_is_not_sent() -> None:
    with pytest.raises(RenderError) as refused:
        route(body={"title": "{{ title }}!"}).templates().render(delivery(content=Content("x")))
    assert refused.value.reason in REASONS


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "https://{{ tenant }}.example/"}, "url: found no https://"),
        ({"url": "https://127.0.0.1{{ to }}/"}, "url: found no https://"),
        ({"url": "http://10.0.0.7/x"}, "url: leads to 10.0.0.7, which is on a private network"),
        ({"url": "http://0x7f.1/x", "networks": ["10.0.0.0/8"]}, "url: leads to 127.0.0.1"),
        ({"url": "http://localhost/x"}, "url: leads to localhost"),
        ({"url": "https://crm.example/{{ to"}, "url: line 1: "),
        ({"url": "https://crm.example/{{ user }}"}, "url: no such variable, found user, allowed: id,"),
        ({"method": "CONNECT"}, "method: found 'CONNECT', allowed: POST"),
        ({"headers": {"X-A": "{{ text.__class__ }}", "Bad name": "x"}}, "headers/Bad name: is no header"),
        ({"headers": {"Host": "x"}}, "headers/Host: is no header"),
        ({"headers": {"X-Key": "{{ token }}"}}, "token: is missing"),
        ({"body": {"a": {"b/c": "{% for %}"}}}, "body/a/b~1c: line 1"),
        ({"body": "{{ text }}"}, "body: found str, allowed: a mapping or a list"),
        ({"body": ["{{ nobody }}"]}, "body/0: no such variable, found nobody"),
        ({"secret": "short"}, "secret: holds no webhook secret"),
        ({"receipt_secret": "short"}, "receipt_secret: holds no webhook secret"),
        ({"receipt_secret": SECRET, "receipt_id": "a["}, "receipt_id: is no JMESPath"),
        ({"receipt_secret": SECRET, "receipt_states": {"gone": "dead"}}, "receipt_states/gone: found 'dead', allowed: delivered"),
        ({"message_id": "]"}, "message_id: is no JMESPath"),
        ({"statuses": {"4xxx": "sent"}}, "statuses: found '4xxx', allowed: 200 to 599"),
        ({"statuses": {409: "fine"}}, "statuses/409: found 'fine', allowed: sent"),
        ({"address": "fax"}, "address: found 'fax', allowed: phone, email, user"),
        ({"networks": ["ten"]}, "networks: found 'ten'"),
        ({"connections": 0}, "connections: is 0, it must be above 0"),
        ({"connections": "many"}, "connections: Expected `int`"),
        ({"ca_file": "/nowhere.pem"}, "[Errno 2] No such file"),
        ({"colour": "red"}, "colour: no such option, allowed: url,"),
        ({"url": None}, "url: Expected `str`"),
    ],
)
def test_a_wrong_option_stops_the_start_with_its_name(options: dict[str, Any], words: str) -> None:
    with pytest.raises(MisconfiguredError) as refused:
        build([RouteSettings("crm", "rest", {"url": URL, **options})])
    assert f"/routes/crm: {words}" in str(refused.value)
    assert "short" not in str(refused.value)


def test_with_a_secret_for_receipts_there_are_receipts() -> None:
    assert type(rest.build(route(receipt_secret=SECRET))) is ReportingRest
    assert type(rest.build(route())) is Rest
    assert SECRET not in repr(route(secret=SECRET, receipt_secret=SECRET, token=SECRET))


@given(st.integers(200, 599))
def test_every_status_means_something(status: int) -> None:
    result = codes.meaning(status, {})
    assert (result is Result.SENT) == (status < 300)
    assert result is Result.SENT or codes.refusal(result, status, b"").reason in REASONS


def test_a_route_may_see_it_in_another_way() -> None:
    own = codes.overlay({409: "sent", "5xx": "unknown", "503": "temporary"})
    found = [codes.meaning(status, own) for status in (409, 404, 500, 503, 502, 200)]
    assert found == [Result.SENT, Result.INVALID_ADDRESS, Result.UNKNOWN, Result.TEMPORARY, Result.UNKNOWN, Result.SENT]


@pytest.mark.parametrize(
    ("given_", "seconds"),
    [("7", 7), (" 0 ", 0), (None, 0), ("soon", 0), ("-5", 0), ("Sun, 06 Nov 1994 08:49:47 GMT", 10), ("Sun, 06 Nov 1994 08:49:07 GMT", 0)],
)
def test_retry_after(given_: str | None, seconds: float) -> None:
    assert codes.retry_after(given_, 784_111_777) == seconds


@given(st.text())
def test_retry_after_takes_anything(text: str) -> None:
    assert codes.retry_after(text, 0) >= 0
