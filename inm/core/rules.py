"""Rules: CEL over declared fields, compiled when they are saved, and which of them holds first.

A rule sees ``request.<field>``, ``user.<field>``, ``tenant.name`` and ``now``. One that reads a value that is not
there does not hold, unless it asks ``has(user.age)``. All rules of a scenario are one list expression, since a
call into CEL costs more than a rule; if one of them fails while it runs, they are evaluated one by one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from cel_expr_python import cel
from msgspec import Struct

from inm.core import expressions
from inm.core.expressions import Source
from inm.core.faults import Fault, shown
from inm.core.fields import BUILT_IN, Field, FieldSet, FieldType
from inm.core.scenarios import Rule

_EPOCH = datetime.fromtimestamp(0, UTC)
_MAP = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
_TYPES: dict[FieldType, tuple[cel.Type, Any]] = {
    "string": (cel.Type.STRING, ""),
    "integer": (cel.Type.INT, 0),
    "decimal": (cel.Type.DOUBLE, 0.0),
    "boolean": (cel.Type.BOOL, False),
    "date": (cel.Type.TIMESTAMP, _EPOCH),
    "date-time": (cel.Type.TIMESTAMP, _EPOCH),
    "enum": (cel.Type.STRING, ""),
    "phone": (cel.Type.STRING, ""),
    "email": (cel.Type.STRING, ""),
    "object": (_MAP, {}),
}
"""The CEL type of each type of field, and the value that stands in for one that is not there."""
_CODE = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
"""Around the sentences of CEL's errors."""
_CONSTANT = 'timestamp("2026-12-01T00:00:00Z"), duration("72h"), a time zone as "Europe/Rome"'
_GENERAL = {"tenant.name": cel.Type.STRING, "now": cel.Type.TIMESTAMP}


class Hit(Struct, frozen=True):
    """Which rule holds first (None: none does), and why rules before it that could not be told do not."""

    index: int | None
    misses: list[str]


class _Read(NamedTuple):
    """A field that some rule reads."""

    variable: str
    of_user: bool
    name: str
    absent: Any


class _Condition(NamedTuple):
    """A rule's condition. ``needs`` are the variables without which it does not hold."""

    label: str
    text: str
    needs: frozenset[str]
    parts: frozenset[str] | None
    """What must all hold; nothing for what always does; None for a condition with a fault, which never does."""
    program: cel.Expression


class Rules:
    """The rules of a scenario, compiled. One with a fault never holds; ``faults`` has pointers as ``/rules/3/when``."""

    def __init__(self, rules: Sequence[Rule], request: FieldSet, user: FieldSet, more: tuple[str, ...] = ()) -> None:
        """``more`` names texts that they see besides."""
        self.faults: list[Fault] = []
        self._environment = _environment(request, user, more)
        sources = [Source("true" if rule.when is None else rule.when) for rule in rules]
        self._conditions = [self._compiled(index, rule, source) for index, (rule, source) in enumerate(zip(rules, sources, strict=True))]
        self.faults += _unreachable(self._conditions)
        reads = {name for source in sources for name in source.reads}
        self._reads = [_read(name, request, user) for name in sorted(reads & self._environment.fields)]
        self._asked = {name for source in sources for name in source.asks} & self._environment.fields
        self._now = "now" in reads
        self._tenant = "tenant.name" in reads
        self._more = reads & {*more}
        self._together = self._joined()

    def ensured(self, index: int) -> frozenset[str]:
        """The names of the fields that are there whenever a rule holds: those that it reads, or asks for by ``has``."""
        condition = self._conditions[index]
        asked = {name for name in self._asked if f"has({name})" in (condition.parts or ())}
        return frozenset(name.partition(".")[2] for name in condition.needs | asked)

    def choose(
        self, request: Mapping[str, Any], user: Mapping[str, Any], tenant: str, now: int, more: Mapping[str, str] | None = None
    ) -> Hit:
        """The first rule that holds for values by name (converted, with ``scenario``, ``language``, … among them) at ``now`` (ms)."""
        if not self._conditions:
            return Hit(None, [])
        data, absent = self._values(request, user, tenant, now)
        data |= {name: (more or {}).get(name, "") for name in self._more}
        activation = self._environment.cel.Activation(data)
        together = _outcome(self._together, activation) if self._together else None
        results = together if isinstance(together, list) else None
        if results and not absent:
            return Hit(results.index(True) if True in results else None, [])
        misses: list[str] = []
        for index, condition in enumerate(self._conditions):
            if absent and (missing := condition.needs & absent):
                misses.append(_missed(condition.label, missing))
                continue
            held = results[index] if results else _outcome(condition.program, activation)
            if held is True:
                return Hit(index, misses)
            if held is not False:
                misses.append(f"{condition.label}: {held}")
        return Hit(None, misses)

    def _values(self, request: Mapping[str, Any], user: Mapping[str, Any], tenant: str, now: int) -> tuple[dict[str, Any], set[str]]:
        data: dict[str, Any] = {}
        absent: set[str] = set()
        for variable, of_user, name, stand_in in self._reads:
            value = (user if of_user else request).get(name)
            if value is None:
                absent.add(variable)
                data[variable] = stand_in
            else:
                data[variable] = value if type(value) is str else _plain(value)
        for variable in self._asked:
            data[f"has.{variable}"] = variable not in absent
        if self._now:
            data["now"] = datetime.fromtimestamp(now / 1000, UTC)
        if self._tenant:
            data["tenant.name"] = tenant
        return data, absent

    def _compiled(self, index: int, rule: Rule, source: Source) -> _Condition:
        label = f"rule {index + 1}" + (f" ({rule.name})" if rule.name else "")
        faults, program = self._environment.compile(source, f"/rules/{index}/when")
        self.faults += faults
        if program is None:
            return _Condition(label, "false", frozenset(), None, self._environment.never)
        always = _outcome(program, self._environment.cel.Activation({})) is True
        parts = frozenset[str]() if always else source.conjuncts
        return _Condition(label, source.text, source.needs & self._environment.fields, parts, program)

    def _joined(self) -> cel.Expression | None:
        """All conditions as one list; None if that is deeper than CEL allows."""
        # Each on a line of its own, for it may end in a comment.
        text = "[" + "\n,".join(condition.text for condition in self._conditions) + "\n]"
        try:
            return self._environment.cel.compile(text)
        except RuntimeError:
            return None


