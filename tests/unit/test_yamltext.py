"""Files of documents: several in one, every fault with its line, and nothing that surprises."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from inm import settings
from inm.core.documents import parse, path_of
from inm.core.faults import MisconfiguredError
from inm.core.yamltext import YamlError, read
from inm.documents import load_catalogue, read_seed

TENANT = "{kind: tenant, name: t, title: T, language: en, timezone: UTC, routes: {sms: smsc-1}}"
SENDER = "{kind: sender, tenant: t, name: by-sms, channel: sms, address: Acme}"
SCENARIO = """
kind: scenario
tenant: t
name: s
validity: 60
plan:
  - channel: sms
    template: x
    sender: by-sms
    after: 60
"""
TEMPLATE = "{kind: template, tenant: t, name: x, channel: sms, variants: {en: {text: hello}}}"


def value(text: str) -> Any:
    [found] = read(text)
    return found.value


def test_documents_know_their_lines() -> None:
    documents, wrong = parse(f"# seed\n{TENANT}\n---\n---\n{SCENARIO}---\n{TEMPLATE}\n", "a.yaml")
    assert wrong == []
    assert [(parsed.path, parsed.place) for parsed in documents] == [
        ("t/tenant", "a.yaml:2"),
        ("t/scenario/s", "a.yaml:6"),
        ("t/template/x", "a.yaml:16"),
    ]
    scenario = documents[1]
    assert [scenario.at(pointer) for pointer in ("/plan/0/after", "/plan/0/none/x", "/nope", "")] == [
        "a.yaml:14",
        "a.yaml:11",
        "a.yaml:6",
        "a.yaml:6",
    ]


def test_only_what_json_knows_is_no_text() -> None:
    found = value("[no, on, 2026-11-24, 22:30, 012, 0x1F, 1_000, .5, '5', null, ~, true, 7, -1.5, 1e3, +39333]")
    assert found == ["no", "on", "2026-11-24", "22:30", "012", "0x1F", "1_000", ".5", "5", None, None, True, 7, -1.5, 1000.0, "+39333"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: &x [1]\nc: *x", 2, "anchors and aliases"),
        ("a: *x", 1, "anchors and aliases"),
        ("a: 1\nb: 2\na: 3", 3, "the key 'a' is there twice"),
        ("a: !!python/object:os.system x", 1, "tags are not allowed"),
        ("a:\n  b: [", 3, "no YAML"),
        ("a: 1\n---\n[x]: 1", 3, "a key must be a text"),
        ("? {a: 1}\n: 2", 1, "a key must be a text"),
        ("\ta: 1", 1, "no YAML"),
        ("a: \x00", 1, "no YAML"),
        ("a: '\ud800'", 1, "no YAML"),
        ("a: 1e999", 1, "too large"),
        ("a: 9223372036854775808", 1, "too large"),
        ("a: " + "9" * 9000, 1, "too large"),
        ("[" * 100_000, 1, "deeper than 30 levels"),
        ("a: " * 3 + "1", 1, "no YAML"),
        ("x" * 5_000_001, 1, "characters are too many"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(YamlError, match=message) as caught:
        [*read(text)]
    assert caught.value.line == line


def test_a_bomb_of_aliases_does_not_go_off() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12))
    with pytest.raises(YamlError, match="anchors"):
        [*read(f"l0: &l0 x\n{levels}")]


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc/~", max_size=3), inner, max_size=3),
)


@given(plain.filter(lambda document: document is not None))
def test_what_yaml_writes_is_read_as_it_was(document: Any) -> None:
    assert (
        value(
            yaml.safe_dump(document, allow_unicode=True, default_style='"')
            if isinstance(document, str)
            else yaml.safe_dump(quoted(document), sort_keys=False)
        )
        == document
    )


class Quoted(str):
    __slots__ = ()


def quoted(item: Any) -> Any:
    if isinstance(item, str):
        return Quoted(item)
    if isinstance(item, list):
        return [quoted(inner) for inner in item]
    if isinstance(item, dict):
        return {Quoted(key): quoted(inner) for key, inner in item.items()}
    return item


yaml.SafeDumper.add_representer(Quoted, lambda dumper, item: dumper.represent_scalar("tag:yaml.org,2002:str", str(item), style='"'))


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#\n ,?%@`1~", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    documents, wrong = parse(text, "x.yaml")
    assert not documents
    assert all(one.place and one.place.startswith("x.yaml:") for one in wrong)


def seed(folder: Path, **files: str) -> settings.Settings:
    (folder / "tenants").mkdir()
    (folder / "inm.yaml").write_text((Path(__file__).parents[2] / "config" / "inm.yaml").read_text())
    for name, text in files.items():
        (folder / "tenants" / f"{name}.yaml").write_text(text)
    return settings.load({"INM_CONFIG": str(folder), "INM_SMSC_PASSWORD": "secret", "INM_INBOX_SECRET": "secret"})


def test_one_file_or_many(tmp_path: Path) -> None:
    found = seed(tmp_path, one=f"{TENANT}\n---\n{SENDER}\n---\n{SCENARIO}", two=TEMPLATE)
    assert [path_of(parsed.document) for parsed in read_seed(found)] == ["t/tenant", "t/sender/by-sms", "t/scenario/s", "t/template/x"]
    book = load_catalogue(found).book("t")
    assert book
    assert (book.templates["x"].version, [*book.scenarios]) == (1, ["s"])


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (
            [SCENARIO.replace("channel: sms", "channel: fax")],
            "f1.yaml:7: /plan/0/channel: Invalid enum value 'fax', found 'fax', allowed: email, rest, sms",
        ),
        (
            [SCENARIO.replace("validity: 60", "validty: 60")],
            "f1.yaml:5: /validty: no such key, found 'validty', allowed: tenant, name, plan",
        ),
        (
            [SCENARIO.replace("template: x", "template: y")],
            "f1.yaml:8: /plan/0/template: no template of channel sms, found 'y', allowed: x",
        ),
        (
            [SCENARIO.replace("after: 60", "after: 60\n    route: smtp-1")],
            "f1.yaml:11: /plan/0/route: no route of channel sms, found 'smtp-1'",
        ),
        ([TEMPLATE], "f1.yaml:1: t/template/x is at"),
        ([SENDER.replace("t, name", "u, name")], "u/tenant: /: there is no such tenant"),
        (["kind: thing"], "f1.yaml:1: /kind: Invalid value 'thing'"),
        (["- 1"], "f1.yaml:1: /: Expected `object`"),
        (["\n\na: ["], "f1.yaml:4: /: no YAML"),
    ],
)
def test_a_wrong_document_stops_the_start_with_a_sentence(tmp_path: Path, texts: list[str], sentence: str) -> None:
    files = {f"f{number}": text for number, text in enumerate(texts, 1)}
    found = seed(tmp_path, a=f"{TENANT}\n---\n{SENDER}\n---\n{TEMPLATE}", **files)
    with pytest.raises(MisconfiguredError) as caught:
        load_catalogue(found)
    assert sentence in str(caught.value)


def test_all_faults_of_all_documents_are_told_at_once(tmp_path: Path) -> None:
    found = seed(tmp_path, a="{kind: tenant, name: t}", b=SCENARIO.replace("validity: 60", "validity: x"), c="{kind: template}")
    with pytest.raises(MisconfiguredError) as caught:
        load_catalogue(found)
    assert len(caught.value.sentences) > 5
