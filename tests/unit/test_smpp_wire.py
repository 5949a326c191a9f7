"""What is written is what aiosmpplib writes; what is read may be odd."""

from contextlib import suppress

import pytest
from aiosmpplib.protocol import BindTransceiver, DeliverSm, SubmitSm
from aiosmpplib.state import NPI, TON, OptionalParam, PhoneNumber
from hypothesis import given
from hypothesis import strategies as st

from inm.channels.smpp import wire
from inm.core.sms import Encoding, user_data

DIGITS = st.text(st.sampled_from("0123456789"), min_size=9, max_size=15)
SENDERS = [
    ("Acme", TON.ALPHANUMERIC, NPI.UNKNOWN),
    ("+393331234567", TON.INTERNATIONAL, NPI.ISDN),
    ("44777", TON.NETWORK_SPECIFIC, NPI.UNKNOWN),
]
ENCODINGS: list[Encoding] = ["gsm7", "ucs2"]


@given(st.sampled_from(SENDERS), DIGITS, st.sampled_from(["code 12€", "код 12", "è [x]"]), st.booleans())
def test_submit_sm_is_byte_for_byte_aiosmpplibs(sender: tuple[str, TON, NPI], to: str, text: str, flash: bool) -> None:
    encoding, parts = user_data(text, 1)
    ours = wire.submit_sm(wire.source(sender[0], None, None), to, encoding, parts[0], headed=False, flash=flash)
    theirs = SubmitSm(
        sequence_num=7,
        short_message=text,
        source=PhoneNumber(sender[0].removeprefix("+"), sender[1], sender[2]),
        destination=PhoneNumber(to, TON.INTERNATIONAL, NPI.ISDN),
        optional_params=[OptionalParam(0x0005, 1)] if flash else [],
    )
    assert wire.pdu(wire.SUBMIT_SM, 7, ours) == theirs.pdu()


def test_a_header_sets_udhi_and_nothing_else() -> None:
    source = wire.source("Acme", None, None)
    for encoding in ENCODINGS:
        plain, headed = (wire.submit_sm(source, "39333", encoding, b"\5\0\3\1\2\1ab", headed=h, flash=False) for h in (False, True))
        differences = [(a, b) for a, b in zip(plain, headed, strict=True) if a != b]
        assert differences == [(0, 0x40)]


def test_a_source_can_be_told_its_kind_and_must_fit() -> None:
    assert wire.source("44777", 1, 8) == b"\0\x01\x0844777\0"
    assert wire.source("393331234567", None, None) == b"\0\x01\x01393331234567\0"
    for wrong in ("", "+", "a" * 21, "Società", "a\0b"):
        with pytest.raises(ValueError, match="a sender has"):
            wire.source(wrong, None, None)


def test_bind_is_aiosmpplibs_with_its_limits() -> None:
    assert wire.bind_transceiver(3, "inm", "secret", "") == BindTransceiver(sequence_num=3, system_id="inm", password="secret").pdu()
    with pytest.raises(ValueError, match="password"):
        wire.bind_transceiver(3, "inm", "ninechars", "")


PDU = st.builds(wire.Pdu, *[st.integers(0, 0xFFFF_FFFF)] * 3, st.binary(max_size=300))


@given(st.lists(PDU, max_size=8), st.integers(1, 50))
def test_pdus_come_out_as_they_went_in_however_the_stream_is_cut(sent: list[wire.Pdu], size: int) -> None:
    stream = b"".join(wire.pdu(pdu.command, pdu.sequence, pdu.body, pdu.status) for pdu in sent)
    found: list[wire.Pdu] = []
    rest = b""
    for at in range(0, len(stream), size):
        new, rest = wire.pdus(rest + stream[at : at + size])
        found += new
    assert (found, rest) == (sent, b"")


@pytest.mark.parametrize("length", [0, 15, 1_000_000, 0xFFFF_FFFF])
def test_an_impossible_length_is_garbage(length: int) -> None:
    with pytest.raises(wire.Garbage):
        wire.pdus(wire.HEADER.pack(length, 4, 0, 1))


def test_deliver_sm_is_read_as_aiosmpplib_writes_it() -> None:
    body = DeliverSm(short_message="id:1 stat:DELIVRD", esm_class=4, optional_params=[OptionalParam(0x001E, "abc")]).pdu()[16:]
    deliver = wire.deliver_sm(body)
    assert (deliver.esm_class, deliver.data_coding, deliver.data) == (4, 0, b"id:1 stat:DELIVRD")
    assert wire.c_octets(deliver.tlvs[0x001E]) == "abc"


def test_a_long_text_comes_from_message_payload() -> None:
    body = DeliverSm(message_payload="id:1 stat:DELIVRD", esm_class=4).pdu()[16:]
    assert wire.deliver_sm(body).data == b"id:1 stat:DELIVRD"


@given(st.binary(max_size=200))
def test_reading_a_deliver_sm_fails_only_as_promised(body: bytes) -> None:
    with suppress(ValueError, IndexError):
        wire.deliver_sm(body)
