"""The pages' templates: one environment a language, in which everything that is written into a page is escaped."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_decimal
from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket

from inm.console.sections import SECTIONS
from inm.console.static import asset
from inm.console.texts import CATALOGUES
from inm.console.words import ENCODINGS, FATES, KNOWLEDGE, MEANING, badge
from inm.core.roles import ADDS

BREATH = 0.05
"""Seconds between two pages that are compiled ahead."""


class _Compiled(BytecodeCache):
    """In memory, for all languages: a page looks its texts up when it is rendered."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if code := self._code.get(bucket.key):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


def _environment(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("inm.console", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_COMPILED,
    )
    environment.install_gettext_translations(CATALOGUES[language], newstyle=True)  # type: ignore[attr-defined]
    environment.globals |= {
        "asset": asset,
        "badge": badge,
        "language": language,
        "sections": SECTIONS,
        "meaning": MEANING,
        "knowledge": KNOWLEDGE,
        "adds": ADDS,
        "encodings": ENCODINGS,
        "fates": FATES,
    }
    environment.filters |= {
        "number": lambda value: format_decimal(value, locale=language),
        "ago": lambda seconds: format_timedelta(-timedelta(seconds=seconds), locale=language, add_direction=True),
        "lasting": lambda seconds: format_timedelta(timedelta(seconds=seconds), locale=language),
        "moment": lambda at, zone, now: _moment(at, ZoneInfo(zone), now, language),
        "pretty": lambda value: value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False),
        "iso": lambda at: _instant(at).isoformat(timespec="milliseconds"),
    }
    return environment


def _instant(at: int | str) -> datetime:
    """Of milliseconds since 1970, or of RFC 3339."""
    return datetime.fromtimestamp(at / 1000, UTC) if isinstance(at, int) else datetime.fromisoformat(at)


def _moment(at: int | str, zone: tzinfo, now: int, language: str) -> str:
    """The year is said unless it is this one."""
    is_this_year = _instant(at).astimezone(zone).year == _instant(now).astimezone(zone).year
    return format_datetime(_instant(at), "d MMM, HH:mm:ss" if is_this_year else "d MMM y, HH:mm:ss", tzinfo=zone, locale=language)


_COMPILED = _Compiled()
ENVIRONMENTS = {language: _environment(language) for language in CATALOGUES}


def render(name: str, language: str, values: Mapping[str, Any]) -> str:
    """A page in a language."""
    return ENVIRONMENTS[language].get_template(name).render(values)


async def compile_ahead() -> None:
    """Compile every page beside the event loop, so that who comes first waits for none."""
    for environment in ENVIRONMENTS.values():
        for name in environment.list_templates(extensions=["html"]):
            await asyncio.to_thread(environment.get_template, name)
            await asyncio.sleep(BREATH)
