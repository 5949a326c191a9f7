"""Receipts in every form SMSCs write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.channels.smpp.receipts import ANSWER_ID, IdFormat, Report, is_receipt, read, receipt_id
from inm.channels.smpp.wire import Deliver
from inm.core.results import REASONS

TEXT = b"id:0A1b sub:001 dlvrd:001 submit date:2601011200 done date:2601011201 stat:%s err:%s text:stat:EXPIRED id:9"


def text(state: bytes, error: bytes = b"000") -> Deliver:
    return Deliver(4, 0, TEXT % (state, error), {})


def tlv(state: int, **more: bytes) -> Deliver:
    return Deliver(4, 0, b"", {0x001E: b"0A1b\0", 0x0427: bytes([state])})


STATES = [
    (1, b"ENROUTE", "pending", None),
    (2, b"DELIVRD", "delivered", None),
    (3, b"EXPIRED", "expired", "provider-expired"),
    (4, b"DELETED", "failed", "undelivered"),
    (5, b"UNDELIV", "failed", "undelivered"),
    (6, b"ACCEPTD", "pending", None),
    (7, b"UNKNOWN", "unknown", None),
    (8, b"REJECTD", "failed", "provider-rejected"),
]


@pytest.mark.parametrize(("number", "word", "state", "reason"), STATES)
def test_both_forms_of_each_state_say_the_same(number: int, word: bytes, state: str, reason: str | None) -> None:
    assert read(text(word)) == Report("0A1b", state, reason, word.decode(), "000")  # type: ignore[arg-type]
    assert read(tlv(number)) == Report("0A1b", state, reason, word.decode(), None)  # type: ignore[arg-type]
    assert reason is None or reason in REASONS


def test_parameters_win_over_text() -> None:
    deliver = Deliver(4, 0, TEXT % (b"UNDELIV", b"000"), {0x001E: b"77\0", 0x0427: b"\2", 0x0423: b"\3\0\x1b"})
    assert read(deliver) == Report("77", "delivered", None, "DELIVRD", "3:27")


def test_text_fills_what_parameters_leave_out() -> None:
    assert read(Deliver(4, 0, TEXT % (b"UNDELIV", b"0FF"), {0x001E: b"77\0"})) == Report("77", "failed", "undelivered", "UNDELIV", "0FF")
    assert read(Deliver(4, 0, TEXT % (b"UNDELIV", b"0FF"), {0x0427: b"\2"})) == Report("0A1b", "delivered", None, "DELIVRD", "0FF")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"ID:7 STAT:delivered ERR:0", ("7", "delivered")),
        (b"id: 7 stat: UNDELIVERABLE", ("7", "failed")),
        (b"id:7 done date:260101120000 stat:EXPIRED err:a0b", ("7", "expired")),
        (b"id:7", ("7", "unknown")),
        (b"id:7 stat:WHATEVER", ("7", "unknown")),
    ],
)
def test_variants_of_the_text(data: bytes, expected: tuple[str, str]) -> None:
    report = read(Deliver(4, 0, data, {}))
    assert report is not None
    assert (report.provider_id, report.state) == expected


def test_a_text_in_ucs2() -> None:
    report = read(Deliver(4, 8, "id:7 stat:DELIVRD text:жж".encode("utf-16-be"), {}))
    assert report is not None
    assert (report.provider_id, report.state) == ("7", "delivered")


def test_no_id_is_no_report() -> None:
    assert read(Deliver(4, 0, b"stat:DELIVRD", {0x0427: b"\2"})) is None
    assert read(Deliver(4, 0, b"", {0x001E: b"\0"})) is None


@pytest.mark.parametrize(("esm_class", "expected"), [(0x00, False), (0x04, True), (0x44, True), (0x20, True), (0x08, False), (0x40, False)])
def test_what_is_a_receipt(esm_class: int, expected: bool) -> None:
    assert is_receipt(Deliver(esm_class, 0, b"id:7 stat:DELIVRD", {})) is expected


def test_a_parameter_makes_a_receipt_of_an_unmarked_deliver() -> None:
    assert is_receipt(Deliver(0, 0, b"", {0x001E: b"7\0"}))


def test_an_intermediate_notification_is_not_final() -> None:
    report = read(Deliver(0x20, 0, b"id:7 stat:UNDELIV", {}))
    assert report is not None
    assert (report.state, report.reason) == ("pending", None)


@given(st.binary(max_size=200), st.dictionaries(st.sampled_from([0x1E, 0x427, 0x423, 0x424]), st.binary(max_size=30)), st.integers(0, 255))
def test_nothing_that_comes_makes_reading_fail(data: bytes, tlvs: dict[int, bytes], coding: int) -> None:
    read(Deliver(4, coding, data, tlvs))


WRITTEN: dict[IdFormat, tuple[str, str]] = {
    "as-is": ("{:d}", "{:012d}"),
    "hex-to-dec": ("{:08X}", "{:d}"),
    "dec-to-hex": ("{:010d}", "{:x}"),
}


@pytest.mark.parametrize("id_format", WRITTEN)
@given(number=st.integers(0, 2**64))
def test_the_two_spellings_of_an_id_meet(id_format: IdFormat, number: int) -> None:
    answer, receipt = WRITTEN[id_format]
    assert ANSWER_ID[id_format](answer.format(number)) == receipt_id(receipt.format(number))


@pytest.mark.parametrize("id_format", WRITTEN)
@given(st.text())
def test_any_id_has_a_normal_form(id_format: IdFormat, raw: str) -> None:
    assert ANSWER_ID[id_format](raw)
    assert receipt_id(raw)


def test_an_id_that_is_no_number_is_kept() -> None:
    assert ANSWER_ID["hex-to-dec"]("Msg-7") == receipt_id("MSG-7") == "msg-7"
