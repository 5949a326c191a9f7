"""Which dead letters are meant, and what is sent back."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core import deadletters
from inm.core.deadletters import Closing, Count, DeadLetterError, Letter, Letters, Original, Selection, moment, original, resend
from inm.core.records import Dead
from inm.core.requests import expand, parse
from inm.streaming import dead

HOUR = 3_600_000
LONGEST = dead.LONGEST_KEY


class Acme:
    def scenario_names(self, tenant: str) -> list[str] | None:
        return ["otp"] if tenant == "acme" else None

    def book(self, tenant: str) -> None:
        return None


def letter(value: bytes | None = b"{}", key: bytes | None = b"k", number: int = 7, **more: Any) -> Letter:
    """As the streaming layer writes it, and as it is read."""
    _, text = dead._letter(key, value, Dead(**{"reason": "stage-failed", "detail": "", "stage": "intake", **PLACE, "at": 0, **more}))
    found = deadletters.read(number, key[:LONGEST] if key else key, text)
    assert isinstance(found, Letter)
    return found


PLACE = {"topic": "inm.requests.acme", "partition": 3, "offset": 55}


def topic(*records: Letter | Closing) -> Letters:
    found = Letters()
    for number, record in enumerate(records):
        found.add(number, b"k", msgspec.json.encode(record if isinstance(record, Closing) else record.dead))
    return found


def ids(letters: list[Letter]) -> list[int]:
    return [one.id for one in letters]


# -- which ----------------------------------------------------------------------------------------


def test_closed_letters_are_not_open_any_more_and_are_not_forgotten() -> None:
    end = Closing(1, "dropped", 5, "olga", "late")
    found = topic(letter(), letter(), end, letter())
    assert ids(found.chosen(Selection())) == [0, 3]
    assert ids(found.chosen(Selection(), closed=True)) == [0, 1, 3]
    assert [one.closed for one in found.chosen(Selection(), closed=True)] == [None, end, None]


def test_the_first_of_two_ends_counts() -> None:
    first = Closing(0, "retried", 5, "olga")
    found = topic(letter(), first, Closing(0, "dropped", 6, "ivan", "late")).get(0)
    assert found is not None
    assert found.closed == first


def test_an_end_of_what_retention_took_is_nothing() -> None:
    assert topic(Closing(99, "dropped", 5, "olga", "late")).chosen(Selection(), closed=True) == []


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"[]", b'{"closes": "x"}', b'{"reason": "x"}'])
def test_what_is_no_letter_is_passed_over(value: bytes | None) -> None:
    found = Letters()
    found.add(0, None, value)
    assert found.chosen(Selection(), closed=True) == []


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (Selection(), [0, 1, 2]),
        (Selection(ids=frozenset({1, 9})), [1]),
        (Selection(reason="invalid-json"), [1]),
        (Selection(stage="evaluate"), [2]),
        (Selection(topic="inm.notifications"), [2]),
        (Selection(since=20), [1, 2]),
        (Selection(reason="invalid-json", since=21), []),
    ],
)
def test_all_that_is_asked_for_must_fit(selection: Selection, chosen: list[int]) -> None:
    letters = topic(letter(at=10), letter(at=20, reason="invalid-json"), letter(at=30, stage="evaluate", topic="inm.notifications"))
    assert ids(letters.chosen(selection)) == chosen


def test_the_summary_counts_by_reason() -> None:
    letters = [letter(at=3), letter(at=1, reason="invalid-json"), letter(at=2)]
    assert deadletters.summary(letters) == [Count("stage-failed", 2, 2, 3), Count("invalid-json", 1, 1, 1)]


@pytest.mark.parametrize(
    ("text", "at"),
    [("90s", 10 * HOUR - 90_000), ("2h", 8 * HOUR), ("1970-01-01T01:00:00Z", HOUR), ("1970-01-01T03:00:00+02:00", HOUR)],
)
def test_times_are_counted_back_or_named(text: str, at: int) -> None:
    assert moment(text, 10 * HOUR) == at


@pytest.mark.parametrize("text", ["", "5", "5y", "-5m", "yesterday", "1970-01-01T01:00:00"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        moment(text, 0)


# -- the record -----------------------------------------------------------------------------------

texts = st.none() | st.binary(max_size=20) | st.text(max_size=20).map(str.encode)
records = st.builds(Original, texts, texts, st.just(()))


@given(records)
def test_a_letter_gives_back_the_bytes_that_it_took(record: Original) -> None:
    assert original(letter(record.value, record.key), None, LONGEST) == record


@given(records)
def test_the_origin_wins_for_it_has_the_headers(record: Original) -> None:
    there = record._replace(headers=[("ce_id", b"1")])
    assert original(letter(record.value, record.key), there, LONGEST) is there


@given(records, records)
def test_another_record_at_the_same_place_is_not_sent(record: Original, other: Original) -> None:
    found = original(letter(record.value, record.key), other, LONGEST)
    assert found.value == record.value
    assert (found.key or b"").startswith(record.key or b"")


CUT = b"x" * dead.LONGEST_VALUE


def test_a_cut_record_is_whole_at_its_origin_only() -> None:
    cut = letter(CUT + b"y")
    assert original(cut, Original(b"k", CUT + b"z"), LONGEST).value == CUT + b"z"
    for found in (None, Original(b"k", b"another"), Original(b"k", CUT[1:])):
        with pytest.raises(DeadLetterError, match=r"inm\.requests\.acme/3/55 has the record no more"):
            original(cut, found, LONGEST)
    assert original(cut, None, LONGEST, b"mended") == Original(b"k", b"mended")


def test_a_key_that_may_be_cut_is_not_sent_as_it_is() -> None:
    cut = letter(key=b"k" * 2000)
    assert original(cut, Original(b"k" * 2000, b"{}"), LONGEST).key == b"k" * 2000
    with pytest.raises(DeadLetterError, match="first 1024 bytes of its key"):
        original(cut, None, LONGEST, b"mended")


def test_a_mended_value_goes_with_the_key_and_headers_there_were() -> None:
    assert original(letter(b"a"), Original(b"k", b"a", [("h", b"1")]), LONGEST, b"b") == Original(b"k", b"b", [("h", b"1")])


# -- what goes back -------------------------------------------------------------------------------

OTP: dict[str, Any] = {"scenario": "otp", "to": {"phone": "+393331234567"}}
names = st.text(min_size=1, max_size=5)
scalars = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5)
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(names, scalars, max_size=3)


@given(st.dictionaries(names, values, max_size=3), st.sampled_from(["", " ", "\n\t"]), st.booleans())
def test_a_request_without_identity_gets_the_ids_it_would_have_had(fields: dict[str, Any], space: str, null: bool) -> None:
    value = msgspec.json.encode(OTP | {"fields": fields} | ({"request_id": None, "idempotency_key": None} if null else {})) + space.encode()
    sent = resend(letter(value), Original(b"k", value), request=True)
    assert sent.value is not None
    place = "inm.requests.acme/3/55"
    again = expand(parse(sent.value, "acme", Acme()), "acme", "elsewhere", 0, 6)
    assert again == expand(parse(value, "acme", Acme()), "acme", place, 0, 6)


@pytest.mark.parametrize(
    "value",
    [
        b'{"scenario": "otp", "request_id": "r"}',
        b'{"scenario": "otp", "idempotency_key": "i"}',
        b'{"scenario": "otp", "idempotency_key": ""}',
        b"no JSON",
        b"[1]",
        b"\xff",
        b"",
        None,
        b"[" * 100_000,
    ],
)
def test_everything_else_goes_back_byte_for_byte(value: bytes | None) -> None:
    assert resend(letter(value), Original(b"k", value), request=True).value == value


def test_what_is_no_request_is_not_touched() -> None:
    value = b'{"scenario": "otp"}'
    assert resend(letter(value), Original(b"k", value), request=False).value == value


@pytest.mark.parametrize("header", [("CE_specversion", b"1.0"), ("Content-Type", b"application/cloudevents+json; charset=utf-8")])
def test_a_cloud_event_has_an_identity(header: tuple[str, bytes]) -> None:
    value = b'{"scenario": "otp"}'
    sent = resend(letter(value), Original(b"k", value, [header]), request=True)
    assert (sent.value, sent.headers) == (value, [header])


def test_a_record_goes_to_its_partition_and_a_refused_output_by_its_key() -> None:
    assert resend(letter(), Original(None, b"{}"), request=False)[:3] == ("inm.requests.acme", 3, None)
    refused = letter(topic="inm.edr", partition=-1, offset=-1, reason="output-refused")
    assert resend(refused, Original(b"k", b"{}"), request=False)[:3] == ("inm.edr", None, b"k")
    with pytest.raises(DeadLetterError, match="no key"):
        resend(refused, Original(None, b"{}"), request=False)


def test_two_refused_outputs_do_not_become_one_request() -> None:
    """Neither was ever at a place on the topic."""
    sent = {
        resend(letter(number=number, partition=-1, offset=-1), Original(b"k", b'{"scenario": "otp"}'), request=True).value
        for number in (1, 2)
    }
    assert len(sent) == 2
