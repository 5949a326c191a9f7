"""Every code has a meaning, and parts make one answer."""

import pytest
from aiosmpplib.state import SmppCommandStatus as Status
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from inm.channels.smpp.codes import NO_ANSWER, NOT_SENT, RESULTS, combine, refusal
from inm.core.results import REASON, REASONS, Answer, Result

OF_OTHER_COMMANDS = {
    Status.ESME_RINVMSGID, Status.ESME_RCANCELFAIL, Status.ESME_RREPLACEFAIL, Status.ESME_RINVNUMDESTS, Status.ESME_RINVDLNAME,
    Status.ESME_RCNTSUBDL, Status.ESME_RINVNUMMSGS, Status.ESME_RQUERYFAIL,
}  # fmt: skip


def test_every_code_of_the_specification_is_in_the_table() -> None:
    assert set(RESULTS) == set(Status) - OF_OTHER_COMMANDS


def test_every_refusal_has_a_documented_reason() -> None:
    assert set(REASON) == set(Result) - {Result.SENT}
    assert set(REASON.values()) <= set(REASONS)


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (0x0B, Result.INVALID_ADDRESS), (0x0A, Result.PERMANENT), (0x01, Result.PERMANENT), (0x58, Result.THROTTLED),
        (0x14, Result.THROTTLED), (0x08, Result.TEMPORARY), (0x64, Result.TEMPORARY), (0x45, Result.TEMPORARY),
        (0x04, Result.ROUTE_FAULT), (0x400, Result.TEMPORARY),
    ],
)  # fmt: skip
def test_refusals(status: int, result: Result) -> None:
    answer = refusal(status, {})
    assert (answer.result, answer.code) == (result, f"0x{status:08x}")
    assert answer.reason == REASON[result]


def test_a_route_s_own_table_wins() -> None:
    overlay = {0x400: Result.NOT_ALLOWED, 0x08: Result.PERMANENT}
    assert refusal(0x400, overlay).result is Result.NOT_ALLOWED
    assert refusal(0x08, overlay).result is Result.PERMANENT
    assert refusal(0x0B, overlay).result is Result.INVALID_ADDRESS


def sent(provider_id: str) -> Answer:
    return Answer(Result.SENT, [provider_id])


PARTS = st.lists(
    st.sampled_from([sent("1"), NO_ANSWER, NOT_SENT, *(refusal(status, {}) for status in (0x08, 0x58, 0x0B, 0x0A))]), min_size=1
)


@given(PARTS)
def test_sent_is_all_parts_sent_and_ids_keep_their_order(parts: list[Answer]) -> None:
    whole = combine(parts)
    assert (whole.result is Result.SENT) == all(part.result is Result.SENT for part in parts)
    ids = ["1" if part.result is Result.SENT else "" for part in parts]
    assert whole.provider_ids == (ids if any(ids) else [])


@given(PARTS)
def test_what_is_safe_to_repeat_uncounted_was_never_accepted(parts: list[Answer]) -> None:
    """Throttled and route fault are no attempts: they may not hide a part that the SMSC has, or may have."""
    if combine(parts).result in (Result.THROTTLED, Result.ROUTE_FAULT):
        assert not any(part.result in (Result.SENT, Result.UNKNOWN) for part in parts)


def test_severity() -> None:
    temporary, refused, throttled = (refusal(status, {}) for status in (0x08, 0x0B, 0x58))
    assert combine([sent("a"), sent("b")]).provider_ids == ["a", "b"]
    assert combine([sent("a"), NO_ANSWER, refused]) == replace(refused, provider_ids=["a", "", ""])
    assert combine([temporary, sent("b"), NO_ANSWER]) == replace(NO_ANSWER, provider_ids=["", "b", ""])
    assert combine([sent("a"), temporary]).result is Result.TEMPORARY
    assert combine([sent("a"), throttled]).result is Result.TEMPORARY
    assert combine([sent("a"), NOT_SENT]).result is Result.TEMPORARY
    assert combine([throttled, throttled]) == throttled
    assert combine([NOT_SENT, NOT_SENT]) == NOT_SENT
