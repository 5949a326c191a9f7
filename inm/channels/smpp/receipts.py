"""Delivery receipts in both forms: text (SMPP 3.4, appendix B) and optional parameters (5.3.2.12, 5.3.2.35)."""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from inm.channels.smpp.wire import Deliver, c_octets
from inm.core.records import ReceiptState

IdFormat = Literal["as-is", "hex-to-dec", "dec-to-hex"]
"""How an SMSC writes a message id in its answer and then in the receipt."""

RECEIPTED_MESSAGE_ID = 0x001E
NETWORK_ERROR_CODE = 0x0423
MESSAGE_STATE = 0x0427

_UCS2 = 0x08
# esm_class bits 5 to 2 (5.2.12): a delivery receipt, or an intermediate notification of one.
_KIND, _RECEIPT, _INTERMEDIATE = 0x3C, 0x04, 0x20

STATES: dict[str, tuple[ReceiptState, str | None]] = {
    # By five letters: SMSCs cut the words differently (appendix B has seven), or write them out.
    "ENROU": ("pending", None),
    "DELIV": ("delivered", None),
    "EXPIR": ("expired", "provider-expired"),
    "DELET": ("failed", "undelivered"),
    "UNDEL": ("failed", "undelivered"),
    "ACCEP": ("pending", None),
    "UNKNO": ("unknown", None),
    "REJEC": ("failed", "provider-rejected"),
}
_WORDS = ("SCHEDULED", "ENROUTE", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD")
"""message_state 1 to 8 (5.2.28); 0 is SMPP 5.0's."""

_find_id = re.compile(rb"\bid:\s*([^\s\0]+)", re.IGNORECASE).search
_find_state = re.compile(rb"\bstat:\s*(\w+)", re.IGNORECASE).search
_find_error = re.compile(rb"\berr:\s*(\w+)", re.IGNORECASE).search


class Report(NamedTuple):
    """What a receipt says, with the SMSC's own id, state word and error code."""

    provider_id: str
    state: ReceiptState
    reason: str | None
    word: str
    code: str | None


def is_receipt(deliver: Deliver) -> bool:
    """Whether it reports on a message of ours; everything else comes from a subscriber."""
    return deliver.esm_class & _KIND in (_RECEIPT, _INTERMEDIATE) or RECEIPTED_MESSAGE_ID in deliver.tlvs


def read(deliver: Deliver) -> Report | None:
    """The report in a receipt, ``None`` if it names no message. Optional parameters win over the text."""
    data = deliver.data
    if deliver.data_coding == _UCS2:
        data = data.decode("utf-16-be", "replace").encode("latin-1", "replace")
    named = deliver.tlvs.get(RECEIPTED_MESSAGE_ID)
    provider_id = c_octets(named) if named else _text(_find_id(data))
    if not provider_id:
        return None
    numbered = deliver.tlvs.get(MESSAGE_STATE)
    number = int.from_bytes(numbered) if numbered else len(_WORDS)
    word = _WORDS[number] if number < len(_WORDS) else (_text(_find_state(data)) or "").upper()
    state, reason = STATES.get(word[:5], ("unknown", None))
    if deliver.esm_class & _KIND == _INTERMEDIATE and state != "delivered":
        state, reason = "pending", None
    return Report(provider_id, state, reason, word, _error(deliver, data))


def _text(match: re.Match[bytes] | None) -> str | None:
    return match[1].decode("latin-1") if match else None


def _error(deliver: Deliver, data: bytes) -> str | None:
    """The network's code where the parameter has one (type and number), else the text's ``err``."""
    network = deliver.tlvs.get(NETWORK_ERROR_CODE)
    if network and len(network) == 3:
        return f"{network[0]}:{int.from_bytes(network[1:])}"
    return _text(_find_error(data))


def _plain(raw: str) -> str:
    return raw.strip().lower().lstrip("0") or "0"


def _decimal(raw: str) -> str:
    """A hexadecimal id in decimal; as it is if it is none."""
    try:
        return str(int(raw, 16))
    except ValueError:
        return _plain(raw)


def _hexadecimal(raw: str) -> str:
    try:
        return f"{int(raw):x}"
    except ValueError:
        return _plain(raw)


ANSWER_ID: dict[IdFormat, Callable[[str], str]] = {"as-is": _plain, "hex-to-dec": _decimal, "dec-to-hex": _hexadecimal}
"""The normal form of an id in a submit_sm_resp, in which it meets its receipts."""


def receipt_id(raw: str) -> str:
    """The normal form of an id in a receipt: it rules, so only zeros in front and capitals are taken away."""
    return _plain(raw)
