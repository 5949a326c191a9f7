"""Laws that keep the editors' guide true: its documents are taken, its conditions and texts do what stands beside them."""

import re
from functools import cache
from typing import Any, get_args

import msgspec
import pytest

from inm.core import fields, rendering, scenarios, sms
from inm.core.books import Book, is_template
from inm.core.catalogue import Checked, check
from inm.core.documents import parse
from inm.core.reference import Held
from inm.core.rendering import Compiled
from inm.core.rules import Rules
from inm.core.scenarios import Rule, Scenario, Step
from tests.unit.test_docs import PAGES, blocks, limit, rows, section

GUIDE = PAGES["docs/scenarios.md"]
NBSP = "\u00a0"


def code(cell: str) -> str:
    """What stands in backticks, without the backslash that a bar needs in a table."""
    return cell.strip("`").replace("\\|", "|")


def table(title: str, columns: int) -> list[list[str]]:
    """The rows under a heading that begin with code and have so many cells."""
    return [[code(cell) for cell in row] for row in rows(section(GUIDE, title)) if row[0].startswith("`") and len(row) == columns]


@cache
def shop() -> Checked:
    """All documents of the guide together."""
    held: dict[str, Held] = {}
    for block in blocks(GUIDE, "yaml"):
        documents, wrong = parse(block, "guide")
        assert not wrong, wrong
        for found in documents:
            path = f"{found.path}/1" if found.document["kind"] == "template" else found.path
            assert path not in held, path
            held[path] = Held(path, 1, found.document, "ada", 0, "approved" if is_template(path) else None)
    return check("shop", held, {"smsc-1": "sms", "smtp-1": "email"})


def book() -> Book:
    found = shop().book
    assert found, shop().faults
    return found


def compiled(when: str) -> Rules:
    return Rules([Rule(when=when)], book().request, book().user)


def test_its_documents_are_taken_as_they_stand() -> None:
    assert (shop().faults, shop().warnings) == ([], [])
    assert len(book().scenarios) >= 7


@pytest.mark.parametrize("title", ["What can be asked", "Values that are not there"])
def test_its_conditions_are_taken(title: str) -> None:
    conditions = [row[0] for row in table(title, 2)]
    assert len(conditions) >= 3
    assert {when: compiled(when).faults for when in conditions if compiled(when).faults} == {}


def test_what_is_refused_is_told_in_its_words() -> None:
    refused = table("What is refused", 2)
    assert len(refused) >= 8
    for when, told in refused:
        assert told in "; ".join(map(str, compiled(when).faults)), when
    twice = Rules([Rule(), Rule(when="request.express")], book().request, book().user)
    assert str(twice.faults[0]).partition(": ")[2] in section(GUIDE, "What is refused")


def test_a_value_that_is_not_there_makes_no_condition_true() -> None:
    assert compiled('user.segment != "gold"').choose({}, {}, "shop", 0).index is None


def test_filters_write_what_the_table_says() -> None:
    shown = table("Filters", 5)
    assert len(shown) >= 8
    for source, value, *expected in shown:
        field = re.findall(r"\w+", source)[0]
        given: Any = msgspec.json.decode(value) if value.startswith("[") else value
        made = [Compiled(source, language).render({field: given}).replace(NBSP, " ") for language in ("en", "it", "ru")]
        assert made == expected, source


@pytest.mark.parametrize(("words", "field"), [("plural", "count"), ("after", "day")])
def test_words_go_with_numbers_as_the_tables_say(words: str, field: str) -> None:
    tables = section(GUIDE, "Filters").split("| variant | written | ")[1:]
    [own] = [text for text in tables if f"|{words}(" in text]
    values, _, *found = (line.strip("| ").split(" | ") for line in own.splitlines() if "|" in line)
    checked = [row for row in found if row[0] in ("en", "it", "ru")]
    assert len(checked) == 3
    for language, source, *expected in checked:
        assert [Compiled(code(source), language).render({field: value}) for value in values] == expected


def test_every_filter_is_named_and_every_snippet_may_be_written() -> None:
    known = rendering.ALLOWED_FILTERS | {"join", "number", "money", "date", "day", "time", "plural", "after"}
    assert known <= set(re.findall(r"\w+", section(GUIDE, "Filters")))
    for [source, _] in table("Conditions and loops", 2):
        Compiled(source, "en")


def test_the_order_of_variants_is_the_real_one() -> None:
    told = re.findall(
        r"`([^`]+)`", next(line for line in section(GUIDE, "Which variant is taken").splitlines() if line.startswith("`it-CH/"))
    )
    fallback = book().fallback
    tried = [f"{language}/{tone}" if tone else language for language in fallback.languages("it-CH") for tone in fallback.tones("young")]
    assert told == tried


def keys(kind: Any) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)} - {"tenant"}


def test_every_key_is_explained() -> None:
    told = {name for row in rows(section(GUIDE, "The scenario")) for name in re.findall(r"`(\w+)`", row[0])}
    assert told == keys(Scenario) | keys(Step)
    own = section(GUIDE, "Rules").partition("### ")[0]
    assert {name for row in rows(own) for name in re.findall(r"`(\w+)`", row[0])} == keys(Rule)
    assert set(get_args(fields.FieldType)) <= set(re.findall(r"`([\w-]+)`", section(GUIDE, "Fields")))
    built_in = {f"{kind}.{name}" for kind, names in fields.BUILT_IN.items() for name in names}
    assert built_in <= set(re.findall(r"`((?:request|user)\.\w+)`", section(GUIDE, "What can be asked")))


def test_its_limits_are_the_real_ones() -> None:
    refused = section(GUIDE, "What is refused")
    assert f"At most {limit(Scenario, 'rules', 'max_length')} rules, each of at most 2000 characters" in refused
    assert get_args(scenarios.Expression)[1].max_length == 2000
    told = section(GUIDE, "Conditions and loops")
    for number in (rendering.MAX_SOURCE, rendering.MAX_CODE, rendering.MAX_OUTPUT, rendering.MAX_ROUNDS):
        assert f"{number:,}".replace(",", " ") in told


def test_alphabets_hold_what_the_table_says() -> None:
    sizes = {row[0]: [int(cell) for cell in row[1:3]] for row in rows(section(GUIDE, "SMS: characters and parts"))}
    for name, letter in (("GSM-7", "à"), ("UCS-2", "я")):
        single, part = sizes[name]
        assert [sms.segment(letter * count).parts for count in (single, single + 1, 2 * part, 2 * part + 1)] == [1, 2, 2, 3]
    dear = "’“”–—…çÈ"  # noqa: RUF001
    assert sms.foreign(dear) == dear
    assert all(letter in section(GUIDE, "SMS: characters and parts") for letter in dear)
    assert sms.foreign("àèéìòù€[]{}^~\\|") == ""
