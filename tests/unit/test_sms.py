"""Laws of SMS segmentation (3GPP TS 23.038, 23.040)."""

import pytest
from aiosmpplib.codec import find_codec_info
from hypothesis import example, given
from hypothesis import strategies as st

from inm.core.sms import MAX_PARTS, UserData, reference, segment, user_data

GSM = st.text(st.sampled_from("@£$èéùìòÇ\nØøΔ_ΦΓΛΩΠÆßÉ !\"#¤%&'()aZ09ÄÖÑÜ§¿äöñüà\f^{}\\[~]|€"), max_size=900)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=500) | st.text(st.sampled_from("aж😀€"), max_size=500)
REFERENCE = st.integers(0, 0xFFFF)
CODEC = {"gsm7": find_codec_info("gsm0338"), "ucs2": find_codec_info("ucs2")}


def pieces(data: UserData) -> list[bytes]:
    """The parts without their headers."""
    if len(data.parts) == 1:
        return data.parts
    return [part[part[0] + 1 :] for part in data.parts]


def air(data: UserData, part: bytes) -> int:
    """Octets of user data in the air: septets are packed, and begin on a septet boundary after a header."""
    header = part[0] + 1 if len(data.parts) > 1 else 0
    if data.encoding == "ucs2":
        return len(part)
    septets = -(-header * 8 // 7) + len(part) - header
    return -(-septets * 7 // 8)


@given(GSM | ANY, REFERENCE)
@example("😀" * 34 + "a" + "😀" * 40, 1)
@example("a" * 152 + "€" + "b" * 200, 1)
@example("a" * 306, 1)
def test_parts_joined_are_the_text_and_none_is_cut_inside_a_character(text: str, ref: int) -> None:
    data = user_data(text, ref)
    # Each piece decodes strictly by itself, which no half escape or surrogate does.
    assert "".join(CODEC[data.encoding].decode(piece, "strict")[0] for piece in pieces(data)) == text
    assert max(air(data, part) for part in data.parts) <= 140
    assert (data.encoding, len(data.parts)) == segment(text)


@given(GSM)
def test_what_fits_gsm7_is_sent_as_gsm7(text: str) -> None:
    assert segment(text).encoding == "gsm7"


@given(GSM | ANY, REFERENCE)
def test_headers_number_the_parts_and_share_a_reference(text: str, ref: int) -> None:
    parts = user_data(text, ref).parts
    if len(parts) == 1:
        return
    heads = [part[: part[0] + 1] for part in parts]
    assert len({head[:-2] for head in heads}) == 1
    assert [(head[-2], head[-1]) for head in heads] == [(len(parts), number) for number in range(1, len(parts) + 1)]
    wide, narrow = bytes([6, 8, 4]) + ref.to_bytes(2), bytes([5, 0, 3, ref & 0xFF])
    assert heads[0][:-2] in (wide, narrow)


def test_counts_as_providers_bill() -> None:
    counted = {text: segment(text) for text in ["", "a" * 160, "a" * 161, "a" * 306, "a" * 307, "€" * 80, "€" * 81, "€" * 152, "€" * 153]}
    assert [segments.parts for segments in counted.values()] == [1, 1, 2, 2, 3, 1, 2, 2, 3]
    assert {segments.encoding for segments in counted.values()} == {"gsm7"}
    counted = {text: segment(text) for text in ["ж", "ж" * 70, "ж" * 71, "ж" * 134, "ж" * 135, "😀" * 35, "😀" * 36, "😀" * 66, "😀" * 67]}
    assert [segments.parts for segments in counted.values()] == [1, 1, 2, 2, 3, 1, 2, 2, 3]
    assert {segments.encoding for segments in counted.values()} == {"ucs2"}


def test_the_wide_reference_is_used_unless_it_costs_a_part() -> None:
    assert {part[0] for part in user_data("a" * 304, 0x1234).parts} == {6}
    assert {part[0] for part in user_data("a" * 305, 0x1234).parts} == {5}
    assert {part[0] for part in user_data("ж" * 132, 0x1234).parts} == {6}
    assert {part[0] for part in user_data("ж" * 133, 0x1234).parts} == {5}


def test_a_lone_surrogate_does_not_stop_a_message() -> None:
    assert user_data("a\ud83d", 1).parts == [b"\0a\0?"]


def test_at_most_255_parts() -> None:
    assert len(user_data("a" * 153 * MAX_PARTS, 1).parts) == MAX_PARTS
    with pytest.raises(ValueError, match="256 parts"):
        user_data("a" * (153 * MAX_PARTS + 1), 1)


@given(st.text())
def test_a_resend_has_the_same_reference(delivery: str) -> None:
    assert reference(delivery) == reference(delivery)
    assert 0 <= reference(delivery) <= 0xFFFF


def test_references_spread() -> None:
    assert len({reference(f"3-abcdefghijklmnopqrstuvwxyz.{step}.1") for step in range(1000)}) > 980
