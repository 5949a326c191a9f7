"""The console's languages: gettext catalogues, read from their ``.po`` files when the worker starts."""

from collections.abc import Sequence
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

from babel.core import parse_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

FOLDER = Path(__file__).parent
LANGUAGES: dict[str, str] = {"en": "English", "it": "Italiano", "ru": "Русский"}
"""Those there are, each by its own name. The first stands in the templates themselves."""


def translations(language: str) -> NullTranslations:
    """The catalogue of a language."""
    path = FOLDER / f"{language}.po"
    if not path.exists():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


CATALOGUES: dict[str, NullTranslations] = {language: translations(language) for language in LANGUAGES}


def wanted(header: str, languages: Sequence[str] = tuple(LANGUAGES)) -> str:
    """Of what a browser asks for (``Accept-Language``) the first that there is; English if there is none of it."""
    asked: list[tuple[float, str]] = []
    for item in header.split(",")[:20]:
        tag, _, weight = item.strip().partition(";q=")
        try:
            asked.append((-float(weight or 1), parse_locale(tag, sep="-")[0]))
        except ValueError:
            continue
    return next((language for _, language in sorted(asked, key=lambda pair: pair[0]) if language in languages), languages[0])


def mark(text: str) -> str:
    """Marks a text for translation that is translated where it is shown."""
    return text
