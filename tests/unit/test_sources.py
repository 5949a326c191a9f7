"""What a source says, whatever it says, becomes a user or a counted fault; never an exception."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inm.core.fields import Field, Fields, FieldSet
from inm.core.sources import MAX_MEMBERS, Lookup, Map, Reader, Source, asked, faults
from inm.core.users import Member, User

NOW = 1_800_000_000_000
FIELDS = FieldSet(
    Fields(
        "acme",
        "user",
        {
            "plan": Field("enum", values=["flat", "free"], default="free"),
            "age": Field("integer"),
            "balance": Field("decimal"),
            "since": Field("date"),
            "seen": Field("date-time"),
            "tags": Field("list"),
        },
    )
)
USERS = Lookup(
    "SELECT * FROM customers WHERE id IN :keys",
    map=Map("id", "lang", "tone", "channel", "full_name", "msisdn", "mail", "opt_out", fields={name: name for name in FIELDS.fields}),
)
OFFERS = Lookup("SELECT * FROM members WHERE offer IN :keys", map=Map("offer", role="role", user="customer", phone="msisdn"))
SOURCE = Source("acme", "crm", "sql", "ACME_CRM_URL", USERS, OFFERS, ttl=100, negative_ttl=10, stale=1000)
READER = Reader(SOURCE, FIELDS)
ROW: dict[str, Any] = {
    "id": "c-1",
    "lang": "it-CH",
    "tone": "young",
    "channel": "email",
    "full_name": "Anna",
    "msisdn": "+39 333 1234567",
    "mail": "anna@example.com",
    "opt_out": "sms, news",
    "plan": "flat",
    "age": 42,
    "balance": Decimal("12.50"),
    "since": date(2020, 1, 2),
    "seen": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    "tags": ["a", "b"],
}


def read(*rows: Any, key: str = "acme/c-1") -> tuple[User, list[str]]:
    answer = READER.read(key, rows, NOW)
    return answer.user, answer.faults


def test_a_row_is_mapped_and_converted_and_survives_the_table() -> None:
    user, wrong = read(ROW)
    assert wrong == []
    assert (user.language, user.tone, user.channel, user.name) == ("it-CH", "young", "email", "Anna")
    assert (user.phone, user.email, user.opt_out) == ("+393331234567", "anna@example.com", ["sms", "news"])
    assert (user.expires_at, user.loaded_at, user.stale_until) == (NOW + 100_000, NOW, NOW + 1_100_000)
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(user), type=User)
    typed, faulty = FIELDS.convert(kept.fields)
    assert not faulty
    assert typed == {name: ROW[name] for name in FIELDS.fields}


def test_null_is_absent_and_gets_the_default() -> None:
    user, wrong = read(dict.fromkeys(ROW) | {"id": "c-1"})
    assert wrong == []
    assert user.fields == {"plan": "free"}
    assert (user.language, user.phone, user.opt_out, user.absent) == (None, None, [], False)


def test_nothing_is_an_absent_row_for_the_negative_ttl() -> None:
    user, wrong = read()
    assert (user.absent, user.expires_at, user.stale_until, wrong) == (True, NOW + 10_000, 0, [])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("lang", "Klingon!"),
        ("lang", 7),
        ("tone", "Very Young"),
        ("channel", "pigeon"),
        ("msisdn", "call me"),
        ("msisdn", b"+393331234567"),
        ("mail", "anna at example"),
        ("full_name", "x" * 201),
        ("opt_out", {"sms": True}),
        ("age", "forty"),
        ("age", 2**70),
        ("plan", "gold"),
        ("since", "yesterday"),
        ("balance", "NaN"),
        ("tags", 5),
    ],
)
def test_a_wrong_value_is_left_out_and_the_rest_serves(column: str, value: Any) -> None:
    user, wrong = read(ROW | {column: value})
    whole, _ = read(ROW)
    assert wrong == ["invalid-value"]
    assert not user.absent
    changed = {name for name in user.__struct_fields__ if getattr(user, name) != getattr(whole, name)}
    assert len(changed) == 1


@pytest.mark.parametrize(("value", "expected"), [(True, ["*"]), (False, []), (1, ["*"]), (0, []), ("", []), (["sms"], ["sms"])])
def test_opt_out_is_a_flag_a_text_or_a_list(value: Any, expected: list[str]) -> None:
    assert read(ROW | {"opt_out": value})[0].opt_out == expected


def test_several_addresses_are_the_first_and_further_ones() -> None:
    user, _ = read(ROW | {"msisdn": ["+393331234567", None, "+393337654321"]})
    assert (user.phone, user.phones) == ("+393331234567", ["+393337654321"])


def test_two_rows_that_differ_are_no_user_and_two_that_do_not_are_one() -> None:
    assert read(ROW, ROW | {"unused": 1}) == (read(ROW)[0], [])
    user, wrong = read(ROW, ROW | {"msisdn": "+393337654321"})
    assert (user.absent, wrong) == (True, ["two-rows"])


def test_a_huge_user_counts_as_unknown() -> None:
    user, wrong = read(ROW | {"tags": ["x" * 1000] * 70})
    assert (user.absent, wrong) == (True, ["too-large"])
    assert READER.read("acme/c-1", "too-large", NOW).faults == ["too-large"]


def test_an_offer_has_members_by_their_roles() -> None:
    rows = [{"role": "master", "customer": "c-1", "msisdn": None}, {"role": "slave", "customer": None, "msisdn": "+393331234567"}]
    user, wrong = read(*rows, key="acme/offer:o-1")
    assert user.members == [Member("master", "c-1"), Member("slave", phone="+393331234567")]
    assert wrong == []


def test_a_member_without_a_role_or_an_address_is_left_out() -> None:
    user, wrong = read({"role": None, "customer": "c-1"}, {"role": "slave"}, {"role": "x", "msisdn": "?"}, key="acme/offer:o-1")
    assert (user.members, wrong) == ([], ["invalid-value"] * 3)


def test_an_offer_with_too_many_members_counts_as_unknown() -> None:
    rows = [{"role": "slave", "customer": f"c-{number}"} for number in range(MAX_MEMBERS + 1)]
    assert read(*rows, key="acme/offer:o-1")[0].absent
    assert len(read(*rows[1:], key="acme/offer:o-1")[0].members) == MAX_MEMBERS


def test_keys_say_what_they_are_of() -> None:
    assert asked("acme/c-1") == ("users", "c-1")
    assert asked("acme/offer:o/1") == ("offers", "o/1")


TEXT = st.text("ab+-@.,:019 \u20ac\ud800\0", max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["lang", "phones", "number", "age"]), inner),
    max_leaves=8,
)
HTTP = Source(
    "acme",
    "crm",
    "http",
    "ACME_CRM_URL",
    Lookup(
        path="/users/{key}",
        map=Map(language="a.lang", phone="a.phones[*].number", name="name", opt_out="o", fields={"age": "a.age", "tags": "t"}),
    ),
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from([*ROW, "x"]), JSON | st.dates() | st.binary() | st.decimals()))
def test_no_row_of_a_database_is_beyond_it(row: dict[str, Any]) -> None:
    for fields in (FIELDS, FieldSet(None)):
        answer = Reader(SOURCE, fields).read("acme/c-1", [row], NOW)
        msgspec.json.encode(answer.user)
        assert len(answer.faults) <= len(ROW) + sum(len(value) for value in row.values() if isinstance(value, list))


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(["a", "name", "o", "t"]), JSON))
def test_no_json_is_beyond_it(value: dict[str, Any]) -> None:
    msgspec.json.encode(Reader(HTTP, FIELDS).read("acme/c-1", [value], NOW).user)


def test_json_paths_find_their_values() -> None:
    value = {"a": {"lang": "it", "phones": [{"number": "+393331234567"}, {"number": "+393337654321"}], "age": "42"}}
    user = Reader(HTTP, FIELDS).read("acme/c-1", [value], NOW).user
    assert (user.language, user.phone, user.phones, user.fields) == ("it", "+393331234567", ["+393337654321"], {"plan": "free", "age": 42})


# documents


def wrong(**changes: Any) -> list[str]:
    changed = msgspec.structs.replace(SOURCE, **changes)
    return [fault.pointer for fault in faults(changed, FIELDS)]


def test_a_good_document_has_no_fault() -> None:
    assert wrong() == []
    assert list(faults(HTTP, FIELDS)) == []


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"url_env": "VOLTA_CRM_URL"}, "/url_env"),
        ({"token_env": "INM_BROKER_PASSWORD"}, "/token_env"),
        ({"users": Lookup()}, "/users/query"),
        ({"users": Lookup("SELECT * FROM customers")}, "/users/query"),
        ({"users": Lookup("DELETE FROM customers WHERE id IN :keys")}, "/users/query"),
        ({"offers": Lookup(path="/offers/{key}")}, "/offers/query"),
        ({"users": Lookup("SELECT 1 WHERE id IN :keys", map=Map(fields={"shoe_size": "s"}))}, "/users/map/fields/shoe_size"),
        ({"type": "http", "offers": None, "users": Lookup(path="users/{key}")}, "/users/path"),
        ({"type": "http", "offers": None, "users": Lookup(path="/users")}, "/users/path"),
        ({"type": "http", "offers": None, "users": Lookup(path="/users/{key}", rows="a[")}, "/users/rows"),
        ({"type": "http", "offers": None, "users": Lookup(path="/users/{key}", map=Map(language="a..b"))}, "/users/map/language"),
        ({"type": "http", "offers": None, "users": Lookup(path="/users/{key}", map=Map(fields={"age": "&"}))}, "/users/map/fields/age"),
    ],
)
def test_a_fault_has_its_place(changes: dict[str, Any], pointer: str) -> None:
    assert wrong(**changes) == [pointer]


def test_the_name_of_a_tenant_is_made_a_variable() -> None:
    source = msgspec.structs.replace(SOURCE, tenant="my-brand.it", url_env="MY_BRAND_IT_URL")
    assert list(faults(source, FIELDS)) == []
    assert re.search("MY_BRAND_IT_", str(next(faults(msgspec.structs.replace(source, url_env="OTHER"), FIELDS))))