class _Environment:
    """CEL with the variables of one tenant."""

    def __init__(self, request: FieldSet, user: FieldSet, more: tuple[str, ...]) -> None:
        kinds = {"request": request, "user": user}
        types = {f"{kind}.{name}": _type(field) for kind, found in kinds.items() for name, field in known(kind, found).items()}
        self.fields = frozenset(types)
        self.absent = {"now": _EPOCH} | dict.fromkeys(("tenant.name", *more), "") | {f"has.{name}": False for name in types}
        self.absent |= {name: _read(name, request, user).absent for name in types}
        self.general = _GENERAL | dict.fromkeys(more, cel.Type.STRING)
        self.cel = cel.NewEnv(variables=types | self.general | {f"has.{name}": cel.Type.BOOL for name in types})
        self.never = self.cel.compile("false")

    def compile(self, source: Source, pointer: str) -> tuple[list[Fault], cel.Expression | None]:
        """What is wrong with a condition, and its program if nothing is."""
        faults = [*expressions.limits(source, pointer)]
        if faults:
            return faults, None
        try:
            program = self.cel.compile(source.text)
        except RuntimeError as error:
            return [*expressions.told(str(error), pointer, sorted(self.fields | set(self.general)))], None
        kind = program.return_type()
        if kind != cel.Type.BOOL:
            faults = [Fault(pointer, "is no condition", f"a value of type {kind.name().lower()}", "true or false")]
        elif _outcome(program, self.cel.Activation({})) is False:
            faults = [Fault(pointer, "never holds", shown(source.written))]
        elif "budget" in str(_outcome(program, self.cel.Activation(self.absent))):
            faults = [Fault(pointer, "takes too many rounds", allowed="10 000 rounds of all comprehensions together")]
        faults += self._failing(source.constants, pointer)
        return faults, None if faults else program

    def _failing(self, constants: Sequence[str], pointer: str) -> Iterator[Fault]:
        """Those that CEL cannot evaluate, with its sentence."""
        for text in constants:
            outcome = _outcome(self.cel.compile(text), self.cel.Activation({}))
            if isinstance(outcome, str):
                yield Fault(pointer, outcome, shown(text.removeprefix("timestamp(0).")), _CONSTANT)


@lru_cache(64)
def _environment(request: FieldSet, user: FieldSet, more: tuple[str, ...]) -> _Environment:
    return _Environment(request, user, more)


def known(kind: str, fields: FieldSet) -> dict[str, Field]:
    """The fields of ``request`` or ``user`` that rules see, those that are built in too."""
    return {name: Field(type_) for name, type_ in BUILT_IN[kind].items()} | fields.fields


def _type(field: Field) -> cel.Type:
    return cel.Type.List(_TYPES[field.of][0]) if field.type == "list" else _TYPES[field.type][0]


def _read(variable: str, request: FieldSet, user: FieldSet) -> _Read:
    kind, _, name = variable.partition(".")
    field = known(kind, user if kind == "user" else request)[name]
    return _Read(variable, kind == "user", name, [] if field.type == "list" else _TYPES[field.type][1])


@lru_cache(10_000)
def _missed(label: str, missing: frozenset[str]) -> str:
    return f"{label}: {', '.join(sorted(missing))} is not there"


def _plain(value: Any) -> Any:
    """A converted value as CEL takes it."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _outcome(program: cel.Expression, activation: cel.Activation) -> Any:
    """What a program gives, or the sentence that says why it gives nothing."""
    try:
        value = program.eval(activation)
        failed = value.type() == cel.Type.ERROR
        result = value.plain_value()
    except (RuntimeError, TypeError, ValueError) as error:  # a text that is no Unicode
        failed, result = True, error
    return " ".join(_CODE.sub("", str(result)).split())[:200] if failed else result


def _unreachable(conditions: Sequence[_Condition]) -> Iterator[Fault]:
    """Rules before which another one holds whenever they do."""
    for index, condition in enumerate(conditions):
        first = next((earlier for earlier in conditions[:index] if _covers(earlier, condition)), None)
        if first:
            yield Fault(f"/rules/{index}/when", f"is never reached: {first.label} holds whenever it does")


def _covers(earlier: _Condition, later: _Condition) -> bool:
    if earlier.parts is None or later.parts is None:
        return False
    return earlier.parts <= later.parts and earlier.needs <= later.needs
