"""Accounts: made and changed by admins of the same tenant, and never to nobody's benefit."""

from collections.abc import AsyncIterator

import pytest

from inm import topics
from inm.console.console import Console
from tests.support.console import KEPT, App, Browser, Client, served, words

Parts = tuple[Client, App, Console]
NEW = {"name": "olga", "title": "Olga", "roles": "editor", "password": "a long password"}


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with served() as parts:
        yield parts


async def test_an_account_that_was_made_signs_in_and_is_changed(parts: Parts) -> None:
    client, app, _ = parts
    admin = Browser(client, app, "admin")
    status, _, headers = await admin.post("/accounts", NEW)
    assert (status, headers["Location"]) == (303, "/console/accounts/olga")
    [made] = app.emitter.of(topics.CHANGES)
    assert (made["author"], made["items"][0]["path"], made["items"][0]["expected"]) == ("admin", "acme/account/olga", 0)
    assert made["items"][0]["document"]["password"].startswith("$argon2id$")
    form = {"tenant": "acme", "name": "olga", "password": "a long password"}
    assert (await Browser(client, app, None).post("/sign-in", form))[0] == 303
    status, text, _ = await admin.get("/accounts/olga")
    assert (status, "argon2" in text) == (200, False)
    changed = {"revision": "1", "title": "Olga R.", "roles": "operator", "disabled": "1"}
    assert (await admin.post("/accounts/olga", changed))[0] == 303
    found = app.catalogue.book("acme").accounts["olga"]
    assert (found.roles, found.title, found.disabled, found.password) == (
        ["operator"],
        "Olga R.",
        True,
        made["items"][0]["document"]["password"],
    )
    assert (await Browser(client, app, None).post("/sign-in", form))[0] == 401


@pytest.mark.parametrize(("wrong", "said"), [
    ({"name": ""}, "A name has letters"), ({"name": "a b"}, "A name has letters"), ({"name": "<b>"}, "A name has letters"),
    ({"name": "viewer"}, "There is an account of this name"), ({"roles": ""}, "one role at least"), ({"roles": "god"}, "one role at least"),
    ({"password": "short"}, "12 to 256"), ({"password": ""}, "Give it a password"),
])  # fmt: skip
async def test_a_form_with_a_fault_says_so_keeps_the_rest_and_changes_nothing(parts: Parts, wrong: dict[str, str], said: str) -> None:
    client, app, _ = parts
    status, text, _ = await Browser(client, app, "admin").post("/accounts", NEW | wrong)
    assert (status, said in words(text)) == (422, True)
    assert 'value="Olga"' in text
    assert "a long password" not in text
    assert not app.emitter.of(topics.CHANGES)


async def test_who_was_slower_is_told_and_changes_nothing(parts: Parts) -> None:
    client, app, _ = parts
    admin = Browser(client, app, "admin")
    row = app.library.held("acme")["acme/account/editor"]
    first = {"revision": str(row.revision), "roles": "editor", "title": "First"}
    assert (await admin.post("/accounts/editor", first))[0] == 303
    status, text, _ = await admin.post("/accounts/editor", first | {"title": "Second"})
    assert (status, "changed it meanwhile" in words(text)) == (412, True)
    assert app.catalogue.book("acme").accounts["editor"].title == "First"


async def test_an_admin_does_not_lock_herself_out(parts: Parts) -> None:
    client, app, _ = parts
    admin = Browser(client, app, "admin")
    revision = str(app.library.held("acme")["acme/account/admin"].revision)
    assert (await admin.post("/accounts/admin", {"revision": revision, "roles": "viewer"}))[0] == 422
    assert (await admin.post("/accounts/admin", {"revision": revision, "roles": "admin", "disabled": "1"}))[0] == 422
    assert not app.emitter.of(topics.CHANGES)


async def test_accounts_of_others_are_not_there(parts: Parts) -> None:
    client, app, _ = parts
    admin = Browser(client, app, "admin")
    await Browser(client, app, "admin", "volta").post("/accounts", NEW | {"name": "theirs"})
    for name in ("theirs", "never", "x" * 300):
        assert (await admin.get(f"/accounts/{name}"))[0] == 404
        assert (await admin.post(f"/accounts/{name}", {"revision": "1", "roles": "admin"}))[0] == 404
    assert "theirs" not in (await admin.get("/accounts"))[1]
    assert KEPT not in (await admin.get("/accounts", Accept="application/json"))[1]
