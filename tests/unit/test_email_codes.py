"""What an SMTP reply means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.channels.smtp import codes
from inm.channels.smtp.codes import Phase, accepted, refusal
from inm.core.results import REASONS, Result

CASES = [
    (Phase.GREETING, 421, "4.3.2 busy", "route-fault", "route-down"),
    (Phase.GREETING, 451, "later", "route-fault", "route-down"),
    (Phase.GREETING, 554, "no service here", "route-fault", "route-refused"),
    (Phase.EHLO, 550, "not you", "route-fault", "route-refused"),
    (Phase.STARTTLS, 454, "4.7.0 TLS not available", "route-fault", "route-down"),
    (Phase.AUTH, 454, "4.7.0 temporary failure", "route-fault", "route-down"),
    (Phase.AUTH, 535, "5.7.8 credentials invalid", "route-fault", "route-refused"),
    (Phase.MAIL, 530, "5.7.0 must issue STARTTLS", "route-fault", "route-refused"),
    (Phase.MAIL, 530, "authentication required", "route-fault", "route-refused"),
    (Phase.MAIL, 550, "5.1.1 who are you", "permanent", "provider-rejected"),
    (Phase.MAIL, 550, "5.7.1 sender not yours", "permanent", "provider-rejected"),
    (Phase.MAIL, 552, "5.3.4 too big", "permanent", "provider-rejected"),
    (Phase.MAIL, 452, "4.3.1 disk full", "temporary", "provider-temporary"),
    (Phase.MAIL, 354, "out of place", "temporary", "provider-temporary"),
    (Phase.RCPT, 450, "4.2.0 greylisted", "temporary", "provider-temporary"),
    (Phase.RCPT, 451, "4.7.1 greylisted", "temporary", "provider-temporary"),
    (Phase.RCPT, 452, "4.2.2 mailbox full", "temporary", "provider-temporary"),
    (Phase.RCPT, 450, "4.7.28 flood", "throttled", "throttled"),
    (Phase.RCPT, 451, "4.4.5 congested", "throttled", "throttled"),
    (Phase.RCPT, 550, "5.1.1 <x>: unknown", "invalid-address", "invalid-address"),
    (Phase.RCPT, 550, "5.1.10 null MX", "invalid-address", "invalid-address"),
    (Phase.RCPT, 550, "no such user here", "invalid-address", "invalid-address"),
    (Phase.RCPT, 553, "not a mailbox", "invalid-address", "invalid-address"),
    (Phase.RCPT, 556, "5.1.10 takes no mail", "invalid-address", "invalid-address"),
    (Phase.RCPT, 553, "5.6.7 needs SMTPUTF8", "invalid-address", "invalid-address"),
    (Phase.RCPT, 550, "5.7.1 not wanted", "not-allowed", "not-allowed"),
    (Phase.RCPT, 550, "5.5.0 something else", "permanent", "provider-rejected"),
    (Phase.RCPT, 552, "5.2.2 over quota", "permanent", "provider-rejected"),
    (Phase.DATA, 554, "5.5.1 no valid recipients", "permanent", "provider-rejected"),
    (Phase.END, 554, "5.7.1 spam", "permanent", "provider-rejected"),
    (Phase.END, 550, "5.1.1 unknown after all", "invalid-address", "invalid-address"),
    (Phase.END, 550, "content", "permanent", "provider-rejected"),
    (Phase.END, 452, "4.3.1 full", "temporary", "provider-temporary"),
    (Phase.END, 421, "closing", "temporary", "provider-temporary"),
    (Phase.END, 354, "what?", "unknown", "no-answer"),
    (Phase.RCPT, 450, "5.1.1 says two things", "temporary", "provider-temporary"),
]


@pytest.mark.parametrize(("phase", "code", "text", "result", "reason"), CASES)
def test_reply_means(phase: Phase, code: int, text: str, result: str, reason: str) -> None:
    answer = refusal(phase, code, text)
    assert (answer.result, answer.reason) == (result, reason)


def test_the_providers_own_words_are_kept() -> None:
    answer = refusal(Phase.RCPT, 550, "5.1.1 unknown " + "x" * 1000)
    assert answer.code == "550 5.1.1"
    assert answer.text is not None
    assert answer.text.startswith("RCPT: 5.1.1 unknown")
    assert len(answer.text) == codes.TEXT_LIMIT


@given(st.sampled_from(Phase), st.integers(-1, 999), st.text() | st.from_regex(codes.STATUS))
def test_every_refusal_has_a_reason_and_is_not_sent(phase: Phase, code: int, text: str) -> None:
    answer = refusal(phase, code, text)
    assert answer.reason in REASONS
    assert answer.result is not Result.SENT
    if phase in codes.SETTING_UP:
        assert answer.result is Result.ROUTE_FAULT
    if answer.result is Result.UNKNOWN:
        assert phase is Phase.END


@pytest.mark.parametrize(
    ("text", "queue_id"),
    [
        ("2.0.0 Ok: queued as 4F2D31A0B3", "4F2D31A0B3"),  # Postfix
        ("OK id=1rXyZa-0001Ab-2C", "1rXyZa-0001Ab-2C"),  # Exim
        ("2.0.0 43NAbCdE012345 Message accepted for delivery", "43NAbCdE012345"),  # sendmail
        ("Ok 0102018f3a2b4c5d-6e7f-000000", "0102018f3a2b4c5d-6e7f-000000"),  # Amazon SES
        ("2.0.0 OK  1700000000 a1-20020a05600c0a0100b00", "a1-20020a05600c0a0100b00"),  # Gmail
        ("ok 1700000000 qp 12345", "12345"),  # qmail
        ("OK", "<id@example.com>"),
        ("2.0.0 Message accepted for delivery", "<id@example.com>"),
    ],
)
def test_provider_id_is_the_queue_id_or_the_message_id(text: str, queue_id: str) -> None:
    answer = accepted(250, text, "<id@example.com>")
    assert (answer.result, answer.provider_ids, answer.reason) == (Result.SENT, [queue_id], None)
