"""Sessions and attempts: what we did not sign is nothing, and guessing comes to an end, for a while."""

from hypothesis import example, given
from hypothesis import strategies as st

from inm.core import attempts, sessions
from inm.core.attempts import Attempts
from inm.core.sessions import Session

SECRET = b"x" * 32
SESSION = Session("id", "acme", "olga", 1_000, "stamp")


@given(st.text(max_size=200), st.sampled_from(["told", "session", "peer"]))
def test_what_is_sealed_is_read_again_for_the_same_end_alone(text: str, purpose: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return
    sealed = sessions.seal(SECRET, purpose, text)
    assert sessions.unseal(SECRET, purpose, sealed) == text
    assert sessions.unseal(SECRET, "another", sealed) is None
    assert sessions.unseal(b"y" * 32, purpose, sealed) is None


@given(st.text(max_size=300))
def test_any_text_is_no_session(text: str) -> None:
    assert sessions.read(SECRET, text) is None
    assert not sessions.is_token(SECRET, SESSION, text)


@given(st.integers(0, 200), st.characters())
@example(45, "\udce9")
def test_one_character_makes_another_cookie(place: int, character: str) -> None:
    value = sessions.cookie(SECRET, SESSION)
    assert sessions.read(SECRET, value) == SESSION
    place %= len(value)
    if value[place] != character:
        changed = value[:place] + character + value[place + 1 :]
        assert sessions.read(SECRET, changed) in (None, SESSION)  # the last bits of base 64 may mean nothing
        assert sessions.read(SECRET, changed) is None or place == len(value) - 1


def test_a_session_has_its_time_and_a_form_its_session() -> None:
    assert not sessions.is_over(SESSION, 1_000)
    assert sessions.is_over(SESSION, 1_000 + sessions.LASTS)
    assert sessions.is_over(SESSION, 999)
    assert sessions.is_token(SECRET, SESSION, sessions.token(SECRET, SESSION))
    other = Session("other", "acme", "olga", 1_000, "stamp")
    assert not sessions.is_token(SECRET, other, sessions.token(SECRET, SESSION))
    assert sessions.stamp("a", None) != sessions.stamp("b", None) != sessions.stamp("b", "c")


@given(st.lists(st.tuples(st.integers(0, 600_000), st.sampled_from("abc"), st.sampled_from("123")), max_size=80))
def test_no_span_of_time_has_more_attempts_than_there_may_be(asked: list[tuple[int, str, str]]) -> None:
    made = Attempts()
    let: list[tuple[int, str, str]] = []
    now = 0
    for later, name, address in asked:
        now += later
        wait = made.wait(name, address, now)
        assert 0 <= wait <= attempts.WITHIN
        if not wait:
            made.failed(name, address, now)
            let.append((now, name, address))
    for at, name, address in let:
        lately = [each for each in let if at - attempts.WITHIN < each[0] <= at]
        assert sum(each[1] == name for each in lately) <= attempts.BY_NAME
        assert sum(each[2] == address for each in lately) <= attempts.BY_ADDRESS


def test_the_right_password_begins_anew_and_memory_has_an_end() -> None:
    made = Attempts()
    for _ in range(attempts.BY_NAME):
        made.failed("olga", "here", 0)
    assert made.wait("olga", "elsewhere", 1) == attempts.WITHIN - 1
    made.succeeded("olga", "here")
    assert made.wait("olga", "here", 1) == 0
    for number in range(attempts.REMEMBERED + 100):
        made.failed(f"n{number}", "x", 0)
    assert len(made._failed) <= attempts.REMEMBERED
