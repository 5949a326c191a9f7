"""Languages: the order of fall-back, and how numbers, money and dates are written in each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from types import MappingProxyType
from typing import Any

LAST_RESORT = "en"
NONE: Mapping[str, Sequence[str]] = MappingProxyType({})
MOST_LANGUAGES = 1000
"""Orders that are remembered: producers may name any language."""
LARGEST = Decimal(10) ** 15
"""Above this a number in a message is a mistake, and formatting it could be made arbitrarily slow."""


@lru_cache(4096)
def normal(tag: str) -> str:
    """A BCP 47 tag in its usual case: ``IT-ch`` is ``it-CH`` (RFC 5646, section 2.1.1)."""
    first, *rest = tag.split("-")
    return "-".join(
        [first.lower(), *(part.upper() if len(part) == 2 else part.title() if len(part) == 4 else part.lower() for part in rest)]
    )


class Fallback:
    """A tenant's orders of languages and of tones of voice. ``default`` is its language, ``chains`` and ``tones`` what it declares."""

    def __init__(self, default: str, chains: Mapping[str, Sequence[str]] = NONE, tones: Mapping[str, Sequence[str]] = NONE) -> None:
        self._chains = {normal(tag): [*map(normal, chain)] for tag, chain in chains.items()}
        self._tones = tones
        self._last = dict.fromkeys((*self._expanded(default), LAST_RESORT))
        self._known: dict[str, tuple[str, ...]] = {}

    def languages(self, wanted: str | None) -> tuple[str, ...]:
        """What to try, best first, in the usual case, each once.

        ``it-CH`` and its declared chain; or, without one, ``it`` likewise. Then the tenant's language in the same way, and ``en``.
        """
        key = wanted or ""
        if key not in self._known:
            if len(self._known) >= MOST_LANGUAGES:
                self._known.clear()
            self._known[key] = tuple(dict.fromkeys((*self._expanded(key), *self._last)))
        return self._known[key]

    def tones(self, wanted: str | None) -> tuple[str | None, ...]:
        """What to try, best first, each once: the tone, its declared chain, and None for a variant without tone."""
        return (*dict.fromkeys((wanted, *self._tones.get(wanted, ()))), None) if wanted else (None,)

    def _expanded(self, tag: str) -> Iterator[str]:
        parts = normal(tag).split("-") if tag else []
        for length in range(len(parts), 0, -1):
            part = "-".join(parts[:length])
            yield part
            if part in self._chains:
                yield from self._chains[part]
                return


@dataclass(frozen=True)
class Style:
    """How a language writes numbers and dates. ``money`` and ``date`` are format strings."""

    thousands: str
    decimal: str
    money: str
    date: str
    months: tuple[str, ...]


_EN = "January February March April May June July August September October November December"
_IT = "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"
_RU = "января февраля марта апреля мая июня июля августа сентября октября ноября декабря"
_ENGLISH = Style(",", ".", "{symbol}{number}", "{day} {month} {year}", tuple(_EN.split()))
STYLES = {
    "en": _ENGLISH,
    "it": Style(".", ",", "{number} {symbol}", "{day} {month} {year}", tuple(_IT.split())),
    "ru": Style("\u00a0", ",", "{number} {symbol}", "{day} {month} {year}", tuple(_RU.split())),
}
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "RUB": "₽"}


def style(language: str) -> Style:
    """The style of a language, or English."""
    return STYLES.get(language.partition("-")[0], _ENGLISH)


def number(style: Style, value: Any, digits: int = 0) -> str:
    """``1234.5`` as ``1.234,50``. ``ValueError`` for what is no number, or is beyond 10^15 or nine digits."""
    try:
        exact = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        exact = Decimal("NaN")
    if not (exact.is_finite() and abs(exact) < LARGEST and 0 <= digits <= 9):
        raise ValueError(f"{str(value)[:40]!r} is no number that can be shown")
    return f"{exact:,.{digits}f}".translate({ord(","): style.thousands, ord("."): style.decimal})


def money(style: Style, value: Any, currency: str = "EUR") -> str:
    """An amount with two decimals and the currency's symbol, or its ISO 4217 code and a space."""
    symbol = SYMBOLS.get(currency) or (f"{currency} " if style is _ENGLISH else currency)
    return style.money.format(number=number(style, value, 2), symbol=symbol)


def day(style: Style, value: Any) -> str:
    """``2026-11-24`` or an ISO 8601 time as ``24 novembre 2026``. ``ValueError`` for anything else."""
    moment = date.fromisoformat(str(value)[:10])
    return style.date.format(day=moment.day, month=style.months[moment.month - 1], year=moment.year)


def clock(_style: Style, value: Any) -> str:
    """The hour and minute of an ISO 8601 time, as its sender wrote them: ``18:05``. ``ValueError`` for anything else."""
    return datetime.fromisoformat(str(value)).strftime("%H:%M")
