"""Languages: the order of fall-back, and how numbers, money, dates and counted nouns are written in each."""

# ruff: noqa: RUF001, RUF002 - Russian letters are meant

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cached_property, lru_cache
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


def _one_or_more(count: Decimal) -> int:
    return int(count != 1)


def _russian_form(count: Decimal) -> int:
    if count != int(count):
        return 1
    tens, ones = int(count) % 100 // 10, int(count) % 10
    return 2 if tens == 1 or ones == 0 or ones > 4 else int(ones > 1)


def _as_it_is(word: str, _number: int, _ordinal: bool) -> str:
    return f"{word} "


def _italian(word: str, number: int, ordinal: bool) -> str:
    """``il``, ``del``, ``al``, ``dal`` lose their vowel before ``otto…``, ``undici`` and ``uno``, not before ``primo``."""
    digits = str(number)
    vowel = digits[0] == "8" or number == 11 or 11_000 <= number < 12_000 or (number == 1 and not ordinal)
    elided = {"il": "l'", "Il": "L'"}.get(word, f"{word}l'")
    return elided if vowel and word[-1:] == "l" else f"{word} "


def _russian(word: str, number: int, ordinal: bool) -> str:
    """``с`` and ``к`` gain a vowel before ``второго``, ``второму``."""
    return f"{word}о " if word.lower() in ("с", "к") and ordinal and number == 2 else f"{word} "


@dataclass(frozen=True)
class Style:
    """How a language writes numbers, dates and the words around them. ``money`` and ``date`` are format strings.

    ``word`` writes a word before a number, which may be that of a day (``ordinal``).
    ``form`` says which of a noun's forms goes with a count, by the plural rules of CLDR; ``forms`` shows them.
    """

    thousands: str
    decimal: str
    money: str
    date: str
    months: tuple[str, ...]
    word: Callable[[str, int, bool], str] = _as_it_is
    form: Callable[[Decimal], int] = _one_or_more
    forms: tuple[str, ...] = ("1 day", "2 days")

    @cached_property
    def separators(self) -> Mapping[int, str]:
        """From those of Python's own notation."""
        return {ord(","): self.thousands, ord("."): self.decimal}


_EN = "January February March April May June July August September October November December"
_IT = "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"
_RU = "января февраля марта апреля мая июня июля августа сентября октября ноября декабря"
_ENGLISH = Style(",", ".", "{symbol}{number}", "{day} {month} {year}", tuple(_EN.split()))
STYLES = {
    "en": _ENGLISH,
    "it": Style(
        ".",
        ",",
        "{number} {symbol}",
        "{day} {month} {year}",
        tuple(_IT.split()),
        word=_italian,
        forms=("1 giorno", "2 giorni"),
    ),
    "ru": Style(
        "\u00a0",
        ",",
        "{number} {symbol}",
        "{day} {month} {year}",
        tuple(_RU.split()),
        word=_russian,
        form=_russian_form,
        forms=("1 день", "2 дня", "5 дней"),
    ),
}
_LEADING = re.compile(r"[0-9][0-9.,\u00a0]*")
_ORDINAL = re.compile(r"[^\W\d_]{3}")
"""A month behind a number."""
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "RUB": "₽"}


def style(language: str) -> Style:
    """The style of a language, or English."""
    return STYLES.get(language.partition("-")[0], _ENGLISH)


def _exact(value: Any) -> Decimal:
    """``ValueError`` for what is no number, or is beyond 10^15."""
    try:
        exact = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        exact = Decimal("NaN")
    if not (exact.is_finite() and abs(exact) < LARGEST):
        raise ValueError(f"{str(value)[:40]!r} is no number that can be shown")
    return exact


def number(style: Style, value: Any, digits: int = 0) -> str:
    """``1234.5`` as ``1.234,50``. ``ValueError`` for what is no number, or is beyond 10^15 or nine digits."""
    if not 0 <= digits <= 9:
        raise ValueError(f"{digits!r} digits cannot be shown")
    return f"{_exact(value):,.{digits}f}".translate(style.separators)


def plural(style: Style, value: Any, *forms: str) -> str:
    """The form of a noun that goes with a number, without the number: ``день``, ``дня`` or ``дней``. ``ValueError`` as :func:`number`."""
    return forms[style.form(abs(_exact(value)))]


def money(style: Style, value: Any, currency: str = "EUR") -> str:
    """An amount with two decimals and the currency's symbol, or its ISO 4217 code and a space."""
    symbol = SYMBOLS.get(currency) or (f"{currency} " if style is _ENGLISH else currency)
    amount = number(style, value, 2)
    return "-" * amount.startswith("-") + style.money.format(number=amount.removeprefix("-"), symbol=symbol)


def day(style: Style, value: Any) -> str:
    """``2026-11-24`` or an ISO 8601 time as ``24 novembre 2026``. ``ValueError`` for anything else."""
    moment = date.fromisoformat(str(value)[:10])
    return style.date.format(day=moment.day, month=style.months[moment.month - 1], year=moment.year)


def day_and_month(style: Style, value: Any) -> str:
    """The same as ``24 novembre``. ``ValueError`` as :func:`day`."""
    moment = date.fromisoformat(str(value)[:10])
    return f"{moment.day} {style.months[moment.month - 1]}"


def after(style: Style, value: Any, word: str) -> str:
    """A number or date as it is written, behind a word that changes with it: ``dal 7 maggio``, ``dall'8 maggio``.

    ``TypeError`` for what is neither a text nor a number.
    """
    text = str(value)
    if not isinstance(value, str | int | float | Decimal):
        raise TypeError(f"{text[:40]!r} is no number or date as it is written")
    number = _LEADING.match(text)
    if number is None:
        return f"{word} {text}"
    whole = number[0].partition(style.decimal)[0].replace(style.thousands, "")
    return style.word(word, int(re.sub(r"\D", "", whole)), bool(_ORDINAL.search(text, number.end()))) + text


def clock(_style: Style, value: Any) -> str:
    """The hour and minute of an ISO 8601 time, as its sender wrote them: ``18:05``. ``ValueError`` for anything else."""
    return datetime.fromisoformat(str(value)).strftime("%H:%M")
