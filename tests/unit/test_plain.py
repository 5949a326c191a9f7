"""Conditions taken apart: what is told in plain words says what the condition says, or nothing is told."""

from pathlib import Path

import pytest

from inm.core.documents import parse
from inm.core.plain import Node, read

ROOT = Path(__file__).parents[2]


def short(node: Node) -> str:
    """A node as one line."""
    words = ".".join(node.words)
    return f"{node.kind}({', '.join(map(short, node.inner))})" if node.inner else f"{node.kind}:{words}" if words else node.kind


@pytest.mark.parametrize(("condition", "told"), [
    ("request.share >= 100", ">=(field:request.share, number:100)"),
    ("has(user.email) && !has(request.due)", "and(has(field:user.email), not(has(field:request.due)))"),
    ("user.vip || user.old && request.a == 'x'", "or(true(field:user.vip), and(true(field:user.old), ==(field:request.a, text:x)))"),
    ("(user.vip || user.old) && user.a", "and(or(true(field:user.vip), true(field:user.old)), true(field:user.a))"),
    ("!(request.a < -1.5)", "not(<(field:request.a, number:-1.5))"),
    ('request.begin - now < duration("3h")', "<(-(field:request.begin, now), span:3.h)"),
    ('"sun" in request.sources', "in(text:sun, field:request.sources)"),
    ('now.getHours("Europe/Rome") < 7', "<(hour:Europe/Rome, number:7)"),
    ("user.paperless == false", "==(field:user.paperless, false)"),
])  # fmt: skip
def test_a_simple_condition_is_understood(condition: str, told: str) -> None:
    found = read(condition)
    assert found is not None
    assert short(found) == told


@pytest.mark.parametrize("condition", [
    "", "(", ")", "a", "1", "now", "!", "!1 == 2", "!user.a == true", "request.a ? true : false", "request.l.exists(x, x > 3)",
    "size(request.l) > 3",
    'request.n.startsWith("a")', 'request.m["k"] == 1', '"a\\"b" == request.n', "request.a == 1 == true", "request.a * 2 > 3",
    "-request.a > 1",
    'duration("3x") > request.d', "user.a &&", "(" * 5000, "request.a > 1 request.b",
])  # fmt: skip
def test_what_is_beyond_plain_words_is_left_as_it_is(condition: str) -> None:
    assert read(condition) is None


def test_every_condition_of_the_examples_is_told() -> None:
    conditions = [
        condition
        for path in sorted((ROOT / "config" / "examples").rglob("scenarios/*.yaml"))
        for parsed in parse(path.read_text(), path.name)[0]
        for rule in [*parsed.document.get("rules", []), *(step for step in parsed.document.get("plan", []) if isinstance(step, dict))]
        if (condition := rule.get("when") or rule.get("unless"))
    ]
    assert len(conditions) > 40
    assert [condition for condition in conditions if read(condition) is None] == []
