"""The editor: what is typed is previewed, kept and never lost; and nothing of it runs."""

import html
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from inm import topics
from inm.console.console import Console
from inm.core.users import User
from inm.tables import users
from tests.support.books import fields, scenario, sms
from tests.support.console import PASSWORD, App, Browser, Client, Partition, audit, served, words

Parts = tuple[Client, App, Console]
HTML = "<style>p{color:red}</style><p onclick='steal()'>Ciao {{ name }}</p><script>steal()</script><img src='https://evil.example/x'>"
LETTER = {
    "kind": "template",
    "name": "letter",
    "channel": "email",
    "variants": {"it": {"subject": "Ciao {{ name }}", "html": HTML, "text": "Ciao {{ name }}"}},
}
FORM = {"revision": "1", "key-0": "it", "text-0": "Il codice: {{ code }}", "key-1": "it/young", "text-1": "Ehi {{ code }}", "do": "save"}


@pytest.fixture
async def parts(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    monkeypatch.setattr(users.users.table, "partitions", {number: Partition() for number in range(6)})
    documents = (
        sms("otp", it="Codice {{ code }}"),
        LETTER,
        scenario("login"),
        sms("text"),
        fields("request", text="string", code="string", due="date"),
        fields("user", segment={"type": "enum", "values": ["gold", "base"]}),
    )
    async with served(*documents) as parts:
        yield parts


async def test_a_new_version_is_kept_as_it_was_typed_by_the_way_that_all_changes_go(parts: Parts) -> None:
    client, app, _ = parts
    typed = FORM | {"text-0": "\r\n Zwei\r\nZeilen {{ code }}  \r\n", "comment": "shorter"}
    status, _, headers = await Browser(client, app, "editor").post("/templates/otp/edit", typed)
    assert (status, headers["Location"]) == (303, "/console/templates/otp/2")
    [change] = app.emitter.of(topics.CHANGES)
    assert (change["author"], change["tenant"], change["items"][0]["expected"]) == ("editor", "acme", 1)
    row = app.library.held("acme")["acme/template/otp/2"]
    assert row.document["variants"] == {"it": {"text": "\n Zwei\nZeilen {{ code }}  \n"}, "it/young": {"text": "Ehi {{ code }}"}}
    assert (row.state, row.author, row.comment) == ("draft", "editor", "shorter")
    _, text, _ = await Browser(client, app, "editor").get("/templates/otp/edit")
    assert '">\n\n Zwei\nZeilen {{ code }}  \n</textarea>' in text, "a browser drops the first line break of a field"


async def test_a_form_that_was_only_opened_makes_no_version(parts: Parts) -> None:
    client, app, _ = parts
    editor = Browser(client, app, "editor")
    for name in ("otp", "letter"):
        assert (await editor.get(f"/templates/{name}/edit"))[0] == 200
        document = app.library.held("acme")[f"acme/template/{name}/1"].document
        form = {"revision": "1", "key-0": "it", "do": "submit"} | {f"{part}-0": value for part, value in document["variants"]["it"].items()}
        status, _, headers = await editor.post(f"/templates/{name}/edit", form)
        assert (status, headers["Location"]) == (303, f"/console/templates/{name}/1")
        assert f"acme/template/{name}/2" not in app.library.held("acme")


async def test_who_was_slower_sees_both_texts_and_loses_nothing(parts: Parts) -> None:
    client, app, _ = parts
    one, other = Browser(client, app, "editor"), Browser(client, app, "moderator")
    assert (await one.post("/templates/otp/edit", FORM | {"text-0": "Theirs {{ code }}"}))[0] == 303
    mine = FORM | {"text-0": "Mine {{ code }}", "comment": "my reason"}
    status, text, _ = await other.post("/templates/otp/edit", mine)
    assert (status, "editor has written version 2 meanwhile" in words(text)) == (412, True)
    assert "Mine {{ code }}" in re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", text, re.DOTALL)
    assert "Theirs {{ code }}" in text
    assert "<del>Theirs</del><ins>Mine</ins>" in text
    assert "my reason" in text
    assert "acme/template/otp/3" not in app.library.held("acme")
    [revision] = re.findall(r'name="revision" value="(\d+)"', text)
    assert (await other.post("/templates/otp/edit", mine | {"revision": revision}))[0] == 303
    assert app.library.held("acme")["acme/template/otp/3"].document["variants"]["it"]["text"] == "Mine {{ code }}"


@pytest.mark.parametrize("do", ["save", "preview"])
async def test_a_session_that_ends_keeps_the_text(parts: Parts, do: str) -> None:
    client, app, _ = parts
    late = Browser(client, app, "editor", at=1)
    typed = FORM | {"text-0": "Worth keeping {{ code }}", "do": do}
    status, text, _ = await late.post("/templates/otp/edit", typed)
    assert (status, "Worth keeping" in text) == (401, True)
    fields = {name: html.unescape(value) for name, value in reversed(re.findall(r'name="(next|kept)" value="([^"]*)"', text))}
    assert fields["next"] == "/console/templates/otp/edit"
    entered = {"tenant": "acme", "name": "editor", "password": PASSWORD}
    status, text, _ = await Browser(client, app, None).post("/sign-in", entered | fields)
    assert (status, 'action="/console/templates/otp/edit"' in text) == (200, True)
    again = {name: html.unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', text) if name != "csrf"}
    status, text, _ = await Browser(client, app, "editor").post("/templates/otp/edit", again)
    if do == "preview":
        assert ">\nWorth keeping {{ code }}</textarea>" in text
    else:
        assert status == 303
        assert app.library.held("acme")["acme/template/otp/2"].document["variants"]["it"]["text"] == "Worth keeping {{ code }}"


async def test_a_preview_after_the_session_leaves_what_is_written_alone(parts: Parts) -> None:
    client, app, _ = parts
    late = Browser(client, app, "editor", at=1)
    status, text, headers = await late.post("/templates/otp/edit", FORM | {"do": "preview"}, HX_Request="true")
    assert (status, headers["HX-Reselect"], headers["HX-Reswap"]) == (401, ".instead", "innerHTML")
    assert words(text) == "Your session is over. What you wrote stays: go on, and you will be asked to sign in."


@pytest.mark.parametrize(("session", "code", "said"), [({"at": 1}, 401, "Your session is over."), ({}, 404, "There is nothing here")])
async def test_a_frame_says_what_it_cannot_show(parts: Parts, session: dict[str, Any], code: int, said: str) -> None:
    client, app, _ = parts
    status, text, headers = await Browser(client, app, "editor", **session).get("/letters/0", Sec_Fetch_Dest="iframe")
    assert (status, words(text)) == (code, said)
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(("wrong", "said"), [
    ({"key-0": "", "text-0": "x"}, "Say the language"), ({"key-1": "it"}, "another text of this language"),
    ({"text-0": ""}, "is missing"), ({"text-0": "{{ code"}, "line 1"), ({"text-0": "{{ ''.__class__() }}"}, "not allowed"),
    ({"text-0": "{{ nobody }}"}, "reads a field that is not declared"), ({"key-0": "<script>"}, "variants"),
    ({"text-0": "x" * 200_001}, "allowed are 200000"), ({"key-0": "it/<b>"}, "variants"),
    ({"subject-0": "no"}, "has no such part"), ({"key-0": "", "text-0": "", "key-1": "", "text-1": ""}, "variants"),
    ({"text-0": "100%(x)s {{ code|nope }}"}, "line 1"),
])  # fmt: skip
async def test_a_text_with_a_fault_is_refused_and_stays_in_the_form(parts: Parts, wrong: dict[str, str], said: str) -> None:
    client, app, _ = parts
    for language in ("en", "ru"):
        sent = FORM | {"comment": "stays here"} | wrong
        status, text, _ = await Browser(client, app, "editor").post("/templates/otp/edit", sent, Accept_Language=language)
        assert status == 422
        assert said in words(text) or language != "en"
        assert "stays here" in text
        assert "<script>" not in text.replace("<script src", "")
    assert "acme/template/otp/2" not in app.library.held("acme")


async def test_a_template_is_made_and_its_name_is_looked_at(parts: Parts) -> None:
    client, app, _ = parts
    editor = Browser(client, app, "editor")
    form = {"name": "fresh", "channel": "email", "key-0": "en", "subject-0": "S", "text-0": "T", "revision": "0", "do": "save"}
    for name in ("", "otp", "a/b", "../x", "<b>", "x" * 101, "a b"):
        status, text, _ = await editor.post("/new-template", form | {"name": name})
        assert (status, ">\nT</textarea>" in text) == (422, True), name
    status, _, headers = await editor.post("/new-template", form)
    assert (status, headers["Location"]) == (303, "/console/templates/fresh/1")
    assert app.library.held("acme")["acme/template/fresh/1"].document["channel"] == "email"


async def test_one_more_variant_takes_nothing_away(parts: Parts) -> None:
    client, app, _ = parts
    _, text, _ = await Browser(client, app, "editor").post("/templates/otp/edit", FORM | {"do": "add"})
    assert re.findall(r'name="(key-\d)"', text) == ["key-0", "key-1", "key-2"]
    assert not app.emitter.records


async def test_the_preview_has_all_languages_and_tones_and_names_the_holes(parts: Parts) -> None:
    client, app, _ = parts
    form = {"do": "preview", "channel": "sms", "key-0": "it", "text-0": "Così “{{ code }}” 😀" * 12, "key-1": "en/young", "text-1": "Hi"}
    status, text, _ = await Browser(client, app, "editor").post("/new-template", form)
    told = words(text)
    assert status == 200
    assert "2 places have no text of their own." in told
    assert "∅ goes out as it" in told
    assert re.search(r"[345] parts, \d+ characters, UCS-2 These characters make it longer: “ ” 😀", told)
    assert "1 part, 2 characters, GSM-7" in told
    assert not app.emitter.records


async def test_a_preview_of_what_does_not_compile_shows_the_rest(parts: Parts) -> None:
    client, app, _ = parts
    form = {"do": "preview", "channel": "sms", "key-0": "it", "text-0": "{{ code", "key-1": "en", "text-1": "Hi {{ code }}"}
    _, text, _ = await Browser(client, app, "editor").post("/new-template", form)
    assert "line 1" in words(text)
    assert "Hi code" in words(text)
    assert "{{ code</textarea>" in text


async def test_a_letter_is_a_document_of_its_own_that_runs_and_fetches_nothing(parts: Parts) -> None:
    client, app, _ = parts
    status, text, headers = await Browser(client, app, "viewer").get("/templates/letter")
    assert "<script>steal" not in text
    assert "onclick='steal" not in text
    [source] = re.findall(r'<iframe class="letter" sandbox loading="lazy" src="/console(/letters/\w+)"', text)
    status, letter, headers = await Browser(client, app, "viewer").get(source)
    policy = headers["Content-Security-Policy"]
    assert (status, "Ciao Ada Rossi" in letter) == (200, True)
    assert "sandbox;" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "allow-" not in policy
    assert "https:" not in policy
    assert (await Browser(client, app, "viewer", "volta").get(source))[0] == 404
    assert (await Browser(client, app, None).get(source))[0] == 303


async def test_without_the_right_a_users_data_are_seen_by_their_shape(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    client, app, _ = parts
    known = User("acme/u-1", 2**45, name="Zoe Bianchi", language="it", tone="young", fields={"segment": "gold"})
    monkeypatch.setattr(users, "peek", lambda _partition, key, *_: known if key == known.key else None)
    form = {"do": "preview", "channel": "sms", "key-0": "it/young", "text-0": "Ciao {{ name }} {{ segment }}", "user": "u-1"}
    _, text, _ = await Browser(client, app, "editor").post("/new-template", form | {"full": "1"})
    assert ("Ciao Xxx Xxxxxxx gold" in words(text), "Zoe" in text, "This user gets it/young" in words(text)) == (True, False, True)
    assert not app.emitter.records
    operator = Browser(client, app, "operator")
    for _ in range(3):
        _, text, _ = await operator.post("/new-template", form | {"full": "1"})
        assert "Ciao Zoe Bianchi gold" in words(text)
    assert audit(app) == ["operator unmasked acme/user/u-1"]
    _, text, _ = await operator.post("/new-template", form | {"user": "nobody"})
    assert "Nothing is known of this user" in words(text)


async def test_users_of_others_are_not_there(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    client, app, _ = parts
    asked: list[str] = []
    monkeypatch.setattr(users, "peek", lambda _partition, key, *_: asked.append(key))
    form = {"do": "preview", "channel": "sms", "key-0": "it", "text-0": "{{ name }}"}
    for user in ("volta/u-1", "../volta/u-1"):
        await Browser(client, app, "operator").post("/new-template", form | {"user": user, "full": "1", "tenant": "volta"})
    assert all(key.startswith("acme/") for key in asked)
    assert asked


async def test_the_row_of_a_user_is_for_other_workers_only(parts: Parts) -> None:
    client, app, _ = parts
    assert (await Browser(client, app, "admin").get("/preview/user?id=u-1", Accept="application/json", Inm_Forwarded="1"))[0] == 404
