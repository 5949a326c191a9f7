"""Rules: what is refused when they are saved, and which one holds."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.expressions import Source
from inm.core.fields import Field, Fields, FieldSet
from inm.core.rules import Hit, Rules
from inm.core.scenarios import Rule

NOW = 1_795_334_400_000
REQUEST = FieldSet(
    Fields(
        "acme",
        "request",
        {
            "country": Field("string"),
            "amount": Field("decimal"),
            "count": Field("integer"),
            "due": Field("date"),
            "tags": Field("list"),
            "order": Field("object"),
            "vip": Field("boolean"),
        },
    )
)
USER = FieldSet(Fields("acme", "user", {"age": Field("integer"), "segment": Field("enum", values=["a", "b"])}))


def rules(*whens: str | None) -> Rules:
    return Rules([Rule(when=when) for when in whens], REQUEST, USER)


def faults(*whens: str | None) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.message) for fault in rules(*whens).faults]


def hit(*whens: str | None, user: Mapping[str, Any] | None = None, **request: Any) -> Hit:
    made = rules(*whens)
    assert not made.faults
    return made.choose(request, user or {}, "acme", NOW)


def holds(when: str, user: Mapping[str, Any] | None = None, **request: Any) -> bool:
    return hit(when, user=user, **request).index == 0


@pytest.mark.parametrize(
    ("when", "values", "expected"),
    [
        ("request.country == 'it'", {"country": "it"}, True),
        ("request.amount > 99.5", {"amount": Decimal("99.51")}, True),
        ("request.amount > double(request.count)", {"amount": Decimal(3), "count": 3}, False),
        ("request.due < now", {"due": date(2026, 11, 20)}, True),
        ("now.getHours('Europe/Rome') >= 22", {}, False),
        ("'gold' in request.tags && request.tags.exists(t, t.startsWith('x'))", {"tags": ["gold", "x1"]}, True),
        ("request.order.size() == 1 && request.order.id == 7", {"order": {"id": 7}}, True),
        ("tenant.name == 'acme'", {}, True),
        ("request.lane == 'urgent' || request.vip", {"lane": "urgent", "vip": False}, True),
        ("request . country == 'it' // 'don't", {"country": "it"}, True),
    ],
)
def test_conditions_see_values_of_their_types(when: str, values: Mapping[str, Any], expected: bool) -> None:
    assert holds(when, **values) is expected


def test_the_first_rule_that_holds_counts_and_one_without_condition_always_does() -> None:
    assert hit("request.country == 'it'", "request.country == 'de'", None, country="de") == Hit(1, [])
    assert hit("request.country == 'it'", None, country="fr") == Hit(1, [])
    assert hit("request.country == 'it'", country="fr") == Hit(None, [])
    assert hit() == Hit(None, [])


def test_a_rule_that_reads_what_is_not_there_does_not_hold_unless_it_asks() -> None:
    assert hit("user.age < 18", None) == Hit(1, ["rule 1: user.age is not there"])
    assert hit("user.age < 18 || request.country == 'it'", country="it").index is None
    assert holds("!has(user.age) || user.age < 18")
    assert not holds("has(user.age) && user.age < 18")
    assert holds("has( user . age ) && user.age < 18", {"age": 17})
    assert hit("user.age < 18 && request.vip").misses == ["rule 1: request.vip, user.age is not there"]


def test_a_rule_that_fails_does_not_hold_and_says_why_and_the_others_do_not_suffer() -> None:
    assert hit("10 / request.count > 1", "request.order.size > 1", "request.count == 0", count=0, order={}) == Hit(
        2, ["rule 1: divide by zero", 'rule 2: Key not found in map : "size"']
    )
    named = Rules([Rule(name="ratio", when="1 / request.count > 1")], REQUEST, USER)
    assert named.choose({"count": 0}, {}, "acme", NOW).misses == ["rule 1 (ratio): divide by zero"]
    assert hit("request.country == 'it'", "request.count == 1", country="\ud800", count=1).index == 1


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("request.contry == 'it'", "line 1, column 8: no such field or function"),
        ("request.vip &&\n  user.nope > 1", "line 2, column 7: no such field or function"),
        ("has(user.nope)", "no such field or function"),
        ("account.age > 1", "no such field or function"),
        ("user.age > 'x'", "no matching overload for '_>_' applied to '(int, string)'"),
        ("request.amount > 5", "a decimal is compared with a decimal: 5.0"),
        ("user.age", "is no condition"),
        ("user.age >", "Syntax error"),
        ("true, true", "Syntax error"),
        ("true] + [false", "Syntax error"),
        ("'open", "Syntax error"),
        ("", "Syntax error"),
        ("exec('x')", "no such field or function"),
        ("false && user.age > 1", "never holds"),
        ("1 > 2", "never holds"),
        ("[1].all(a, [1].all(b, [1].all(c, a == b)))", "too many comprehensions"),
        (f"[{'1,' * 400}1].all(a, [{'1,' * 400}1].all(b, a == b))", "takes too many rounds"),
        (f"[{'1,' * 400}1].map(a, [{'1,' * 400}1].map(b, a + b)).size() > request.count", "takes too many rounds"),
        ("(" * 900 + "true" + ")" * 900, "recursion limit"),
        ("[" * 900 + "]" * 900 + " == []", "recursion limit"),
        ("1" + "+1" * 900 + " > 0", "recursion depth"),
        ("'\ud800' == ''", "no text"),
    ],
)
def test_what_is_refused_when_it_is_saved(when: str, message: str) -> None:
    [(pointer, text), *_] = faults("request.vip == false", when)
    assert pointer == "/rules/1/when"
    assert message in text


def test_an_unknown_field_is_told_with_those_that_there_are() -> None:
    [fault] = rules("user.agee > 1").faults
    assert (fault.found, fault.allowed) == (
        "user.agee",
        "user.age, user.channel, user.email, user.id, user.language, user.name, user.phone, user.segment, user.tone",
    )


@pytest.mark.parametrize(
    "whens",
    [
        (None, "request.vip"),
        ("true", "request.vip"),
        ("1 == 1", None),
        ("user.age > 3", "user.age>3"),
        ("user.age > 3", "((user.age > 3)) && request.vip"),
        ("request.vip && user.age > 3", "user.age > 3 && request.country == 'it' && (request.vip)"),
        ("user.age > 3 || request.vip", "(user.age > 3 || request.vip) && request.count == 1"),
        ("has(user.age)", "has(user.age) && request.vip"),
    ],
)
def test_a_rule_that_is_never_reached(whens: tuple[str | None, ...]) -> None:
    assert faults(*whens) == [("/rules/1/when", "is never reached: rule 1 holds whenever it does")]


@pytest.mark.parametrize(
    "whens",
    [
        ("user.age > 3", "user.age > 3 || request.vip"),
        ("user.age > 3 && request.vip", "user.age > 3"),
        ("user.age < 3", "user.age < 3 && !has(user.age)"),  # the first does not hold without an age
        ("request.country == 'a b'", "request.country == 'a  b'"),
        ("request.country == 'user.age && x'", "request.country == 'user.age' && request.vip"),
        ("request.vip ? user.age > 3 : request.count > 1", "request.vip"),
    ],
)
def test_a_rule_that_is_reached(whens: tuple[str, ...]) -> None:
    assert faults(*whens) == []


def test_a_rule_with_a_fault_never_holds_and_hides_no_other() -> None:
    made = rules("user.nope", "request.vip")
    assert [fault.pointer for fault in made.faults] == ["/rules/0/when"]
    assert made.choose({"vip": True}, {}, "acme", NOW) == Hit(1, [])


def test_without_declared_fields_only_those_that_are_built_in_are_known() -> None:
    bare = FieldSet(None)
    assert Rules([Rule(when="request.scenario == 'x' && user.language == 'it'")], bare, bare).faults == []
    assert len(Rules([Rule(when="request.x == 'x'")], bare, bare).faults) == 1


# laws

ATOMS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "request.vip": lambda values: bool(values["request.vip"]),
    "request.count > 2": lambda values: bool(values["request.count"] > 2),
    "user.age >= 18": lambda values: bool(values["user.age"] >= 18),
    "user.segment == 'a'": lambda values: bool(values["user.segment"] == "a"),
    "10 / request.count > 4": lambda values: bool(int(10 / values["request.count"]) > 4),
}
conditions = st.lists(st.tuples(st.booleans(), st.sampled_from([*ATOMS])), min_size=1, max_size=3)
values = st.fixed_dictionaries(
    {"request.vip": st.none() | st.booleans(), "request.count": st.none() | st.integers(-4, 4)}
    | {"user.age": st.none() | st.integers(16, 20), "user.segment": st.none() | st.sampled_from("ab")}
)


def model(condition: list[tuple[bool, str]], known: Mapping[str, Any]) -> bool:
    """All atoms (or their contraries) hold; none of them reads what is not there; none of them fails before one is false."""
    if any(value is None and name in atom for _, atom in condition for name, value in known.items()):
        return False
    try:
        return all(ATOMS[atom](known) is wanted for wanted, atom in condition)
    except ZeroDivisionError:
        return False


@given(st.lists(st.none() | conditions, max_size=6), values)
def test_together_rules_choose_as_one_by_one(chosen: list[list[tuple[bool, str]] | None], known: Mapping[str, Any]) -> None:
    whens = [None if one is None else " && ".join(atom if wanted else f"!({atom})" for wanted, atom in one) for one in chosen]
    request = {name.partition(".")[2]: value for name, value in known.items() if name.startswith("request")}
    user = {name.partition(".")[2]: value for name, value in known.items() if name.startswith("user")}
    together = rules(*whens).choose(request, user, "acme", NOW).index
    alone = [rules(when).choose(request, user, "acme", NOW).index == 0 for when in whens]
    assert alone == [one is None or model(one, known) for one in chosen]
    assert together == next((index for index, held in enumerate(alone) if held), None)


@given(st.text(alphabet="ruse.qtagvipcon()[]'\"&|!<>=?:+-/ 0123\n\\has", max_size=60))
def test_any_text_is_compiled_or_refused_and_never_raises(when: str) -> None:
    source = Source(when)
    assert len(source.text) == len(when)
    assert source.text.count("\n") == when.count("\n") or "has(" in when
    made = rules(when)
    assert made.choose({"vip": True, "count": 1}, {"age": 3}, "acme", NOW).index in (None, 0)
