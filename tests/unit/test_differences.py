"""Differences: they say all of both texts, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from inm.core.differences import MOST_WORDS, compared, differences

TEXTS = st.text(alphabet="ab \n{}é", max_size=60)


@given(TEXTS, TEXTS)
def test_what_is_the_same_and_gone_is_the_old_text_and_the_rest_the_new(before: str, after: str) -> None:
    pieces = compared(before, after)
    if any(piece.kind == "skip" for piece in pieces):
        return
    assert "".join(piece.text for piece in pieces if piece.kind != "new") == before
    assert "".join(piece.text for piece in pieces if piece.kind != "gone") == after


def test_a_word_that_changed_is_told_alone_and_far_lines_are_left_out() -> None:
    lines = [f"line {number}\n" for number in range(20)]
    changed = [*lines[:10], "line ten\n", *lines[11:]]
    assert [tuple(piece) for piece in compared("".join(lines), "".join(changed))] == [
        ("skip", "8"), ("same", "line 8\nline 9\n"), ("same", "line "), ("gone", "10"), ("new", "ten"), ("same", "\n"),
        ("same", "line 11\nline 12\n"), ("skip", "7"),
    ]  # fmt: skip


def test_long_texts_are_compared_as_a_whole() -> None:
    before, after = "a " * MOST_WORDS, "b " * MOST_WORDS
    assert [piece.kind for piece in compared(before, after)] == ["gone", "new"]


def test_only_what_differs_is_named() -> None:
    before = {"variants": {"it": {"text": "a", "data": {"x": "1"}}, "en": {"text": "e"}}}
    after = {"variants": {"it": {"text": "b", "data": {"x": "2", "y": "3"}}, "en": {"text": "e"}, "ru": {"text": "r"}}, "flash": True}
    found = [(each.variant, each.part) for each in differences(before, after)]
    assert found == [("it", "text"), ("it", "data/x"), ("it", "data/y"), ("ru", "text"), ("", "flash")]
    assert differences(after, after) == []
