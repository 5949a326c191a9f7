"""Receipts by webhook: who posted them, and what they say of which message."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError

from inm.core import webhooks
from inm.core.records import Receipt, ReceiptState

STATES: Mapping[str, ReceiptState] = {state: state for state in get_args(ReceiptState)}
"""Our own words, for systems that speak them."""
MOST = 1000
"""Receipts of one post."""
LONGEST = 300
"""Characters of a provider's id, and of its words that are kept."""
_SECONDS_END = 10**11
"""Numbers below are seconds since 1970, above milliseconds: the year 5138, and 1973."""


class UnreadableError(ValueError):
    """What was posted is signed, but cannot be read."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a post has what: JMESPath expressions, ``items`` in the body and the others in an item."""

    items: str = "@"
    id: str = "id"
    state: str = "state"
    at: str = "at"
    code: str = "code"
    text: str = "text"


class Reader:
    """Reads the posts of one route."""

    def __init__(self, route: str, secret: str, header: str | None, paths: Paths, states: Mapping[str, str]) -> None:
        """``header`` holds the plain HMAC of the body; Standard Webhooks if None. ``states`` are the provider's words in ours."""
        self._route = route
        self._header = header
        self._key = _key(secret, header)
        self._paths = {name: _path(name, getattr(paths, name)) for name in Paths.__dataclass_fields__}
        self._states = _states(states)

    def read(self, headers: Mapping[str, str], body: bytes, now: int) -> tuple[list[Receipt], int]:
        """The receipts of a post that came at ``now`` (ms), and how many of its items are none of messages, or of states not known.

        :class:`~inm.core.webhooks.SignatureError`, :class:`UnreadableError`.
        """
        if self._header is None:
            webhooks.verify(self._key, headers, body, now // 1000)
        else:
            webhooks.verify_plain(self._key, headers.get(self._header, ""), body)
        items = [self._receipt(item, now) for item in self._items(body)]
        receipts = [receipt for receipt in items if receipt is not None]
        return receipts, len(items) - len(receipts)

    def _items(self, body: bytes) -> list[Any]:
        try:
            found = self._paths["items"].search(msgspec.json.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, JMESPathError) as error:
            raise UnreadableError(f"the body is no JSON in which receipts are found: {error}") from error
        items = found if isinstance(found, list) else [] if found is None else [found]
        if len(items) > MOST:
            raise UnreadableError(f"the body has {len(items)} receipts, allowed are {MOST}")
        return items

    def _receipt(self, item: Any, now: int) -> Receipt | None:
        found = {name: _search(path, item) for name, path in self._paths.items() if name != "items"}
        provider_id, state = _word(found["id"]), self._states.get(_word(found["state"]) or "")
        if provider_id is None or state is None:
            return None
        return Receipt(
            self._route, provider_id, state, _moment(found["at"]) or now, code=_word(found["code"]), text=_word(found["text"])
        )  # fmt: skip


def provider_id(path: Any, body: bytes) -> str | None:
    """The provider's id of a message in its answer, by a compiled JMESPath; None if there is none."""
    try:
        return _word(path.search(msgspec.json.decode(body)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, JMESPathError):
        return None


def compiled(option: str, path: str) -> Any:
    """A JMESPath. ``ValueError`` names the option."""
    try:
        return jmespath.compile(path)
    except JMESPathError as error:
        raise ValueError(f"{option}: is no JMESPath: {' '.join(str(error).split())}") from error


def _path(name: str, path: str) -> Any:
    return compiled(f"receipt_{name}", path)


def _key(secret: str, header: str | None) -> bytes:
    if header is not None:
        return secret.encode()
    try:
        return webhooks.secret(secret)
    except ValueError as error:
        raise ValueError(f"receipt_secret: {error}; or name the header of another signature in receipt_header") from error


def _states(given: Mapping[str, str]) -> Mapping[str, ReceiptState]:
    found: dict[str, ReceiptState] = {}
    for word, state in given.items():
        if state not in STATES:
            raise ValueError(f"receipt_states/{word}: found {state!r}, allowed: {', '.join(STATES)}")
        found[str(word)] = STATES[state]
    return found or STATES


def _search(path: Any, item: Any) -> Any:
    try:
        return path.search(item)
    except JMESPathError:
        return None


def _word(value: Any) -> str | None:
    """A text or number as a text; None for anything else, and for nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip()[:LONGEST] or None


def _moment(value: Any) -> int | None:
    """A time (ms): a number of seconds or milliseconds since 1970, or ISO 8601; None if it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _SECONDS_END * 100:
        return int(value * 1000 if value < _SECONDS_END else value)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000) if moment else None
