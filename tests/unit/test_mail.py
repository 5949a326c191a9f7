"""HTML of mails: styles inlined and a text made of it, with Jinja's tags where they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core import mail
from inm.core.rendering import Compiled

STYLE = "<style>td{color:red} .x{margin:0}</style>"


def test_html_without_styles_stays_as_it_is() -> None:
    assert mail.inlined("<svg><p {% if a %}b{% endif %}>") == "<svg><p {% if a %}b{% endif %}>"


def test_styles_are_inlined_and_media_queries_kept() -> None:
    made = mail.inlined("<!doctype html><style>p{color:red} @media (max-width:9px){p{margin:0}}</style><p class='a'>x")
    assert '<p class="a" style="color: red;">x</p>' in made
    assert "@media" in made
    assert made.lower().startswith("<!doctype html>")


def test_tags_of_jinja_stay_where_they_are_in_tables_too() -> None:
    row = '<tr><td title="{{ x }}">{{ x|default("<&>") }}</td></tr>'
    title = "<title>{% if a %}{{ a }}{% endif %}</title>"
    html = f"{STYLE}{title}<table>{{% for x in xs %}}{row}{{% endfor %}}</table>{{# note #}}"
    made = mail.inlined(html)
    assert '<td title="{{ x }}" style="color: red;">{{ x|default("<&>") }}</td>' in made
    shown = Compiled(made, "en", html=True).render({"a": 1, "xs": ['"', 2]})
    assert shown.count("<td") == 2
    assert shown.index("<table>") < shown.index("<td")
    assert "<title>1</title>" in shown


def test_nothing_is_fetched_or_read() -> None:
    assert "root:" not in mail.inlined(
        STYLE + '<link rel="stylesheet" href="/etc/passwd"><link rel="stylesheet" href="http://127.0.0.1:9/x.css"><p>x'
    )


@pytest.mark.parametrize(
    "html",
    [
        STYLE + "<p {% if a %}class='x'{% endif %}",
        "<style>td{ {% if a %}color:red{% endif %} }</style><td>x",
        STYLE + "<div>" * 100,
        STYLE + "<div>" * 30_000,
        STYLE + "<b x=1></p>" * 3_000,
        "<style>" + "p{color:red}" * 10_000 + "</style>" + "<p>x" * 1_000,
        STYLE + "<p>x" * 6_000,
        # what hides elements from one reader and not from another
        STYLE + "<!-->" + "<div>" * 30_000,
        STYLE + "<!-- --!>" + "<div>" * 30_000,
        STYLE + "<style></style x>" + "<div>" * 30_000,
        STYLE + '<a ">' + "<div>" * 30_000 + '">',
        STYLE + "<svg><style>" + "<div>" * 30_000,
    ],
)
def test_what_cannot_be_inlined_is_refused_and_not_survived_by_luck(html: str) -> None:
    with pytest.raises(ValueError, match="styles cannot be inlined"):
        mail.inlined(html)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<head><title>no</title></head><h1>A  b</h1>\n<p>c<br>d", "A b\n\nc\nd"),
        ("<ul><li>a</li><li>b &amp; c</ul>x", "- a\n- b & c\n\nx"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<a href='https://a.example/{{ x }}'>see</a>, <a href=\"mailto:a@b.c\">a@b.c</a>", "see (https://a.example/{{ x }}), a@b.c"),
        ("<img alt='Acme' src=x><script>no</script><!-- no --><style>no</style>", "Acme"),
        ("Hi{% if a %} {{ a }}{% endif %}!", "Hi{% if a %} {{ a }}{% endif %}!"),
        ("<table>{% for a in b %}<tr><td>{{ a }}</td></tr>{% endfor %}</table>", "{% for a in b %}\n{{ a }}\n{% endfor %}"),
        ("&#123;&#123; x }} &#123;%", "{{ '{' }}{ x }} {{ '{' }}%"),
        ("a < b <3 &lt;c&gt;", "a < b <3 <c>"),
    ],
)
def test_the_text_that_is_made_of_html(html: str, text: str) -> None:
    assert mail.settled(mail.text_of(html)) == text


def test_parts_that_are_left_out_leave_one_empty_line() -> None:
    assert mail.settled(" a \n\n  \n\n\n b\n") == "a\n\nb"


@given(
    st.lists(
        st.sampled_from(
            [
                "<p>",
                "</p>",
                "<td>",
                "<table>",
                "</table>",
                "{{ a }}",
                "{% if a %}",
                "{% endif %}",
                "x",
                "<b",
                '"',
                ">",
                "<!--",
                "-->",
                "<style>",
                "</style>",
                "{",
                "inm0x",
                " ",
                "&lt;",
                "<a href='",
            ]
        ),
        max_size=30,
    )
)
def test_any_html_is_inlined_with_all_its_blocks_or_refused(pieces: list[str]) -> None:
    html = STYLE + "".join(pieces)
    mail.text_of(html)
    try:
        Compiled(html, "en", html=True)
        made = mail.inlined(html)
    except ValueError:
        return
    assert made.count("{% if a %}") == html.count("{% if a %}")
    assert made.count("{% endif %}") == html.count("{% endif %}")
