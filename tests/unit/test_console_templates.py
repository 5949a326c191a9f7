"""Templates in the console: listed, compared, moderated by another person than the author, rolled back, tried out."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import pytest

from inm import topics
from inm.console import lines
from inm.console.console import Console
from inm.core.records import Request
from inm.core.reference import Held
from tests.support.books import email, fields, scenario, sms, step
from tests.support.console import App, Browser, Client, account, audit, served, words

Parts = tuple[Client, App, Console]
OLD, NEW = sms("otp", it="Codice {{ code }}"), sms("otp", it="Il codice è {{ code }}", it__young="Ehi, {{ code }}")
DOCUMENTS = (
    OLD,
    NEW,
    {**email("letter", it="Ciao {{ name }}"), "tenant": "acme"},
    sms("theirs", it="Loro") | {"tenant": "volta"},
    fields("request", code="string", amount="decimal"),
    fields("user", segment="string"),
    scenario("login", plan=[step(template="otp")], requires=["code"]),
    account("acme", "second", "moderator"),
)


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with served(*DOCUMENTS) as parts:
        yield parts


def row(app: App, version: int, name: str = "otp") -> Held:
    return app.library.held("acme")[f"acme/template/{name}/{version}"]


async def written(parts: Parts, text: str = "Third {{ code }}", do: str = "submit", who: str = "editor") -> Any:
    client, app, _ = parts
    newest = max(int(path.rpartition("/")[2]) for path in app.library.held("acme") if path.startswith("acme/template/otp/"))
    form = {"revision": str(newest), "key-0": "it", "text-0": text, "do": do}
    return await Browser(client, app, who).post("/templates/otp/edit", form)


async def test_the_list_says_which_version_is_newest_and_which_serves(parts: Parts) -> None:
    client, app, _ = parts
    await written(parts)
    _, text, _ = await Browser(client, app).get("/templates")
    assert "otp sms 3 ◷ submitted for review version 2 it" in words(text)
    assert "theirs" not in text
    for query, found in (("q=LET", ["letter"]), ("channel=sms", ["otp"]), ("state=submitted", ["otp"]), ("state=draft", []), ("q=<b>", [])):
        _, text, _ = await Browser(client, app).get(f"/templates?{query}", Accept="application/json")
        assert [each["name"] for each in msgspec.json.decode(text)["templates"]] == found, query


async def test_ten_thousand_templates_are_paged() -> None:
    async with served() as (client, app, _):
        paths = {f"acme/template/t{number:05}/1": sms(f"t{number:05}", en="x") | {"tenant": "acme"} for number in range(10_000)}
        rows = {path.encode(): msgspec.json.encode(Held(path, 1, document, "ada", 0, "approved")) for path, document in paths.items()}
        await app.library.take(rows, True)
        browser = Browser(client, app)
        names: list[str] = []
        for page in ("1", "200"):
            status, text, _ = await browser.get(f"/templates?page={page}")
            assert (status, len(text) < 100_000) == (200, True)
            names += re.findall(r'href="/console/templates/(t\d+)"', text)
        assert (len(names), names[0], names[-1]) == (100, "t00000", "t09999")
        for odd in ("0", "-1", "x", "9" * 50, "201", "²"):
            assert (await browser.get(f"/templates?page={odd}"))[0] == 200


async def test_a_version_goes_its_way_and_serves_when_another_person_has_approved_it(parts: Parts) -> None:
    client, app, _ = parts
    status, _, headers = await written(parts, who="moderator", do="save")
    assert (status, headers["Location"]) == (303, "/console/templates/otp/3")
    author, other = Browser(client, app, "moderator"), Browser(client, app, "second")
    assert (await author.post("/templates/otp/3/submit", {"revision": "1"}))[0] == 303
    assert app.catalogue.book("acme").templates["otp"].version == 2
    status, text, _ = await author.post("/templates/otp/3/approve", {"revision": "2"})
    assert (status, "an author does not approve his own text" in words(text)) == (422, True)
    assert "another person approves or rejects it" in words((await author.get("/templates/otp/3"))[1])
    assert (await other.post("/templates/otp/3/approve", {"revision": "2", "comment": "good"}))[0] == 303
    assert app.catalogue.book("acme").templates["otp"].version == 3
    assert (row(app, 3).state, row(app, 3).reviewer, row(app, 3).comment) == ("approved", "second", "good")
    assert [change["author"] for change in app.emitter.of(topics.CHANGES)] == ["moderator", "moderator", "moderator", "second"]


async def test_what_is_rejected_is_rejected_with_a_comment(parts: Parts) -> None:
    client, app, _ = parts
    await written(parts)
    moderator = Browser(client, app, "moderator")
    status, text, _ = await moderator.post("/templates/otp/3/reject", {"revision": "2"})
    assert (status, "Say why" in text, row(app, 3).state) == (422, True, "submitted")
    assert (await moderator.post("/templates/otp/3/reject", {"revision": "2", "comment": "<b>no</b>"}))[0] == 303
    assert row(app, 3).state == "rejected"
    assert "<b>no" not in (await moderator.get("/templates/otp/3"))[1]


async def test_who_decides_on_what_has_changed_is_told_and_keeps_the_comment(parts: Parts) -> None:
    client, app, _ = parts
    await written(parts)
    await Browser(client, app, "editor").post("/templates/otp/3/withdraw", {"revision": "2"})
    status, text, _ = await Browser(client, app, "moderator").post("/templates/otp/3/approve", {"revision": "2", "comment": "fine by me"})
    assert (status, "fine by me" in text or "changed it meanwhile" in text, row(app, 3).state) == (412, True, "draft")


@pytest.mark.parametrize("role", ["viewer", "editor"])
@pytest.mark.parametrize("action", ["approve", "reject"])
async def test_who_may_not_review_does_not(parts: Parts, role: str, action: str) -> None:
    client, app, _ = parts
    await written(parts)
    assert (await Browser(client, app, role).post(f"/templates/otp/3/{action}", {"revision": "2", "comment": "x"}))[0] == 403
    assert row(app, 3).state == "submitted"


async def test_an_older_text_comes_back_as_a_new_version_that_waits_for_its_review(parts: Parts) -> None:
    client, app, _ = parts
    editor = Browser(client, app, "editor")
    assert (await editor.post("/templates/otp/1/restore", {"revision": "1"}))[0] == 412, "somebody has written a version since"
    status, _, headers = await editor.post("/templates/otp/1/restore", {"revision": "2", "comment": "the new one confuses"})
    assert (status, headers["Location"]) == (303, "/console/templates/otp/3")
    assert (row(app, 3).document, row(app, 3).state) == (row(app, 1).document, "submitted")
    assert app.catalogue.book("acme").templates["otp"].version == 2
    assert (await editor.post("/templates/otp/1/restore", {"revision": "3"}))[0] == 303
    assert "acme/template/otp/4" not in app.library.held("acme")


async def test_the_difference_is_told_by_variant_and_word(parts: Parts) -> None:
    client, app, _ = parts
    _, text, _ = await Browser(client, app).get("/templates/otp/2?against=1")
    assert "<del>Codice</del><ins>Il codice è</ins> {{ code }}" in text
    assert "<ins>Ehi, {{ code }}</ins>" in text
    _, text, _ = await Browser(client, app).get("/templates/otp/2?against=1", Accept="application/json")
    assert [(each["variant"], each["part"]) for each in msgspec.json.decode(text)["differences"]] == [("it", "text"), ("it/young", "text")]


async def test_what_is_not_there_is_not_found(parts: Parts) -> None:
    client, app, _ = parts
    browser = Browser(client, app, "editor")
    for path in ("theirs", "never", "otp/0", "otp/3", "otp/x", "otp/²", "otp/" + "9" * 40, "theirs/1", "theirs/edit", "theirs/test"):
        assert (await browser.get(f"/templates/{path}"))[0] == 404, path
    form = {"revision": "1", "key-0": "it", "text-0": "x", "do": "save", "tenant": "volta"}
    for path in ("theirs/edit", "theirs/test", "theirs/1/submit", "theirs/1/restore"):
        assert (await browser.post(f"/templates/{path}", form))[0] == 404, path
    assert not app.emitter.records


async def test_the_lines_of_the_list_are_made_once_for_each_change(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    client, app, _ = parts
    made: list[int] = []
    listed = lines.listed

    def counted(held: Mapping[str, Held]) -> list[lines.Entry]:
        made.append(len(held))
        return listed(held)

    monkeypatch.setattr(lines, "listed", counted)
    viewer = Browser(client, app)
    for path in ("/templates", "/templates?q=ot", "/templates?page=1"):
        assert (await viewer.get(path))[0] == 200
    assert len(made) == 1
    assert (await Browser(client, app, "editor").post("/templates/otp/1/restore", {"revision": "2"}))[0] == 303
    _, text, _ = await viewer.get("/templates?q=otp", Accept="application/json")
    [line] = msgspec.json.decode(text)["templates"]
    assert (line["version"], line["state"], line["serving"], len(made)) == (3, "submitted", 2, 2)
    assert (await Browser(client, app, tenant="volta").get("/templates"))[0] == 200
    assert len(made) == 3


async def test_a_test_goes_out_as_a_test_to_one_address_and_is_recorded(parts: Parts) -> None:
    client, app, _ = parts
    editor = Browser(client, app, "editor")
    form = {"scenario": "login", "to": "+447700900001", "variant": "it/young", "value:code": "4711", "mark": "m1"}
    status, _, headers = await editor.post("/templates/otp/test", form)
    assert (status, headers["Location"]) == (303, "/console/notifications?q=test-m1")
    [value] = [value for topic, _, _, value in app.emitter.records if topic == "inm.requests.acme" and value]
    request = msgspec.json.decode(value, type=Request)
    assert (request.scenario, request.test, request.fields) == ("login", True, {"code": "4711"})
    assert not isinstance(request.to, list)
    assert (request.to.phone, request.to.language, request.to.tone) == ("+447700900001", "it", "young")
    assert audit(app) == ["editor tested acme/template/otp/2"]
    assert "900001" not in str(app.emitter.of(topics.AUDIT))


@pytest.mark.parametrize("wrong", [{"to": ""}, {"to": "nowhere"}, {"scenario": "other"}, {"scenario": ""}, {"value:code": '{"a": 1}'}])
async def test_a_test_with_a_fault_is_not_sent_and_keeps_what_was_written(parts: Parts, wrong: dict[str, str]) -> None:
    client, app, _ = parts
    form = {"scenario": "login", "to": "+447700900001", "value:code": "keep-me"} | wrong
    status, text, _ = await Browser(client, app, "editor").post("/templates/otp/test", form)
    assert status == 422
    assert "keep-me" in text or "value:code" in wrong
    assert not app.emitter.records


async def test_a_viewer_sends_and_writes_nothing(parts: Parts) -> None:
    client, app, _ = parts
    viewer = Browser(client, app, "viewer")
    for path in ("otp/test", "otp/edit", "otp/2/submit", "otp/1/restore"):
        assert (await viewer.post(f"/templates/{path}", {"revision": "2", "scenario": "login", "to": "a@b.example"}))[0] == 403
    _, text, _ = await viewer.get("/templates/otp/2")
    assert "/edit" not in text
    assert "/test" not in text
    assert not app.emitter.records
