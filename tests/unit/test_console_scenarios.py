"""Scenarios in the console: in plain words, in three languages, with the templates that they use."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from inm.console.console import Console
from tests.support.books import email, fields, plan, scenario, sms, step
from tests.support.console import App, Browser, Client, served, words

Parts = tuple[Client, App, Console]
RULES = [
    {"name": "big", "when": "has(request.due) && request.amount >= 100.0", "template": "big", "lane": "urgent"},
    {"when": 'user.segment == "b" || !(now.getHours("Europe/Rome") < 7)', "send": False},
    {"when": 'request.due - now < duration("36h")', "plan": "careful"},
    {"when": "request.note.startsWith('<b>')", "sender": "by-sms"},
    {"name": "else"},
]


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    documents = (
        sms("text"), sms("big"), email("mail"), fields("request", amount="decimal", due="date", note="string", text="string"),
        fields("user", segment={"type": "enum", "values": ["a", "b"]}),
        plan("careful", step("email", after=172_800), step(after=5400, parallel=True)),
        scenario("bill", title="A bill <is> due", rules=RULES, requires=["amount"], plan=[step(unless='last.state == "failed"')]),
        scenario("theirs") | {"tenant": "volta"},
    )  # fmt: skip
    async with served(*documents) as parts:
        yield parts


async def test_the_list_names_the_templates_of_each(parts: Parts) -> None:
    client, app, _ = parts
    for query, found in (("", ["bill"]), ("?q=DUE", ["bill"]), ("?q=nothing", []), ("?page=x", ["bill"])):
        _, text, _ = await Browser(client, app).get(f"/scenarios{query}", Accept="application/json")
        listed = msgspec.json.decode(text)["scenarios"]
        assert [each["name"] for each in listed] == found
        assert all(each["templates"] == ["text", "mail", "big"] for each in listed)


async def test_rules_are_told_in_plain_words(parts: Parts) -> None:
    client, app, _ = parts
    _, text, _ = await Browser(client, app).get("/scenarios/bill", Accept_Language="en")
    told = words(text).replace("&#39;", "'")
    assert "A bill &lt;is&gt; due" in told
    assert "If “due” is known and “amount” is at least 100.0: the text is big in the lane urgent" in told
    assert "If the user's “segment” is “b” or it is not so that the hour in Europe/Rome is below 7: nothing is sent" in told
    assert "If the time until “due” is below 36 hours: it is sent so:" in told
    assert "It has 2 days to be delivered. At the same time:" in told
    assert "It has 90 minutes to be delivered." in told
    assert "If <code>request.note.startsWith(&#39;&lt;b&gt;&#39;)</code>:" in text
    assert "else Always: it stays as above" in told
    assert "It is left out if “state” of the step before is “failed”." in told


@pytest.mark.parametrize(("language", "said"), [("it", "36 ore"), ("ru", "36 часов")])
async def test_they_are_told_in_the_language_of_who_reads(parts: Parts, language: str, said: str) -> None:
    client, app, _ = parts
    _, text, _ = await Browser(client, app).get("/scenarios/bill", Accept_Language=language)
    assert said in words(text)
    assert "is at least" not in text


async def test_what_is_anothers_is_not_there(parts: Parts) -> None:
    client, app, _ = parts
    for name in ("theirs", "never", "x" * 300):
        assert (await Browser(client, app, "admin").get(f"/scenarios/{name}"))[0] == 404
