"""Laws of changes of reference data: nothing serves unreviewed, nothing is changed in part, nothing of others is touched."""

from collections.abc import Mapping
from itertools import count, islice
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from inm.core.books import bind
from inm.core.changes import AHEAD, LARGEST, Changed, change, seeding
from inm.core.documents import Parsed
from inm.core.reference import Action, Change, Held, Item, tenant_of

_ids = count(100)
NOW = 1_790_000_000_000
ROUTES = {"smsc-1": "sms", "smtp-1": "email"}
PEOPLE = ("anna", "boris", "Anna ", "clara")

TENANT = {"kind": "tenant", "name": "acme", "title": "Acme", "language": "en", "timezone": "UTC", "routes": {"sms": "smsc-1"}}
SENDER = {"kind": "sender", "tenant": "acme", "name": "acme-sms", "channel": "sms", "address": "Acme"}
SCENARIO = {
    "kind": "scenario", "tenant": "acme", "name": "otp", "validity": 60,
    "plan": [{"channel": "sms", "template": "otp-sms", "sender": "acme-sms", "after": 60}],
}  # fmt: skip


def template(text: str, tenant: str = "acme") -> dict[str, Any]:
    return {"kind": "template", "tenant": tenant, "name": "otp-sms", "channel": "sms", "variants": {"en": {"text": text}}}


def applied(document: dict[str, Any], **more: Any) -> Item:
    tenant, kind, name = document.get("tenant", document["name"]), document["kind"], document["name"]
    return Item("apply", f"{tenant}/tenant" if kind == "tenant" else f"{tenant}/{kind}/{name}", document, **more)


def asked(*items: Item, author: str = "anna", **more: Any) -> Change:
    return Change(more.pop("id", None) or f"c{next(_ids)}", author, NOW, list(items), **more)


def after(held: Mapping[str, Held], changed: Changed) -> dict[str, Held]:
    rows = {path: changed.rows.get(path, held.get(path)) for path in {*held, *changed.rows}}
    return {path: row for path, row in rows.items() if row is not None}


def done(held: Mapping[str, Held], *items: Item, **more: Any) -> dict[str, Held]:
    changed = change(held, asked(*items, **more), ROUTES, NOW)
    assert not changed.answer.wrong, changed.answer.wrong
    return after(held, changed)


def results(held: Mapping[str, Held], *items: Item, **more: Any) -> list[str]:
    answer = change(held, asked(*items, **more), ROUTES, NOW).answer
    assert not answer.wrong, answer.wrong
    return [f"{one.path} {one.result}" for one in answer.done]


def refused(held: Mapping[str, Held], *items: Item, **more: Any) -> list[str]:
    changed = change(held, asked(*items, **more), ROUTES, NOW)
    assert changed.answer.wrong
    assert not changed.rows
    assert not changed.answer.done
    return [f"{wrong.path}{wrong.fault}" for wrong in changed.answer.wrong]


@pytest.fixture(scope="module")
def acme() -> dict[str, Held]:
    """A tenant with one scenario, whose text is approved."""
    items = [applied(document) for document in (TENANT, SENDER, template("{{ code }}"), SCENARIO)]
    return done({}, *items, id="c0", approved_by="boris")


OTP = "acme/template/otp-sms"


# -- moderation -----------------------------------------------------------------------------------

TEXTS = st.sampled_from(["one {{ code }}", "two {{ code }}", "three {{ code }}"])
STEPS = st.tuples(
    st.sampled_from(["apply", "submit", "withdraw", "approve", "reject", "vouch", "delete"]),
    st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), TEXTS, st.integers(1, 4),
)  # fmt: skip


def step(held: Mapping[str, Held], number: int, kind: str, author: str, other: str, text: str, version: int) -> Changed:
    if kind in ("apply", "vouch"):
        approved_by = other if kind == "vouch" else None
        return change(held, asked(applied(template(text)), author=author, id=f"s{number}", approved_by=approved_by), ROUTES, NOW)
    path = OTP if kind == "delete" else f"{OTP}/{version}"
    return change(held, asked(Item(cast(Action, kind), path), author=author, id=f"s{number}"), ROUTES, NOW)


