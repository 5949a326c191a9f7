"""Templates: what they make, what they may not do, and how much."""

from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.rendering import MAX_OUTPUT, MAX_ROUNDS, MAX_SOURCE, Compiled, RenderError


def render(source: str, language: str = "en", *, html: bool = False, **fields: Any) -> str:
    return Compiled(source, language, html=html).render(fields)


def why_not(source: str, **fields: Any) -> RenderError:
    with pytest.raises(RenderError) as caught:
        render(source, **fields)
    return caught.value


def test_a_text_and_its_variables() -> None:
    compiled = Compiled("{{ code }}: {{ who.name|upper }}{% for x in list %}{{ x }}{% endfor %}", "en")
    assert compiled.render({"code": 7, "who": {"name": "ada"}, "list": [1, 2]}) == "7: ADA12"
    assert compiled.variables == {"code", "who", "list"}


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("it", "1.234,50 € 1.235 24 novembre 2026 18:05"),
        ("en", "€1,234.50 1,235 24 November 2026 18:05"),
        ("ru", "1\u00a0234,50 € 1\u00a0235 24 ноября 2026 18:05"),
        ("de", "€1,234.50 1,235 24 November 2026 18:05"),
    ],
)
def test_each_language_writes_numbers_its_own_way(language: str, expected: str) -> None:
    source = "{{ n|money }} {{ n|number }} {{ day|date }} {{ hour|time }}"
    assert render(source, language, n="1234.501", day="2026-11-24", hour="2026-11-24T18:05:00+01:00") == expected


def test_html_is_escaped_and_text_is_not() -> None:
    assert render("{{ x }}{{ [x]|join }}", html=True, x="<b>") == "&lt;b&gt;&lt;b&gt;"
    assert render("{{ x }}", x="<b>") == "<b>"


@pytest.mark.parametrize(
    "source", ["{{ x }}", "{{ x.y }}", "{% for a in x %}{% endfor %}", "{{ x|money }}", "{{ 1 + x }}", "{% if x %}{% endif %}"]
)
def test_a_missing_field(source: str) -> None:
    assert why_not(source).reason == "missing-field"


def test_what_would_show_pythons_notation_is_refused() -> None:
    assert why_not("{{ x }}", x=None).reason == "missing-field"
    assert why_not("{{ x }}", x=[1]).reason == "render-failed"
    assert why_not("{{ x }}", x={"a": 1}).reason == "render-failed"


