"""Every text of the console is there in every language, with the same places for values."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from babel import Locale
from babel.messages.pofile import read_po
from jinja2 import Environment

from inm.console import pages
from inm.console.texts import CATALOGUES, FOLDER, LANGUAGES, wanted
from inm.console.texts.__main__ import extracted
from inm.console.words import BADGES, DEEDS, MEANING
from inm.core.audit import ACTIONS
from inm.core.roles import ADDS
from inm.core.states import RANK, STATES

OTHERS = list(LANGUAGES)[1:]


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated(language: str) -> None:
    with (FOLDER / f"{language}.po").open("rb") as file:
        known = read_po(file, locale=language)
    texts = extracted()
    missing = [message.id for message in texts if message.id and not (known.get(message.id) and all_of(known[message.id].string))]
    assert not missing, f"make texts, and then translate in {language}.po"
    unused = [message.id for message in known if message.id and message.id not in texts]
    assert not unused, "make texts drops them"


def all_of(texts: object) -> bool:
    return all(texts) if isinstance(texts, tuple) else bool(texts)


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_places_of_its_text(language: str) -> None:
    for ids, texts in messages(language):
        places = {frozenset(re.findall(r"%\(\w+\)s", text)) for text in (*ids, *texts)}
        assert len(places) == 1 or len(ids) > 1, ids


def messages(language: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The forms of each text in English, and in a language."""
    with (FOLDER / f"{language}.po").open("rb") as file:
        for message in read_po(file, locale=language):
            if message.id:
                yield forms_of(message.id), forms_of(message.string)


def forms_of(text: Any) -> tuple[str, ...]:
    return text if isinstance(text, tuple) else (text,)


NAMES = {"HTML", "SMS", "OpenID", "Kafka", "REST", "Id", "id", "inm", "apply", "campaign", "create", "admin", "base", "it", "young"}
"""What has Latin letters in Russian too."""


def test_russian_is_written_in_russian_letters() -> None:
    for ids, texts in messages("ru"):
        for text in texts:
            plain = re.sub(r"%\(\w+\)s|<[^>]*>", "", text)
            latin = set(re.findall(r"[A-Za-z]+", plain))
            assert latin <= NAMES, (ids[0], latin - NAMES)
            assert not re.search(r"[A-Za-z][\u0400-\u04ff]|[\u0400-\u04ff][A-Za-z]", plain), f"{ids[0]}: a letter of another alphabet"


@pytest.mark.parametrize(("language", "forms"), [("it", ("one", "other")), ("ru", ("one", "few", "many"))])
def test_numbers_have_the_forms_of_their_language(language: str, forms: tuple[str, ...]) -> None:
    """As CLDR has them: 1, 21 and 101 are one; 2 to 4, 22 are few; 5 to 20 and 11 to 14 are many."""
    counted = {ids: texts for ids, texts in messages(language) if len(ids) > 1}
    assert counted
    for (one, many), texts in counted.items():
        assert len(texts) == len(forms), one
        assert texts[0] != texts[-1], one
        for number in range(200):
            form = Locale(language).plural_form(number)
            assert CATALOGUES[language].ngettext(one, many, number) == texts[forms.index(form)], (one, number)


def test_no_page_has_a_text_that_is_in_no_catalogue() -> None:
    """Words between tags that are not in ``{{ _(…) }}``: what nobody could translate."""
    for path in sorted((FOLDER.parent / "pages").glob("*.html")):
        text = re.sub(r"{#.*?#}|{{.*?}}|{%.*?%}", "", path.read_text(), flags=re.DOTALL)
        plain = unescape(re.sub(r"<[^>]*>", " ", text))
        assert not re.search(r"[^\W\d_]{2,}", plain.replace("INM", "")), (Path(path).name, plain.split())


def test_states_rights_and_deeds_have_their_words() -> None:
    assert set(DEEDS) == set(ACTIONS)
    assert {*STATES, *RANK} <= set(BADGES)
    assert set(MEANING) == {right for rights in ADDS.values() for right in rights}
    assert all(badge.icon.strip() and badge.word for badge in BADGES.values())


@pytest.mark.parametrize(
    ("header", "language"),
    [("it-CH", "it"), ("de, ru;q=0.5, it;q=0.1", "ru"), ("", "en"), ("*", "en"), ("it;q=x, ru", "ru"), ("x" * 999, "en"), ("*;q=0", "en")],
)  # fmt: skip
def test_a_browser_gets_what_it_asks_for_first(header: str, language: str) -> None:
    assert wanted(header) == language


async def test_pages_are_compiled_ahead_once_for_all_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "BREATH", 0)
    await pages.compile_ahead()

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(Environment, "compile", never)
    for language in LANGUAGES:
        fresh = pages._environment(language)
        for name in fresh.list_templates(extensions=["html"]):
            assert fresh.get_template(name).environment is fresh
            pages.ENVIRONMENTS[language].get_template(name)