@settings(deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_no_text_serves_that_two_people_have_not_agreed_on(acme: dict[str, Held], steps: list[tuple[str, str, str, str, int]]) -> None:
    held: dict[str, Held] = {path: row for path, row in acme.items() if "scenario" not in path}
    before = held
    for number, (kind, author, other, text, version) in enumerate(steps):
        held = after(before, step(before, number, kind, author, other, text, version))
        for path, row in held.items():
            known = before.get(path)
            if row.state is None:
                continue
            assert row.state not in ("approved", "rejected") or _differ(row.author, row.reviewer)
            if known is not None:
                assert (row.document, row.author) == (known.document, known.author), "a version never changes"
                assert known.state in ("draft", "submitted") or row == known, "what is approved or rejected stays so"
        before = held
    book = bind(held)
    assert book is not None
    serving = book.templates.get("otp-sms")
    approved = [row for path, row in held.items() if path.startswith(OTP) and row.state == "approved"]
    assert (serving.version if serving else None) == max((int(row.path.rpartition("/")[2]) for row in approved), default=None)


def _differ(author: str, reviewer: str | None) -> bool:
    return reviewer is not None and author.strip().lower() != reviewer.strip().lower()


def test_a_new_text_waits_for_another_person(acme: dict[str, Held]) -> None:
    assert results(acme, applied(template("{{ code }}!"))) == [f"{OTP}/2 configured"]
    held = done(acme, applied(template("{{ code }}!")))
    assert held[f"{OTP}/2"].state == "draft"
    assert refused(held, Item("approve", f"{OTP}/2"), author="boris") == [
        f"{OTP}/2/state: cannot approve it, found draft, allowed: submitted"
    ]
    held = done(held, Item("submit", f"{OTP}/2"))
    [words] = refused(held, Item("approve", f"{OTP}/2"))
    assert "an author does not approve his own text" in words
    held = done(held, Item("approve", f"{OTP}/2"), author="boris")
    assert (held[f"{OTP}/2"].state, held[f"{OTP}/2"].reviewer) == ("approved", "boris")


def test_nobody_vouches_for_his_own_text(acme: dict[str, Held]) -> None:
    assert refused(acme, applied(template("new")), approved_by=" ANNA")
    held = done(acme, applied(template("new")))
    assert refused(held, applied(template("new")), author="boris", approved_by="anna"), "the text is anna's"
    assert refused(held, applied(template("new")), tenant="acme", approved_by="boris"), "a tenant's key knows no persons"
    assert results(held, applied(template("new")), author="anna", approved_by="clara") == [f"{OTP}/2 approved"]


def test_without_moderation_one_person_will_do_but_not_in_the_change_that_ends_it(acme: dict[str, Held]) -> None:
    free = TENANT | {"moderation": False}
    assert refused(acme, applied(free), applied(template("new")), approved_by="anna")
    held = done(acme, applied(free))
    assert results(held, applied(template("new")), approved_by="anna") == [f"{OTP}/2 configured"]


# -- editors --------------------------------------------------------------------------------------


def test_what_is_applied_twice_is_unchanged_the_second_time(acme: dict[str, Held]) -> None:
    items = [
        applied(document) for document in (TENANT, SENDER | {"address": "Acme"}, template("{{ code }}"), SCENARIO | {"lane": "normal"})
    ]
    assert {word.split()[1] for word in results(acme, *items)} == {"unchanged"}


def test_one_of_two_editors_is_told_of_the_conflict(acme: dict[str, Held]) -> None:
    mine, theirs = (applied(SCENARIO | {"title": title}, expected=1) for title in ("mine", "theirs"))
    held = done(acme, mine)
    answer = change(held, asked(theirs, author="boris"), ROUTES, NOW).answer
    assert [(wrong.conflict, wrong.fault.message) for wrong in answer.wrong] == [(True, "anna has changed it meanwhile")]
    assert refused(acme, applied(template("x"), expected=2)) == [f"{OTP}/revision: anna has changed it meanwhile, found 1, allowed: 2"]
    assert results(held, applied(SCENARIO | {"title": "theirs"}, expected=2)) == ["acme/scenario/otp configured"]


def test_what_is_in_use_is_not_deleted_and_the_user_is_named(acme: dict[str, Held]) -> None:
    assert refused(acme, Item("delete", OTP)) == [f"{OTP}/: is in use by acme/scenario/otp at /plan/0/template"]
    assert refused(acme, Item("delete", "acme/sender/acme-sms")) == [
        "acme/sender/acme-sms/: is in use by acme/scenario/otp at /plan/0/sender"
    ]
    assert "the tenant has 3 other documents" in refused(acme, Item("delete", "acme/tenant"))[0]
    assert refused(acme, Item("delete", f"{OTP}/1"))
    everything = [Item("delete", path) for path in ("acme/tenant", "acme/scenario/otp", OTP, "acme/sender/acme-sms")]
    assert done(acme, *everything) == {}


@pytest.mark.parametrize(
    "items",
    [
        [applied(TENANT), applied(TENANT)],
        [Item("apply", "acme/scenario/other", SCENARIO)],
        [Item("apply", "acme/scenario/otp", {"kind": "scenario"})],
        [Item("apply", "acme/scenario/otp", None)],
        [applied(SCENARIO | {"plan": []})],
        [applied(SCENARIO | {"plan": [{"channel": "sms", "template": "none", "sender": "acme-sms", "after": 60}]})],
        [applied(template("x" * LARGEST))],
        [applied(SENDER | {"tenant": "nobody"})],
        [Item("submit", f"{OTP}/9")],
        [Item("submit", OTP)],
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_as_a_whole(acme: dict[str, Held], items: list[Item]) -> None:
    good = applied(SCENARIO | {"title": "would be fine"})
    assert refused(acme, *items)
    if all(item.path != good.path for item in items):
        assert refused(acme, good, *items)


def test_a_template_is_not_deleted_and_reviewed_at_once(acme: dict[str, Held]) -> None:
    held = {path: row for path, row in done(acme, applied(template("new"))).items() if "scenario" not in path}
    held = done(held, Item("submit", f"{OTP}/2"))
    both = [Item("delete", OTP), Item("approve", f"{OTP}/2")]
    assert refused(held, *both, author="boris") == [f"{OTP}/: is in the change more than once"]


def test_a_change_from_the_future_is_refused(acme: dict[str, Held]) -> None:
    assert change(acme, replace(asked(applied(SENDER)), at=NOW + AHEAD + 1), ROUTES, NOW).answer.wrong


def test_a_fault_that_was_there_before_is_not_this_changes(acme: dict[str, Held]) -> None:
    answer = change(acme, asked(applied(SENDER | {"address": "Acme2"})), {"smtp-1": "email"}, NOW).answer
    assert [one.result for one in answer.done] == ["configured"]


def test_a_dry_run_says_what_would_be_and_does_nothing(acme: dict[str, Held]) -> None:
    changed = change(acme, asked(applied(template("new")), dry_run=True), ROUTES, NOW)
    assert ([one.result for one in changed.answer.done], changed.rows) == (["configured"], {})


def test_a_password_survives_an_export_that_has_none(acme: dict[str, Held]) -> None:
    account = {"kind": "account", "tenant": "acme", "name": "olga", "roles": ["editor"]}
    held = done(acme, applied(account | {"password": "$argon2id$x"}))
    assert results(held, applied(account)) == ["acme/account/olga unchanged"]
    assert done(held, applied(account | {"title": "O"}))["acme/account/olga"].document["password"] == "$argon2id$x"


# -- tenants --------------------------------------------------------------------------------------

FOREIGN = st.sampled_from(
    [applied(TENANT), applied(SENDER), applied(template("x")), applied(SCENARIO), Item("delete", OTP), Item("submit", f"{OTP}/1")]
)


@settings(deadline=None)
@given(st.lists(FOREIGN, min_size=1, max_size=3, unique_by=lambda item: item.path))
def test_nothing_of_another_tenant_is_changed(acme: dict[str, Held], items: list[Item]) -> None:
    words = refused(acme, *items, tenant="volta")
    assert words == refused({}, *items, tenant="volta"), "and nothing is learnt of it"


@pytest.mark.parametrize("kind", ["tenant", "key", "account", "source"])
def test_who_may_change_one_tenant_does_not_say_who_may_do_what(acme: dict[str, Held], kind: str) -> None:
    path = "acme/tenant" if kind == "tenant" else f"acme/{kind}/x"
    assert refused(acme, Item("delete", path), tenant="acme") == [f"{path}/kind: is changed by operators only, found {kind}"]


# -- what is read again ---------------------------------------------------------------------------


@settings(deadline=None)
@given(written=st.integers(0, 4), vouched=st.booleans())
def test_a_change_that_was_written_in_part_is_completed(acme: dict[str, Held], written: int, vouched: bool) -> None:
    items = [
        applied(TENANT | {"title": "New"}, expected=1),
        applied(SCENARIO | {"title": "New"}, expected=1),
        applied(template("new"), expected=1),
    ]
    again = asked(*items, approved_by="boris" if vouched else None, id="c9")
    changed = change(acme, again, ROUTES, NOW)
    part = after(acme, changed._replace(rows=dict(islice(changed.rows.items(), written))))
    second = change(part, again, ROUTES, NOW)
    assert not second.answer.wrong
    assert after(part, second) == after(acme, changed)


def test_the_seed_is_taken_once(acme: dict[str, Held]) -> None:
    documents = [
        Parsed("", document, "f:1", {})._replace(path=applied(document).path) for document in (SCENARIO, template("x"), SENDER, TENANT)
    ]
    seed = seeding(documents, NOW)
    changed = change({}, seed, ROUTES, NOW)
    held = after({}, changed)
    assert held[f"{OTP}/1"].state == "approved"
    assert {tenant_of(path) for path in held} == {"acme"}
    assert change(done(held, applied(TENANT | {"title": "Mine"})), replace(seed, id="seed2"), ROUTES, NOW).answer.wrong
