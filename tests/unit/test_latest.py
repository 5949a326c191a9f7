"""The latest of what comes again and again."""

from hypothesis import given
from hypothesis import strategies as st

from inm.core.latest import Latest

PUTS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers()), max_size=40)


@given(PUTS, st.integers(1, 6))
def test_the_last_so_many_names_that_were_put_are_known_with_their_last_values(puts: list[tuple[str, int]], most: int) -> None:
    latest: Latest[str, int] = Latest(most)
    for name, value in puts:
        latest.put(name, value)
    by_age = dict(reversed(dict.fromkeys(name for name, _ in reversed(puts)).items()))
    expected = {name: dict(puts)[name] for name in [*by_age][-most:]}
    assert {name: latest.get(name) for name in "abcdefgh" if name in latest} == expected
    assert len(latest) == len(expected)


def test_nothing_is_known_after_it_was_cleared() -> None:
    latest: Latest[str, None] = Latest(3)
    latest.put("a", None)
    latest.clear()
    assert ("a" in latest, len(latest)) == (False, 0)


def test_a_name_that_was_dropped_is_not_known_and_leaves_room() -> None:
    latest: Latest[str, int] = Latest(2)
    latest.put("a", 1)
    latest.put("b", 2)
    latest.pop("a")
    latest.pop("a")
    latest.put("c", 3)
    assert (latest.get("a"), latest.get("b"), latest.get("c")) == (None, 2, 3)
