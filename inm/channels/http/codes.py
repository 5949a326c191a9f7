"""What an HTTP status means: tables by status and by its class (RFC 9110 section 15), which a route may overlay."""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from inm.core.results import REASON, Answer, Result

BY_STATUS: dict[int, Result] = {
    # us, not the message: another credential, method, type or place is wanted
    401: Result.ROUTE_FAULT,
    403: Result.ROUTE_FAULT,
    405: Result.ROUTE_FAULT,
    407: Result.ROUTE_FAULT,
    415: Result.ROUTE_FAULT,
    421: Result.ROUTE_FAULT,
    426: Result.ROUTE_FAULT,
    # the recipient
    404: Result.INVALID_ADDRESS,
    410: Result.INVALID_ADDRESS,
    451: Result.NOT_ALLOWED,
    # time
    408: Result.TEMPORARY,
    425: Result.TEMPORARY,
    429: Result.THROTTLED,
    # a gateway lost the answer of the system behind it, which may have taken the message
    502: Result.UNKNOWN,
    504: Result.UNKNOWN,
}
BY_CLASS: dict[str, Result] = {
    "2xx": Result.SENT,
    "3xx": Result.ROUTE_FAULT,  # redirects are not followed: they may lead anywhere
    "4xx": Result.PERMANENT,
    "5xx": Result.TEMPORARY,
}
"""What no table knows."""
ODD = Result.TEMPORARY
"""Of a status outside of these classes."""

TEXT_LIMIT = 300
"""Characters of an answer that are kept."""

Overlay = Mapping[str, Result]
"""By status or class as they are written: ``409``, ``4xx``."""


def overlay(table: Mapping[object, object]) -> Overlay:
    """A route's own table. ``ValueError`` names what is no status or no result."""
    found: dict[str, Result] = {}
    for key, value in table.items():
        name = str(key)
        if not (name in BY_CLASS or (len(name) == 3 and name.isdecimal() and name[0] in "2345")):
            raise ValueError(f"statuses: found {name!r}, allowed: 200 to 599 or {', '.join(BY_CLASS)}")
        try:
            found[name] = Result(str(value))
        except ValueError:
            raise ValueError(f"statuses/{name}: found {value!r}, allowed: {', '.join(Result)}") from None
    return found


def meaning(status: int, own: Overlay) -> Result:
    """The route's table before ours, a status before its class."""
    kind = f"{status // 100}xx"
    return own.get(str(status)) or BY_STATUS.get(status) or own.get(kind) or BY_CLASS.get(kind, ODD)


def refusal(result: Result, status: int, body: bytes) -> Answer:
    """The answer that stands for a status other than success, with the beginning of its words."""
    words = " ".join(body[: 4 * TEXT_LIMIT].decode("utf-8", "replace").split())
    return Answer(result, reason=REASON[result], code=str(status), text=_printable(words)[:TEXT_LIMIT] or None)


def fault(result: Result, reason: str, text: str) -> Answer:
    """An answer that no status stands behind."""
    return Answer(result, reason=reason, text=_printable(text)[:TEXT_LIMIT])


def retry_after(given: str | None, now: float) -> float:
    """Seconds that ``Retry-After`` asks for, by a number or a date (RFC 9110 section 10.2.3); 0 if it cannot be read."""
    text = (given or "").strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
