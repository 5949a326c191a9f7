"""The audit trail tells every change, hides every password, and fits into a record."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from inm.core import audit
from inm.core.audit import (
    ACTIONS,
    EVERYBODY,
    HIDDEN,
    Difference,
    Entry,
    changes,
    of_cancel,
    of_change,
    of_closing,
    of_order,
    of_route,
)  # fmt: skip
from inm.core.calling import cancel
from inm.core.campaigns import NEXT, Act, Create, act, create, has_done
from inm.core.changes import change
from inm.core.deadletters import Closing
from inm.core.reference import Held, Item
from inm.core.routing import Order
from inm.streaming.emitter import MAX_RECORD
from tests.unit.test_changes import NOW, ROUTES, SCENARIO, SENDER, TENANT, after, applied, asked, template

ACCOUNT = {"kind": "account", "tenant": "acme", "name": "olga", "roles": ["editor"], "password": "$argon2id$1"}
OTP = "acme/template/otp-sms"


def told(held: dict[str, Held], *items: Item, **more: Any) -> tuple[dict[str, Held], list[Entry]]:
    wanted = asked(*items, **more)
    changed = change(held, wanted, ROUTES, NOW)
    assert not changed.answer.wrong
    return after(held, changed), list(of_change(wanted, held, changed))


def test_a_document_is_told_from_its_making_to_its_end() -> None:
    held, entries = told({}, *(applied(each) for each in (TENANT, SENDER, ACCOUNT)))
    assert [(entry.path, entry.what, entry.who, entry.tenant) for entry in entries] == [
        (path, "created", "anna", "acme") for path in ("acme/tenant", "acme/sender/acme-sms", "acme/account/olga")
    ]
    held, [entry] = told(held, applied(SENDER | {"address": "Other"}, comment="because"), author="boris")
    assert (entry.what, entry.who, entry.why, entry.changes) == (
        "configured",
        "boris",
        "because",
        [Difference("/address", "Acme", "Other")],
    )
    held, [entry] = told(held, applied(ACCOUNT | {"password": "$argon2id$2"}))
    assert entry.changes == [Difference("/password", HIDDEN, HIDDEN)]
    held, entries = told(held, applied(SENDER | {"address": "Other"}))
    assert entries == []
    held, [entry] = told(held, Item("delete", "acme/sender/acme-sms"))
    assert (entry.what, Difference("/address", "Other", None) in entry.changes) == ("deleted", True)


def test_a_text_is_told_by_its_versions_and_their_states() -> None:
    held, _ = told({}, *(applied(each) for each in (TENANT, SENDER, template("one"))), applied(SCENARIO))
    held, [entry] = told(held, applied(template("two")))
    assert (entry.path, entry.changes) == (f"{OTP}/2", [Difference("/state", None, "draft"), Difference("/variants/en/text", "one", "two")])
    held, [entry] = told(held, Item("submit", f"{OTP}/2"))
    assert (entry.what, entry.changes) == ("submitted", [Difference("/state", "draft", "submitted")])
    held, [entry] = told(held, Item("reject", f"{OTP}/2", comment="the link is wrong"), author="boris")
    assert (entry.what, entry.who, entry.why) == ("rejected", "boris", "the link is wrong")
    held, entries = told(held, Item("delete", "acme/scenario/otp"), Item("delete", OTP))
    assert {entry.path for entry in entries} == {"acme/scenario/otp", f"{OTP}/1", f"{OTP}/2"}
    assert {entry.what for entry in entries} == {"deleted"} <= set(ACTIONS)


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3))
DOCUMENTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


@given(DOCUMENTS, DOCUMENTS)
def test_what_differs_is_told_and_nothing_else(before: dict[str, Any], now: dict[str, Any]) -> None:
    def known(document: Any) -> Any:
        return {key: inner for key, inner in document.items() if inner is not None}

    found = changes(before, now)
    assert changes(before, before) == []
    assert bool(found) or known(before) == known(now) or "None" in f"{before}{now}"
    assert len({each.pointer for each in found}) == len(found)


def test_what_is_done_to_other_things_is_told_too() -> None:
    acts = [Act("o", "acme", "spring", action, "olga", 5, why="because") for action in NEXT]
    entries = [
        of_order(Create("o", "acme", "spring", "otp", "olga", 5)),
        *map(of_order, acts),
        of_cancel(cancel("0-1", "acme/u", 5, "olga", "because"), "acme"),
        of_closing(Closing(7, "retried", 5, "olga", "because"), "acme"),
        of_closing(Closing(7, "dropped", 5, "olga", "because"), "acme"),
        of_route(Order("smsc-1", True, "because", "olga", 5)),
        of_route(Order("smsc-1", False, "because", "olga", 6)),
    ]
    assert {entry.who for entry in entries} == {"olga"}
    assert {entry.why for entry in entries[1:]} == {"because"}
    assert {entry.path for entry in entries} == {"acme/campaign/spring", "acme/notification/0-1", "acme/dead/7", "route/smsc-1"}
    assert {entry.tenant for entry in entries} == {"acme", EVERYBODY}
    assert len({(entry.what, entry.path) for entry in entries}) == len(entries)
    assert {entry.what for entry in entries} <= set(ACTIONS)


def test_an_order_has_been_carried_out_once_and_only_if_it_was_not_refused() -> None:
    made = create(Create("1", "acme", "spring", "otp", "olga", 5), 5)
    assert has_done(None, made, "1")
    refused = act(made, Act("2", "acme", "spring", "start", "olga", 5), 6)
    assert not has_done(made, refused, "2")
    ended = act(refused, Act("3", "acme", "spring", "cancel", "olga", 5), 7)
    assert has_done(refused, ended, "3")
    assert not has_done(ended, act(ended, Act("3", "acme", "spring", "cancel", "olga", 5), 8), "3")


def test_the_longest_entry_fits_into_a_record() -> None:
    document = {str(number): "☃" * 5_000 for number in range(500)}
    entry = Entry(
        "i" * 100,
        NOW,
        "acme",
        "w" * 100,
        "configured",
        "p" * 300,
        "y" * 2_000,
        None,
        changes(document, dict.fromkeys(document, "☄" * 9000)),
    )
    assert len(entry.changes) == audit.MOST
    assert len(msgspec.json.encode(entry)) < MAX_RECORD
