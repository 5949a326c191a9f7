"""What helps editors: words that go with numbers, days, and faults and warnings that say what to do."""

# ruff: noqa: RUF001 - Russian letters are meant

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core import yamltext
from inm.core.catalogue import check
from inm.core.rendering import Compiled, RenderError
from tests.support.books import fields, held, scenario, sms, step

DAYS = {"en": ("day", "days"), "it": ("giorno", "giorni"), "ru": ("день", "дня", "дней")}


def counted(language: str, count: object) -> str:
    words = ", ".join(f"'{word}'" for word in DAYS[language])
    return Compiled(f"{{{{ n|plural({words}) }}}}", language).render({"n": count})


@pytest.mark.parametrize(
    ("language", "word", "counts"),
    [
        ("en", "day", [1, -1, "1"]),
        ("en", "days", [0, 2, 11, 21, 1.5]),
        ("it", "giorno", [1]),
        ("it", "giorni", [0, 2, 21, 100, "1.5"]),
        ("ru", "день", [1, 21, 101, 1001]),
        ("ru", "дня", [2, 3, 4, 22, 104, 1.5, "0.5"]),
        ("ru", "дней", [0, 5, 10, 11, 12, 14, 20, 25, 111, 112, 1000]),
    ],
)
def test_a_noun_has_the_form_that_goes_with_its_number(language: str, word: str, counts: list[object]) -> None:
    assert {counted(language, count) for count in counts} == {word}


@given(st.integers(0, 10**6))
def test_russian_looks_at_the_last_two_digits_only(count: int) -> None:
    assert counted("ru", count) == counted("ru", count % 100 + 100)


@pytest.mark.parametrize("words", ["'день', 'дня'", "", "'a', 'b', 'c', 'd'", "'a', 'b', c='c'"])
def test_a_noun_with_too_few_forms_is_refused_when_it_is_saved(words: str) -> None:
    with pytest.raises(ValueError, match="line 1: plural takes 3 words here, as of 1 день, 2 дня, 5 дней"):
        Compiled(f"{{{{ n|plural({words}) }}}}", "ru")


def test_what_is_no_number_has_no_plural() -> None:
    with pytest.raises(RenderError):
        counted("en", "many")


@pytest.mark.parametrize(("language", "expected"), [("en", "1 December"), ("it", "1 dicembre"), ("ru", "1 декабря"), ("de", "1 December")])
def test_a_day_without_its_year(language: str, expected: str) -> None:
    assert Compiled("{{ d|day }}", language).render({"d": "2026-12-01T08:00:00+01:00"}) == expected


@pytest.mark.parametrize(
    ("language", "written", "value", "expected"),
    [
        ("it", "d|day|after('il')", "2026-12-08", "l'8 dicembre"),
        ("it", "d|date|after('dal')", "2026-12-11", "dall'11 dicembre 2026"),
        ("it", "d|day|after('Il')", "2026-12-08", "L'8 dicembre"),
        ("it", "d|day|after('Dal')", "2026-12-01", "Dal 1 dicembre"),
        ("it", "d|day|after('al')", "2026-12-18", "al 18 dicembre"),
        ("it", "d|number(2)|after('al')", 8.9, "all'8,90"),
        ("it", "d|number(2)|after('al')", 1.95, "all'1,95"),
        ("it", "d|number(2)|after('al')", 2.8, "al 2,80"),
        ("it", "d|after('il')", 80, "l'80"),
        ("it", "d|after('il')", 1000, "il 1000"),
        ("it", "d|money|after('a')", 8, "a 8,00 €"),
        ("it", "d|number|after('gli')", 11000, "gli 11.000"),
        ("ru", "d|day|after('с')", "2026-12-02", "со 2 декабря"),
        ("ru", "d|day|after('К')", "2026-12-02", "Ко 2 декабря"),
        ("ru", "d|day|after('с')", "2026-12-22", "с 22 декабря"),
        ("ru", "d|after('с')", 2, "с 2"),
        ("en", "d|day|after('on')", "2026-12-08", "on 8 December"),
        ("it", "d|after('il')", "presto", "il presto"),
    ],
)
def test_a_word_before_a_number_changes_with_it(language: str, written: str, value: object, expected: str) -> None:
    assert Compiled("{{ " + written + " }}", language).render({"d": value}) == expected


@pytest.mark.parametrize(("value", "reason"), [(None, "render-failed"), ([1], "render-failed"), (date(2026, 12, 8), "render-failed")])
def test_what_is_no_written_number_stands_behind_no_word(value: object, reason: str) -> None:
    with pytest.raises(RenderError, match=reason):
        Compiled("{{ d|after('il') }}", "it").render({"d": value})
    with pytest.raises(RenderError, match="missing-field"):
        Compiled("{{ d|after('il') }}", "it").render({})


