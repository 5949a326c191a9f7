"""Templates: which variant is chosen, and what is wrong with one."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.languages import Fallback, normal
from inm.core.templates import Template, TemplateDocument, usual


def template(channel: str = "sms", **variants: Any) -> Template:
    document = {"kind": "template", "tenant": "acme", "name": "hello", "channel": channel, "variants": variants}
    return Template(msgspec.convert(document, TemplateDocument), 1)


def texts(*keys: str) -> Template:
    variants: dict[str, Any] = {key: {"text": key} for key in keys}
    return template(**variants)


def test_the_order_of_languages() -> None:
    plain = Fallback("ru")
    assert plain.languages("IT-ch") == ("it-CH", "it", "ru", "en")
    assert plain.languages(None) == ("ru", "en")
    assert Fallback("pt-BR").languages(None) == ("pt-BR", "pt", "en")
    assert Fallback("en").languages("en") == ("en",)
    assert Fallback("en", {"it-CH": ["fr"]}).languages("it-CH") == ("it-CH", "fr", "en"), "a declared chain, and no other"
    declared = Fallback("it", {"gsw": ["de", "fr"], "it-ch": ["fr"], "it": ["es"]})
    assert declared.languages("gsw-CH") == ("gsw-CH", "gsw", "de", "fr", "it", "es", "en")
    assert declared.languages("it-CH") == ("it-CH", "fr", "it", "es", "en")


def test_the_order_of_tones() -> None:
    declared = Fallback("it", {}, {"young": ["casual", "young"]})
    assert declared.tones("young") == ("young", "casual", None)
    assert declared.tones("senior") == ("senior", None)
    assert declared.tones(None) == (None,)


@pytest.mark.parametrize(
    ("language", "tone", "key"),
    [
        ("it", "young", "it/young"),
        ("it-CH", "young", "it/young"),
        ("it", "senior", "it"),
        ("en", "young", "en"),  # languages outer: its own language before its own tone
        ("fr", "young", "it/young"),
        (None, None, "it"),
    ],
)
def test_languages_are_outer_and_tones_inner(language: str | None, tone: str | None, key: str) -> None:
    assert texts("en", "IT", "it/young", "ru/young").variant(language, tone, Fallback("it"))[0] == key


tags = st.sampled_from(["it", "it-CH", "IT-ch", "en", "en-GB", "ru", "de", "de-CH", "gsw", "zh-Hant-TW"])
tones = st.none() | st.sampled_from(["young", "senior", "plain"])
keys = st.tuples(tags.map(normal), tones).map(lambda pair: "/".join(filter(None, pair)))
chains = st.dictionaries(tags, st.lists(tags, max_size=3), max_size=3)


@given(
    st.sets(keys, min_size=1, max_size=6),
    st.none() | tags,
    tones,
    tags,
    chains,
    st.dictionaries(st.sampled_from(["young", "senior", "plain"]), st.lists(st.sampled_from(["young", "senior", "plain"]), max_size=2)),
)
def test_the_first_of_the_declared_order_that_exists_is_chosen_and_some_always_is(
    available: set[str], language: str | None, tone: str | None, default: str, chain: dict[str, list[str]], likes: dict[str, list[str]]
) -> None:
    fallback = Fallback(default, chain, likes)
    order = [f"{tag}/{one}" if one else tag for tag in fallback.languages(language) for one in fallback.tones(tone)]
    assert len(order) == len(set(order))
    key, message = texts(*available).variant(language, tone, fallback)
    assert key == next((one for one in order if one in available), min(available))
    assert message.render({}).text == key
    # the orders themselves: first what is asked for, with its declared chain right behind it; the tenant's and English at last
    first, *rest = fallback.languages(language)
    assert first == normal(language or default)
    declared = {normal(tag): [*map(normal, items)] for tag, items in chain.items()}
    if first in declared:
        behind = [tag for tag in dict.fromkeys(declared[first]) if tag != first]
        assert rest[: len(behind)] == behind
    assert {normal(default), "en"} <= {first, *rest}
    assert fallback.tones(tone)[0] == tone
    assert fallback.tones(tone)[-1] is None


def test_a_variant_is_compiled_when_it_is_used_and_once() -> None:
    one = template(it={"text": "{{ a }}"}, en={"text": "{{ ("})
    key, message = one.variant("it", None, Fallback("it"))
    assert (key, message) == ("it", one.variant("it-CH", None, Fallback("it"))[1])
    assert message is one.message("it")
    with pytest.raises(ValueError, match="/variants/en/text"):
        one.variant("en", None, Fallback("it"))


def test_variables_of_all_variants_and_parts() -> None:
    one = template("email", it={"subject": "{{ a }}", "html": "<p>{{ b|default(1) }}"}, en={"subject": "{{ c }}", "text": "{{ d }}"})
    assert one.faults() == []
    assert one.variables == {"a", "b", "c", "d"}
    assert one.needed == {"a", "c", "d"}
    assert one.keys == ["it", "en"]


@pytest.mark.parametrize(
    ("channel", "variants", "pointers"),
    [
        ("sms", {"en": {}}, ["/variants/en/text"]),
        ("sms", {"en": {"text": "x", "subject": "y", "html": "z"}}, ["/variants/en/subject", "/variants/en/html"]),
        ("sms", {"it/young": {"text": "{{ x() }}"}}, ["/variants/it~1young/text"]),
        ("sms", {"it": {"text": "{{ ("}, "en": {"text": "{% if"}}, ["/variants/it/text", "/variants/en/text"]),
        ("sms", {"it": {"text": "a"}, "IT": {"text": "b"}}, ["/variants"]),
        ("email", {"en": {"text": "x"}}, ["/variants/en/subject"]),
        ("email", {"en": {"subject": "x"}}, ["/variants/en/text"]),
        ("email", {"en": {"subject": "x", "html": "{{"}}, ["/variants/en/html"]),
        ("email", {"en": {"subject": "x", "html": "<style>p{}</style><svg>"}}, ["/variants/en/html"]),
    ],
)
def test_what_is_wrong_with_a_template(channel: str, variants: dict[str, Any], pointers: list[str]) -> None:
    assert [fault.pointer for fault in template(channel, **variants).faults()] == pointers


def test_numbers_are_written_in_the_language_of_a_variant_with_tone() -> None:
    assert usual("IT-ch/young") == "it-CH/young"
    young: dict[str, Any] = {"it/young": {"text": "{{ n|money }}"}}
    message = template(**young).message("it/young")
    assert message.render({"n": "1234.5"}).text == "1.234,50 €"


def test_a_mail_without_text_has_one_made_of_its_html() -> None:
    html = (
        "<style>p{color:red}</style><p>Hello{% if name is defined %} {{ name }}{% endif %}</p>{% if x %}<p>{{ x }}</p>{% endif %}<p>Bye</p>"
    )
    one = template("email", en={"subject": "Hi", "html": html})
    assert one.faults() == []
    content = one.variant("en", None, Fallback("en"))[1].render({"name": "<Ada>", "x": 0})
    assert content.text == "Hello <Ada>\n\nBye"
    assert content.html
    assert '<p style="color: red;">Hello &lt;Ada&gt;</p>' in content.html
