"""What a command_status means (SMPP 3.4, 5.1.3), and what the parts of a message make together."""

from collections.abc import Mapping, Sequence

from aiosmpplib.state import SmppCommandStatus as Status
from msgspec.structs import replace

from inm.core.results import REASON, Answer, Result

RESULTS: Mapping[int, Result] = {
    Status.ESME_ROK: Result.SENT,
    Status.ESME_RINVMSGLEN: Result.PERMANENT,
    Status.ESME_RINVCMDLEN: Result.PERMANENT,
    Status.ESME_RINVCMDID: Result.PERMANENT,
    Status.ESME_RINVBNDSTS: Result.ROUTE_FAULT,
    Status.ESME_RALYBND: Result.ROUTE_FAULT,
    Status.ESME_RINVPRTFLG: Result.PERMANENT,
    Status.ESME_RINVREGDLVFLG: Result.PERMANENT,
    Status.ESME_RSYSERR: Result.TEMPORARY,
    Status.ESME_RINVSRCADR: Result.PERMANENT,
    Status.ESME_RINVDSTADR: Result.INVALID_ADDRESS,
    Status.ESME_RBINDFAIL: Result.ROUTE_FAULT,
    Status.ESME_RINVPASWD: Result.ROUTE_FAULT,
    Status.ESME_RINVSYSID: Result.ROUTE_FAULT,
    Status.ESME_RMSGQFUL: Result.THROTTLED,
    Status.ESME_RINVSERTYP: Result.PERMANENT,
    Status.ESME_RINVDESTFLAG: Result.PERMANENT,
    Status.ESME_RINVSUBREP: Result.PERMANENT,
    Status.ESME_RINVESMCLASS: Result.PERMANENT,
    Status.ESME_RSUBMITFAIL: Result.TEMPORARY,
    Status.ESME_RINVSRCTON: Result.PERMANENT,
    Status.ESME_RINVSRCNPI: Result.PERMANENT,
    Status.ESME_RINVDSTTON: Result.PERMANENT,
    Status.ESME_RINVDSTNPI: Result.PERMANENT,
    Status.ESME_RINVSYSTYP: Result.ROUTE_FAULT,
    Status.ESME_RINVREPFLAG: Result.PERMANENT,
    Status.ESME_RTHROTTLED: Result.THROTTLED,
    Status.ESME_RINVSCHED: Result.PERMANENT,
    Status.ESME_RINVEXPIRY: Result.PERMANENT,
    Status.ESME_RINVDFTMSGID: Result.PERMANENT,
    Status.ESME_RX_T_APPN: Result.TEMPORARY,
    Status.ESME_RX_P_APPN: Result.PERMANENT,
    Status.ESME_RX_R_APPN: Result.PERMANENT,
    Status.ESME_RINVOPTPARSTREAM: Result.PERMANENT,
    Status.ESME_ROPTPARNOTALLWD: Result.PERMANENT,
    Status.ESME_RINVPARLEN: Result.PERMANENT,
    Status.ESME_RMISSINGOPTPARAM: Result.PERMANENT,
    Status.ESME_RINVOPTPARAMVAL: Result.PERMANENT,
    Status.ESME_RDELIVERYFAILURE: Result.PERMANENT,
    Status.ESME_RUNKNOWNERR: Result.TEMPORARY,
}
"""Every other code, a vendor's own among them, is temporary: nothing was accepted, and the schedule bounds the retries."""

NOT_SENT = Answer(Result.ROUTE_FAULT, reason="route-down")
"""Never written: safe to send again."""
NO_ANSWER = Answer(Result.UNKNOWN, reason="no-answer")
"""Written, and then the time or the connection ended."""
TOO_SLOW = Answer(Result.THROTTLED, reason="throttled", text="the route's rate left no room in time")

_NAMES = {int(status): status.name for status in Status}
_REFUSED = (Result.PERMANENT, Result.INVALID_ADDRESS, Result.NOT_ALLOWED)


def refusal(status: int, overlay: Mapping[int, Result]) -> Answer:
    """The answer for a command_status other than ESME_ROK; ``overlay`` is the route's table of its vendor's codes."""
    result = overlay.get(status) or RESULTS.get(status, Result.TEMPORARY)
    return Answer(result, reason=REASON.get(result), code=f"0x{status:08x}", text=_NAMES.get(status))


def combine(parts: Sequence[Answer]) -> Answer:
    """One answer for a message of several parts.

    ``sent`` only if all were accepted. A part refused for good makes the message impossible: that
    answer. Then a part of unknown fate: ``unknown``. If nothing was accepted, the first refusal; if
    some was, ``temporary``: the whole goes again, and that is an attempt. Ids of accepted parts are
    there in any case: they are paid for, and receipts come for them.
    """
    ids = [part.provider_ids[0] if part.provider_ids else "" for part in parts]
    if all(part.result is Result.SENT for part in parts):
        return Answer(Result.SENT, ids)
    answer = _failed(parts)
    return replace(answer, provider_ids=ids) if any(ids) else answer


def _failed(parts: Sequence[Answer]) -> Answer:
    for part in parts:
        if part.result in _REFUSED:
            return part
    for part in parts:
        if part.result is Result.UNKNOWN:
            return part
    first = next(part for part in parts if part.result is not Result.SENT)
    if any(part.result is Result.SENT for part in parts):
        return Answer(Result.TEMPORARY, reason=REASON[Result.TEMPORARY], code=first.code, text=first.text)
    return first
