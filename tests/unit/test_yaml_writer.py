"""What is exported reads back as it was."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inm.core.copies import comparable, file_of, newest, shown, text
from inm.core.reference import Held
from inm.core.yamltext import read
from inm.core.yamlwriter import write

ODD = [
    "1e5", "no", "~", "true", "012", "1_000", "2026-01-01", "22:30", "<<", "=", ".inf", "+1", "0x1F", "- x", "#x", "a: b", "*b", "!x",
    "%", "@", "'", '"', " a\n b\n", "a \nb", "a\n\n", "\ta", "\r\n", "x\x85", "x\u2028y", "\ufeff", "",
]  # fmt: skip
TEXTS = st.sampled_from(ODD) | st.text(st.characters(codec="utf-8"), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)


@settings(deadline=None)
@given(st.dictionaries(TEXTS, st.recursive(SCALARS, nested, max_leaves=8), max_size=3))
def test_what_is_written_reads_the_same(document: dict[str, Any]) -> None:
    [found] = read(write(document))
    assert found.value == document
    assert list(found.value) == list(document)


def test_texts_of_several_lines_are_blocks() -> None:
    assert write({"text": "Hello,\n\nbye\n", "plan": [{"after": 1}]}) == "text: |\n  Hello,\n\n  bye\nplan:\n  - after: 1\n"


TENANT = {"kind": "tenant", "name": "acme", "title": "A", "language": "en", "timezone": "UTC", "routes": {"sms": "a", "email": "b"}}


def test_only_what_matters_differs() -> None:
    same = {"routes": {"email": "b", "sms": "a"}, "moderation": True} | {name: value for name, value in TENANT.items() if name != "routes"}
    assert comparable(TENANT) == comparable(same)
    assert comparable(TENANT) != comparable(TENANT | {"moderation": False})


def test_a_password_is_never_shown() -> None:
    account = {"kind": "account", "tenant": "acme", "name": "o", "roles": ["viewer"], "password": "$argon2id$x"}
    assert "argon" not in text(account) + comparable(account) + str(shown(account))


@pytest.mark.parametrize("count", [1, 11])
def test_of_a_template_the_newest_version_is_exported(count: int) -> None:
    rows = [Held(f"acme/template/t/{number}", 1, {"number": number}, "anna", 0) for number in range(1, count + 1)]
    found = newest({row.path: row for row in reversed(rows)})
    assert {file_of(path): row.document["number"] for path, row in found.items()} == {"acme/template/t.yaml": count}
