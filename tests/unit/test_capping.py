"""The cap's laws: never more than it allows in any span, and a digest tells of each message beyond it once."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from inm.core.capping import KEPT, LARGEST, MOST_ITEMS, Cap, Had, Item, collected, counted, fields, is_full, item_of, room_at
from inm.core.records import Notification

CAPS = st.builds(Cap, st.integers(1, 5), st.integers(1, 60))
GAPS = st.lists(st.integers(0, 30_000), max_size=60)


@given(CAPS, GAPS)
def test_no_span_has_more_than_the_cap_and_nothing_is_held_back_without_need(cap: Cap, gaps: list[int]) -> None:
    had, sent = Had(), list[int]()
    for now in accumulate(gaps, initial=1_000_000):
        lately = sum(at > now - cap.within * 1000 for at in sent)
        assert is_full(had, cap, now) == (lately >= cap.most)
        if is_full(had, cap, now):
            due = room_at(had, cap, now)
            assert due > now
            assert not is_full(had, cap, due)
            assert is_full(had, cap, due - 1)
        else:
            had = counted(had, cap, now)
            sent.append(now)
    assert len(had.times) <= cap.most


def test_a_cap_that_was_lowered_or_raised_holds_at_once() -> None:
    had = Had(times=[1, 2, 3])
    assert is_full(had, Cap(1, 60), 4)
    assert not is_full(had, Cap(5, 60), 4)


@given(st.lists(st.integers(1, 80), min_size=1, max_size=200))
def test_a_digest_tells_of_each_once(numbers: list[int]) -> None:
    had, seen = Had(), set[int]()
    for number in numbers:
        if len(seen) < MOST_ITEMS or number in seen:
            seen.add(number)
            had = collected(had, Item(f"n{number}", "promo", "", 0), "d", 99, 1)
    assert fields(had.digests["d"])["count"] == len(seen)
    assert {item.id for item in had.digests["d"].items} == {f"n{number}" for number in seen}


def test_the_next_digest_begins_empty_while_the_last_one_is_still_to_be_made() -> None:
    notification = Notification("3-a", "acme/7", "acme", "promo", 1_000_000_000_000, fields={"gift": "cup"})
    had = collected(Had(times=[5]), item_of(notification, "Promotion"), "d1", 99, 1)
    assert (had.collecting(98), had.collecting(99)) == ("d1", None)
    had = collected(had, Item("3-b", "promo", "", 0), "d2", 199, 100)
    assert (had.collecting(100), had.times) == ("d2", [5])
    assert fields(had.digests["d1"]) == {
        "count": 1,
        "items": [{"scenario": "promo", "title": "Promotion", "received": "2001-09-09T01:46:40+00:00", "fields": {"gift": "cup"}}],
    }
    assert set(collected(had, Item("3-c", "promo", "", 0), "d3", KEPT * 3, KEPT * 2).digests) == {"d3"}


def test_beyond_what_is_told_one_by_one_they_are_counted_and_large_ones_lose_their_fields() -> None:
    had = Had()
    for number in range(MOST_ITEMS + 7):
        had = collected(had, Item(f"n{number}", "promo", "", 0), "d", 9, 1)
    digest = had.digests["d"]
    assert (len(digest.items), fields(digest)["count"]) == (MOST_ITEMS, MOST_ITEMS + 7)
    assert item_of(Notification("3-a", "k", "t", "s", 0, fields={"text": "x" * LARGEST}), "").fields == {}