def test_control_characters_and_lone_surrogates_do_not_pass() -> None:
    assert render("{{ x }}", x="a\x00b\x1bc\x7f\ud800\nd\te") == "abc\nd\te"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.join(x) }}",
        "{{ range(9) }}",
        "{{ lipsum() }}",
        "{{ 9 ** 9 }}",
        "{{ 'a' ~ 'b' }}",
        "{% set a = 1 %}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% block b %}{% endblock %}",
        "{% call x() %}{% endcall %}",
        "{% filter upper %}x{% endfilter %}",
        "{% for a in x recursive %}{% endfor %}",
        "{{ x|center(9) }}",
        "{{ x|safe }}",
        "{{ x|attr('y') }}",
        "{{ x|format(1) }}",
        "{{ x|replace('a', 'b') }}",
        "{{ x|round(-1000000000) }}",
        "{{ x is callable }}",
        "{{ x ",
        "{% if %}",
        "a" * (MAX_SOURCE + 1),
    ],
)
def test_what_a_template_may_not_do_is_refused_when_it_is_compiled(source: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Compiled(source, "en")


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("{{ 'a' * 10000000 }}", {}),
        ("{{ x * 10000000 }}", {"x": [1]}),
        ("{{ '%9999999d' % 1 }}", {}),
        ("{{ x + x }}", {"x": "ab"}),
        ("{{ 999999999999999 * 999999999999999 * 9 }}", {}),
        ("{{ 1 / 0 }}", {}),
        ("{% for a in x %}{% for b in x %}{% endfor %}{% endfor %}", {"x": list(range(1000))}),
        ("{% for a in x %}{% endfor %}", {"x": list(range(MAX_ROUNDS + 1))}),
        ("{% for a in x %}{% endfor %}", {"x": "text"}),
        ("{% for a in x %}{{ y }}{% endfor %}", {"x": list(range(100)), "y": "z" * (MAX_OUTPUT // 50)}),
        ("{{ x|join(y) }}", {"x": [1, 2], "y": "z" * 21}),
        ("{{ x|money }}", {"x": "1e999999"}),
        ("{{ x|money }}", {"x": "NaN"}),
        ("{{ x|money }}", {"x": "twelve"}),
        ("{{ x|number(10) }}", {"x": 1}),
        ("{{ x|date }}", {"x": "tomorrow"}),
    ],
)
def test_bombs_and_nonsense_end_as_render_failed(source: str, fields: dict[str, Any]) -> None:
    assert why_not(source, **fields).reason == "render-failed"


@pytest.mark.parametrize("name", ["__class__", "__init__", "_x", "format", "items", "mro"])
@pytest.mark.parametrize("value", ["", {}, [], 1, 1.5, True])
def test_no_attribute_of_a_value_can_be_reached(name: str, value: Any) -> None:
    assert why_not(f"{{{{ x.{name} }}}}", x=value).reason == "missing-field"
    assert why_not(f"{{{{ x['{name}'] }}}}", x=value).reason == "missing-field"


def test_keys_are_found_though_they_are_named_as_methods() -> None:
    assert render("{{ order.items }}", order={"items": 3}) == "3"


def test_loops_know_their_place() -> None:
    source = "{% for x in xs %}{{ loop.index }}/{{ loop.length }}{{ '' if loop.last else ' ' }}{% endfor %}"
    assert render(source, xs=["ab", "cd"]) == "1/2 2/2"


def test_a_value_is_never_a_template() -> None:
    assert render("{{ x }}", x="{{ 7 * 7 }}{% endif %}") == "{{ 7 * 7 }}{% endif %}"


@given(st.text(alphabet="{}%x |.+*~'\"()[]0123456789abcdefor iniftse", max_size=60))
def test_any_source_is_compiled_or_refused_and_rendered_or_refused(source: str) -> None:
    try:
        compiled = Compiled(source, "en")
    except ValueError:
        return
    with suppress(RenderError):
        assert len(compiled.render({"x": "y"})) <= MAX_OUTPUT


BIG: dict[str, Any] = {"x": list(range(2000)), "y": "z " * 30_000, "z": [[1]] * 15_000}


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in x %}{% if y|title|title == 'a' %}{% endif %}{% endfor %}",
        "{% for i in x %}{% if y in y %}{% endif %}{% endfor %}",
        "{% for i in x %}{% if y[::-1] %}{% endif %}{% endfor %}",
        "{% for i in x %}{{ y|urlencode|length }}{% endfor %}",
        "{% for i in x %}{% if 3 in z %}{% endif %}{% endfor %}",
        "{% if z == z %}{% endif %}",
        "{% for i in x %}" + "{% if i %}{% endif %}" * 600 + "{% endfor %}",
    ],
)
def test_work_is_bounded_too(source: str) -> None:
    assert why_not(source, **BIG).reason == "render-failed"


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
        "{{ " + "[" * 5000 + "]" * 5000 + " }}",
        "{% if a %}" * 150 + "{% endif %}" * 150,
        "{% for a in b %}" * 30 + "{% endfor %}" * 30,
        "{{ a" + "|upper" * 3000 + " }}",
        "{{ a" + ".b" * 9_000 + " }}",
        "{{ 1" + " + 1" * 9_000 + " }}",
        "{% if a %}{% endif %}" * 1000,
    ],
)
def test_what_is_too_deep_or_too_much_to_compile_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"deeper than can be compiled|characters between its braces"):
        Compiled(source, "en")


def test_values_of_declared_fields_are_shown_as_they_were_written() -> None:
    fields: dict[str, Any] = {
        "d": Decimal("1.50"),
        "e": Decimal("1E+3"),
        "day": date(2026, 11, 24),
        "t": datetime(2026, 11, 24, 18, 5, tzinfo=UTC),
    }
    source = "{{ d }} {{ d * 2 }} {{ d + 0.1 }} {{ e }} {{ day }} {{ day|date }} {{ t|time }} {{ d|money }}{% if d > 1 %}!{% endif %}"
    assert render(source, **fields) == "1.50 3.00 1.60 1000 2026-11-24 24 November 2026 18:05 €1.50!"


def test_what_is_guarded_is_not_needed() -> None:
    source = "{{ a }}{{ b|default(1) }}{% if c is defined %}{{ c }}{% endif %}{% for x in d %}{{ x.a }}{% endfor %}"
    compiled = Compiled(source, "en")
    assert compiled.variables == {"a", "b", "c", "d"}
    assert compiled.needed == {"a", "d"}
