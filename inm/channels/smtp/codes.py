"""What an SMTP server's reply means: tables by phase, reply code and enhanced status code.

Sources: RFC 5321 section 4.2 (replies), RFC 3463 and the IANA registry of enhanced status codes that
grew from it (RFC 4954 AUTH, RFC 6531 SMTPUTF8, RFC 7372 sender authentication, RFC 7504 and RFC 7505
hosts that take no mail).
"""

import re
from enum import Enum

from inm.core.results import Answer, Result


class Phase(Enum):
    """Where in the dialogue a reply was given."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END = "end of data"


Meaning = tuple[Result, str]

ROUTE_DOWN: Meaning = (Result.ROUTE_FAULT, "route-down")
ROUTE_REFUSED: Meaning = (Result.ROUTE_FAULT, "route-refused")
TEMPORARY: Meaning = (Result.TEMPORARY, "provider-temporary")
THROTTLED: Meaning = (Result.THROTTLED, "throttled")
PERMANENT: Meaning = (Result.PERMANENT, "provider-rejected")
BAD_ADDRESS: Meaning = (Result.INVALID_ADDRESS, "invalid-address")
NOT_ALLOWED: Meaning = (Result.NOT_ALLOWED, "not-allowed")
UNKNOWN: Meaning = (Result.UNKNOWN, "no-answer")
DEFECT: Meaning = (Result.PERMANENT, "stage-failed")

SETTING_UP = frozenset({Phase.GREETING, Phase.EHLO, Phase.STARTTLS, Phase.AUTH})
"""No message is under way yet: whatever goes wrong is the route's fault."""

BY_STATUS: dict[str, Meaning] = {
    # addresses: the recipient's, whichever command the server chose to say it in
    "5.1.1": BAD_ADDRESS,  # no such mailbox
    "5.1.2": BAD_ADDRESS,  # no such system
    "5.1.3": BAD_ADDRESS,  # not an address
    "5.1.4": BAD_ADDRESS,  # ambiguous
    "5.1.6": BAD_ADDRESS,  # moved, no forwarding
    "5.1.10": BAD_ADDRESS,  # the domain has a null MX
    "5.2.1": BAD_ADDRESS,  # mailbox disabled
    "5.7.13": BAD_ADDRESS,  # account disabled
    # pace
    "4.4.5": THROTTLED,  # system congested
    "4.7.28": THROTTLED,  # mail flood detected
    # us, not the message
    "5.7.8": ROUTE_REFUSED,  # credentials invalid
    "5.7.9": ROUTE_REFUSED,  # mechanism too weak
    "5.7.11": ROUTE_REFUSED,  # encryption needed for the mechanism
    "4.7.12": ROUTE_REFUSED,  # the password must be changed first
}

BY_PHASE_STATUS: dict[tuple[Phase, str], Meaning] = {
    (Phase.MAIL, "5.1.1"): PERMANENT,  # here these speak of the sender
    (Phase.MAIL, "5.1.2"): PERMANENT,
    (Phase.MAIL, "5.1.3"): PERMANENT,
    (Phase.RCPT, "5.1.0"): BAD_ADDRESS,
    (Phase.RCPT, "5.4.1"): BAD_ADDRESS,  # Exchange Online: not in the directory
    (Phase.RCPT, "5.6.7"): BAD_ADDRESS,  # needs SMTPUTF8 further on
    (Phase.RCPT, "5.7.1"): NOT_ALLOWED,
    (Phase.RCPT, "5.7.2"): NOT_ALLOWED,
    (Phase.RCPT, "5.7.17"): BAD_ADDRESS,  # mailbox owner has changed (RFC 7293)
    (Phase.RCPT, "5.7.18"): BAD_ADDRESS,  # domain owner has changed
}

BY_PHASE_CODE: dict[tuple[Phase, int], Meaning] = {
    (Phase.RCPT, 501): BAD_ADDRESS,
    (Phase.RCPT, 550): BAD_ADDRESS,
    (Phase.RCPT, 551): BAD_ADDRESS,
    (Phase.RCPT, 553): BAD_ADDRESS,
    (Phase.RCPT, 556): BAD_ADDRESS,  # RFC 7504: the domain takes no mail
}
"""For replies without an enhanced status code."""

BY_CODE: dict[int, Meaning] = {
    530: ROUTE_REFUSED,  # STARTTLS (RFC 3207) or AUTH (RFC 4954) is required
    534: ROUTE_REFUSED,
    535: ROUTE_REFUSED,
    538: ROUTE_REFUSED,
}

BY_CLASS: dict[int, Meaning] = {4: TEMPORARY, 5: PERMANENT}
"""What no table knows. A reply of any other class is out of place: after the final dot it says nothing of the message's fate."""

QUEUE_IDS = (
    re.compile(r"queued as <?([\w.@-]+)", re.IGNORECASE),  # Postfix, and those that imitate it
    re.compile(r"\bid=([\w-]+)", re.IGNORECASE),  # Exim
    re.compile(r"(?:^|\s)(\w{8,}) message accepted for delivery", re.IGNORECASE),  # sendmail
    re.compile(r"^(?:2\.\d+\.\d+ )?ok\s+(?:\d+ )?([\w.-]{16,})", re.IGNORECASE),  # Amazon SES, Gmail
    re.compile(r"\bqp (\d+)\b"),  # qmail
)

STATUS = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
"""RFC 3463 section 2."""

TEXT_LIMIT = 500
"""Characters of the server's text that are kept."""


def meaning(phase: Phase, code: int, status: str | None) -> Meaning:
    """What a reply that is not a success means; the most specific entry of the tables wins."""
    if phase in SETTING_UP:
        return ROUTE_REFUSED if code // 100 == 5 else ROUTE_DOWN
    if status and status[0] == str(code)[0]:
        found = BY_PHASE_STATUS.get((phase, status)) or BY_STATUS.get(status)
    else:
        found = BY_PHASE_CODE.get((phase, code))
    return found or BY_CODE.get(code) or BY_CLASS.get(code // 100) or (UNKNOWN if phase is Phase.END else TEMPORARY)


def refusal(phase: Phase, code: int, text: str) -> Answer:
    """The answer that stands for a reply other than success."""
    found = STATUS.match(text)
    status = found[1] if found else None
    result, reason = meaning(phase, code, status)
    shown = f"{code} {status}" if status else str(code)
    return Answer(result, reason=reason, code=shown, text=f"{phase.value}: {text}"[:TEXT_LIMIT])


def accepted(code: int, text: str, message_id: str) -> Answer:
    """The answer that stands for success after the final dot; the provider's id is its queue id if it says one."""
    found = next((match for pattern in QUEUE_IDS if (match := pattern.search(text))), None)
    return Answer(Result.SENT, provider_ids=[found[1] if found else message_id], code=str(code), text=text[:TEXT_LIMIT])


def fault(meaning: Meaning, text: str) -> Answer:
    """An answer that no reply stands behind."""
    return Answer(meaning[0], reason=meaning[1], text=text[:TEXT_LIMIT])
