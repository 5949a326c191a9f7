"""Previews: a template's text in every language and tone of voice, with what is missing and what stands in for it."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from inm.core import sms
from inm.core.documents import Tenant
from inm.core.languages import Fallback, normal
from inm.core.records import Content
from inm.core.rendering import RenderError
from inm.core.templates import Template

MOST_LANGUAGES = 40
MOST_TONES = 10
"""Of the matrix: what a page can show."""


class Cell(Struct, frozen=True):
    """A language and a tone (empty: none). Without a variant of its own it is a hole, which ``variant`` stands in for."""

    language: str
    tone: str
    variant: str
    own: bool
    content: Content | None = None
    fault: str = ""
    """Why there is no content."""
    encoding: str | None = None
    parts: int = 1
    foreign: str = ""
    """The characters that make a short message ucs2, each once."""


class Matrix(Struct, frozen=True):
    """A row a language, a cell a tone. ``cut``: there are more than are shown."""

    tones: list[str]
    rows: list[list[Cell]]
    cut: bool = False

    @property
    def holes(self) -> int:
        """Cells without a text of their own."""
        return sum(not cell.own for row in self.rows for cell in row)


def matrix(template: Template, tenant: Tenant, fallback: Fallback, fields: Mapping[str, Any]) -> Matrix:
    """Every language and tone that the template or its tenant knows."""
    pairs = [key.partition("/") for key in template.keys]
    languages = [*dict.fromkeys([normal(tenant.language), *(pair[0] for pair in pairs), *map(normal, tenant.fallback)])]
    tones = [*dict.fromkeys(["", *(pair[2] for pair in pairs), *tenant.tones])]
    rows = [[_cell(template, fallback, language, tone, fields) for tone in tones[:MOST_TONES]] for language in languages[:MOST_LANGUAGES]]
    return Matrix(tones[:MOST_TONES], rows, len(languages) > MOST_LANGUAGES or len(tones) > MOST_TONES)


def _cell(template: Template, fallback: Fallback, language: str, tone: str, fields: Mapping[str, Any]) -> Cell:
    key = f"{language}/{tone}" if tone else language
    if key not in template.keys:
        return Cell(language, tone, template.serving(language, tone or None, fallback), own=False)
    try:
        content = template.message(key).render(fields)
    except (ValueError, RenderError) as error:
        return Cell(language, tone, key, own=True, fault=str(error))
    if template.channel != "sms":
        return Cell(language, tone, key, own=True, content=content)
    segments = sms.segment(content.text)
    foreign = sms.foreign(content.text) if segments.encoding == "ucs2" else ""
    return Cell(language, tone, key, True, content, encoding=segments.encoding, parts=segments.parts, foreign=foreign)
