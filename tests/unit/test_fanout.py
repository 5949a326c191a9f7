"""Offers and several destinations: what one notification makes of itself, and that a replay makes the same."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inm.core import fanout, ids
from inm.core.decide import decide
from inm.core.journey import begin, expand
from inm.core.records import Notification
from inm.core.users import Member, User
from tests.support.books import book, email, scenario, sms, step

NOW = 1_795_334_400_000
PARTITIONS = 6


def parent(**given: Any) -> Notification:
    key = ids.user_key("acme", None, None, None, "family-7")
    known: dict[str, Any] = {
        "id": ids.notification_id(key, "r-1", PARTITIONS),
        "key": key,
        "tenant": "acme",
        "scenario": "hello",
        "received": NOW,
    }
    return Notification(**known | {"offer": "family-7", "request_id": "r-1", "fields": {"text": "x"}, "at": NOW + 5} | given)


def row(*members: Member, **given: Any) -> User:
    return User("acme/offer:family-7", NOW + 1, members=list(members), **given)


MASTER, SLAVE = Member("master", user="u1"), Member("slave", phone="+393331234567")


def test_each_member_has_a_notification_of_its_own_with_its_role_in_its_own_partition() -> None:
    first, second = fanout.members(parent(), row(MASTER, SLAVE), PARTITIONS)
    assert (first.key, first.user, first.role, first.offer) == ("acme/u1", "u1", "master", None)
    assert (second.key, second.phone, second.role) == ("acme/+393331234567", "+393331234567", "slave")
    for child in (first, second):
        assert ids.partition_of_notification(child.id) == ids.partition_of(child.key.encode(), PARTITIONS)
        assert (child.parent, child.request_id, child.at, child.fields) == (parent().id, "r-1", NOW + 5, {"text": "x"})
        assert not fanout.is_expanded(child, row(MASTER)), "what was made from an offer is not expanded again"


members = st.lists(
    st.builds(
        Member,
        st.sampled_from(["master", "slave"]),
        user=st.none() | st.sampled_from(["u1", "u2"]),
        phone=st.none() | st.sampled_from(["+393331234567", "+393331234568"]),
        email=st.none() | st.sampled_from(["a@b.c", "A@b.c"]),
    ),
    max_size=8,
)


@given(members, members)
def test_a_replay_makes_the_same_children_and_nobody_twice(found: list[Member], more: list[Member]) -> None:
    first, again = (fanout.members(parent(), row(*found), PARTITIONS) for _ in range(2))
    assert first == again
    assert len({child.id for child in first}) == len({child.key for child in first}) == len(first)
    grown = fanout.members(parent(), row(*found, *more), PARTITIONS)
    assert {child.id for child in first} <= {child.id for child in grown}, "who was notified already is known when members are added"
    other = fanout.members(parent(id="0-other"), row(*found), PARTITIONS)
    assert not {child.id for child in first} & {child.id for child in other}, "another request is another notification"


def test_the_parent_ends_at_once_and_is_counted() -> None:
    children = fanout.members(parent(), row(MASTER, SLAVE), PARTITIONS)
    journey, effects = expand(parent(), children, NOW)
    assert [(edr.event, edr.final, edr.children) for edr in effects.edrs] == [("accepted", False, 0), ("expanded", True, 2)]
    assert (journey.state, journey.final, effects.children, effects.delivery) == ("expanded", True, children, None)
    _, nobody = expand(parent(), [], NOW)
    assert [(edr.event, edr.final, edr.reason) for edr in nobody.edrs][1:] == [("failed", True, "unknown-offer")]


def test_the_childrens_edrs_name_their_parent() -> None:
    child = fanout.members(parent(), row(SLAVE), PARTITIONS)[0]
    decision = decide(child, book(sms(), scenario()), None, NOW + 10)
    assert {edr.parent for edr in begin(child, decision, NOW + 10)[1].edrs} == {parent().id}


def test_an_offer_stands_for_its_members_and_so_does_a_user_who_has_some() -> None:
    assert fanout.is_expanded(parent(), None)
    assert fanout.is_expanded(parent(offer=None), row(MASTER))
    assert not fanout.is_expanded(parent(offer=None), row())
    assert not fanout.is_expanded(parent(offer=None), None)
    assert fanout.members(parent(), None, PARTITIONS) == []


USER = User("acme/u1", NOW, phone="+391111111", phones=["+392222222", "+391111111", "+392222222"], email="a@b.c", emails=["d@e.f"])


def one(**given: Any) -> Notification:
    known: dict[str, Any] = {"id": "3-abc", "key": "acme/u1", "tenant": "acme", "scenario": "hello", "received": NOW, "user": "u1"}
    return Notification(**known | given)


def test_further_addresses_have_notifications_of_their_own_under_the_users_key() -> None:
    children = fanout.destinations(one(), USER, {"sms", "email"}, PARTITIONS)
    assert [(child.phone, child.email) for child in children] == [("+392222222", None), (None, "d@e.f")]
    assert {child.key for child in children} == {"acme/u1"}
    assert len({child.id for child in children} | {"3-abc"}) == 3
    assert children == fanout.destinations(one(), USER, {"sms", "email"}, PARTITIONS)
    for child in children:
        assert fanout.destinations(child, USER, {"sms", "email"}, PARTITIONS) == [], "and make no more"


def test_an_address_in_the_request_stands_alone_and_so_does_a_test() -> None:
    assert [child.email for child in fanout.destinations(one(phone="+393333333"), USER, {"sms", "email"}, PARTITIONS)] == ["d@e.f"]
    assert fanout.destinations(one(phone="+393333333"), USER, {"sms"}, PARTITIONS) == []
    assert fanout.destinations(one(test=True), USER, {"sms"}, PARTITIONS) == []
    assert fanout.destinations(one(), None, {"sms"}, PARTITIONS) == []


def test_a_further_address_is_the_only_one_that_its_notification_uses() -> None:
    documents = book(sms(), email(), scenario(plan=[step("email"), step()], destinations="all"))
    child = fanout.destinations(one(fields={"text": "x"}), USER, {"sms"}, PARTITIONS)[0]
    decision = decide(child, documents, USER, NOW)
    assert (decision.delivery.to, [skip.reason for skip in decision.skipped]) == ("+392222222", ["no-address"])  # type: ignore[union-attr]
    effects = begin(one(), decide(one(fields={"text": "x"}), documents, USER, NOW), NOW, [child])[1]
    assert effects.children == [child]
