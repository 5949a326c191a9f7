"""The simulated SMSC shows what a handset does."""

from aiosmpplib.codec import find_codec_info
from hypothesis import given
from hypothesis import strategies as st

from inm.demo.smsc.ledger import Ledger
from inm.demo.smsc.pdus import Part

SEPTETS = st.integers(0, 127) | st.sampled_from(b"\x1b\x0a\x14()/<=>@e")


@given(st.lists(SEPTETS, max_size=20).map(bytes))
def test_the_gsm_alphabet_is_read_as_aiosmpplib_does(text: bytes) -> None:
    ledger = Ledger()
    ledger.add(Part("acme", "39333", "gsm0338", False, text, registered=True))
    assert ledger.last[0].text == find_codec_info("gsm0338").decode(text, "replace")[0]