@pytest.mark.parametrize(("language", "expected"), [("en", "-€5.00 -CHF 5.00"), ("it", "-5,00 € -5,00 CHF")])
def test_the_sign_of_an_amount_stands_first(language: str, expected: str) -> None:
    assert Compiled("{{ n|money }} {{ n|money('CHF') }}", language).render({"n": -5}) == expected


def test_a_text_with_a_comma_between_braces_is_told_as_such() -> None:
    with pytest.raises(yamltext.YamlError, match="'in euro' has no value; between braces a text with a comma is written in quotes"):
        list(yamltext.read("price: {type: decimal, description: Of a minute, in euro}"))


@pytest.mark.parametrize("text", ["a: {b: ''}", "a:\n  b:\n", "a: {b: null}", "a: [b, c]"])
def test_what_is_empty_on_purpose_may_be(text: str) -> None:
    assert [read.value for read in yamltext.read(text)]


RULE: dict[str, Any] = {"when": "request.a > 1 && has(request.b) && (request.c == 'x' || request.d == 'y')", "template": "more"}


@pytest.mark.parametrize(
    ("read", "rules", "warned"),
    [
        ("{{ a }}{{ b }}{{ c }}{{ d }}", [RULE], []),
        ("{{ e }}", [RULE], ["e"]),
        ("{{ b }}", [RULE, {"when": "request.a == 0", "template": "more"}], ["b"]),
        ("{{ a }}", [RULE, {"when": "request.a == 0", "template": "more"}], []),
        ("{{ b }}", [{"when": "!has(request.b)", "template": "more"}], ["b"]),
        ("{{ a }}", [{"when": "request.a > 1", "plan": [step(template="more")]}], []),
        ("{{ a }}", [{"template": "more"}], ["a"]),
    ],
)
def test_a_template_needs_no_more_than_the_rules_that_name_it_ensure(read: str, rules: list[dict[str, Any]], warned: list[str]) -> None:
    declared = fields(a="integer", b="string", c="string", d="string", e="string")
    found = check("acme", held(declared, sms(it="x"), sms("more", it=read), scenario(rules=rules)), {"smsc-1": "sms", "smtp-1": "email"})
    assert not found.faults
    told = {text.partition(" needs ")[2].partition(",")[0] for _, text in found.warnings}
    assert told == set(warned)


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("request.due < '2026-12-01'", "< does not go with a time and a text"),
        ("request.a >= 1.5", ">= does not go with a whole number and a decimal; a decimal is compared with a decimal: 5.0"),
        ("request.b == 'x' and request.a == 1", "values are compared by ==, conditions joined by && and ||"),
        ("request.due < timestamp('2026-12-01')", "String to Timestamp conversion failed"),
        ("has(request.b) && now.getHours('Rome') < 7", "Invalid timezone"),
        ("request.due - now < duration('3 days')", "String to Duration conversion failed"),
    ],
)
def test_a_condition_that_cannot_be_is_told_in_an_editors_words(when: str, told: str) -> None:
    declared = fields(a="integer", b="string", due="date")
    found = check("acme", held(declared, sms(it="x"), scenario(rules=[{"when": when}])), {"smsc-1": "sms", "smtp-1": "email"})
    assert [path for path, _ in found.faults][:1] == ["acme/scenario/hello"]
    assert told in str(found.faults[0][1])


@pytest.mark.parametrize(
    "when",
    [
        "request.due < timestamp('2026-12-01T00:00:00Z') && now.getHours(\"Europe/Rome\") < 7",
        "request.due - now < duration('72h') && request.due.getDayOfWeek('+01:00') == 0",
        "request.b == 'timestamp(\"x\")' && request.b.startsWith('get')",
    ],
)
def test_a_condition_that_can_be_is_taken(when: str) -> None:
    declared = fields(b="string", due="date")
    assert not check("acme", held(declared, sms(it="x"), scenario(rules=[{"when": when}])), {"smsc-1": "sms", "smtp-1": "email"}).faults


def test_a_language_in_tones_only_is_a_warning() -> None:
    found = check("acme", held(sms(en="x", it__young="y", it__senior="z", ru="w"), scenario()), {"smsc-1": "sms", "smtp-1": "email"})
    words = "variant it is missing: who wants no tone of voice that is there gets another language"
    assert found.warnings == [("acme/template/text/1", words)]
