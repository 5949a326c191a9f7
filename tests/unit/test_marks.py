"""Invalidation of many users at once: by marks, against which rows are held when they are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.fields import Field, Fields, FieldSet
from inm.core.marks import MOST, Marks, faults, holds
from inm.core.users import Invalidate, InvalidUserError, Upsert, User, parse

FIELDS = FieldSet(Fields("acme", "user", {"segment": Field("string"), "age": Field("integer")}))


def user(loaded_at: int, segment: str = "gold", **more: object) -> User:
    return User("acme/c-1", 10**15, language="it", fields={"segment": segment, **more}, loaded_at=loaded_at)


def hit(marks: Marks, row: User) -> bool:
    return marks.hit(row, FIELDS, "acme")


def test_all_that_was_loaded_before_is_invalid_and_what_comes_after_is_not() -> None:
    marks = Marks().with_mark(None, 1000)
    assert [hit(marks, user(at)) for at in (0, 999, 1000, 1001)] == [True, True, True, False]


def test_a_predicate_marks_those_it_holds_of() -> None:
    marks = Marks().with_mark('user.segment == "gold"', 1000).with_mark("user.age > 60", 2000)
    assert hit(marks, user(1000))
    assert not hit(marks, user(1000, "tin"))
    assert not hit(marks, user(1001))
    assert hit(marks, user(1001, age=61))
    assert not hit(marks, user(2001, age=61))


def test_what_a_user_does_not_have_does_not_hold() -> None:
    assert not holds(("user.age > 60",), user(0), FIELDS, "acme")
    assert holds(("user.age > 60", 'user.id == "c-1" && user.language == "it" && tenant.name == "acme"'), user(0), FIELDS, "acme")


def test_predicates_that_imply_each_other_are_no_fault() -> None:
    predicates = ("user.age > 60", 'user.age > 60 && user.segment == "gold"', "user.age > 60")
    assert holds(predicates, user(0, age=61), FIELDS, "acme")
    assert not holds(predicates, user(0, age=60), FIELDS, "acme")


def test_a_predicate_on_a_field_that_is_gone_holds_of_everyone() -> None:
    assert holds(("user.shoe == 42",), user(0), FIELDS, "acme")
    assert [fault.pointer for fault in faults("user.shoe == 42", FIELDS)] == ["/where"]
    assert faults("user.age == 42", FIELDS) == []


def test_a_mark_of_all_takes_the_place_of_those_before_it() -> None:
    assert Marks().with_mark("user.age > 1", 1).with_mark(None, 2) == Marks(all=2)
    assert Marks().with_mark("user.age > 1", 1).with_mark("user.age > 1", 2) == Marks(some=[(2, "user.age > 1")])


@given(st.lists(st.none() | st.integers(0, 60), max_size=80), st.integers(0, 90), st.integers(0, 60))
def test_however_many_come_nothing_that_was_marked_is_valid_and_they_stay_few(asked: list[int | None], loaded: int, age: int) -> None:
    marks = Marks()
    for now, above in enumerate(asked):
        marks = marks.with_mark(None if above is None else f"user.age > {above}", now)
    row = user(loaded, age=age)
    assert len(marks.some) <= MOST
    if any(now >= loaded and (above is None or age > above) for now, above in enumerate(asked)):
        assert hit(marks, row)
    elif len(asked) <= MOST:
        assert not hit(marks, row)


@pytest.mark.parametrize(
    "value",
    [
        b'{"action": "invalidate"}',
        b'{"action": "invalidate", "key": "a/b", "tenant": "a"}',
        b'{"action": "invalidate", "key": "a/b", "where": "x"}',
    ],
)
def test_an_invalidation_is_of_a_key_or_of_a_tenant(value: bytes) -> None:
    with pytest.raises(InvalidUserError, match="has a key, or a tenant"):
        parse(value)


def test_a_record_makes_the_row_that_it_says() -> None:
    item = parse(b'{"action": "upsert", "key": "acme/c-1", "ttl": 60, "tone": "young", "emails": ["a@b.example"], "opt_out": ["sms"]}')
    assert isinstance(item, Upsert)
    row = item.user(1000)
    assert (row.expires_at, row.loaded_at, row.stale_until, row.ends) == (61_000, 1000, 0, 61_000)
    assert (row.tone, row.emails, row.opt_out) == ("young", ["a@b.example"], ["sms"])
    assert isinstance(parse(b'{"action": "invalidate", "tenant": "acme", "where": "user.age > 1"}'), Invalidate)
