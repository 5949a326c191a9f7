"""Templates into texts: Jinja2 in a sandbox that bounds size and work as well as access.

The sandbox of Jinja2 stops attribute escapes, not bombs: ``'a' * 10**7`` and ``|center(10**7)`` run there.
So a template here may only do what is listed: no calls, no assignments, no string arithmetic, a budget of
work and a cap on the output. What it may not do is refused when it is compiled. Work is counted, not timed, so
that the same text is made on every machine, or on none.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import cache, partial
from itertools import islice
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, UndefinedError, meta, nodes, pass_context
from jinja2 import Template as JinjaTemplate
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from inm.core import languages

MAX_SOURCE = 200_000
"""Characters of a template."""
MAX_OUTPUT = 120_000
"""Characters of a rendered text; mail programs cut HTML at about 100 000."""
MAX_CODE = 20_000
"""Characters between the braces of a template."""
MAX_ROUNDS = 2_000
"""Loop rounds of one rendering, all loops together."""
MAX_WORK = 2_000_000
"""Steps of one rendering: parts of a loop's body in each round, and characters that filters and comparisons read. Below a second."""
MAX_NUMBER = 10**15

_ROUNDS, _WORK, _SPENT, _COMPARED = " rounds", " work", " spent", " compared"
"""The context's keys for what is left, and filters of ours; no template can name them, since they begin with a space."""
_CODE = re.compile(r"\{\{.*?(?:\}\}|\Z)|\{%.*?(?:%\}|\Z)", re.DOTALL)

_NODES = """Template Output TemplateData Name Const Getattr Getitem Slice Filter Keyword Test If For CondExpr Compare Operand
    And Or Not Add Sub Mul Div FloorDiv Mod Neg Pos Tuple List"""
_FILTERS = "abs capitalize count d default e escape first float int items last length lower title trim truncate upper urlencode"
_CHEAP = frozenset(["abs", "count", "d", "default", "first", "items", "last", "length"])
"""Filters that look at no more than a part of a text."""
_TESTS = "defined undefined none string number mapping sequence boolean even odd"
_LOOP = "index index0 revindex revindex0 first last length depth"

ALLOWED_NODES = frozenset(_NODES.split())
ALLOWED_FILTERS = frozenset(_FILTERS.split())
ALLOWED_TESTS = frozenset(_TESTS.split())
LOOP_ATTRIBUTES = frozenset(_LOOP.split())


class RenderError(Exception):
    """A text that could not be made; ``reason`` is ``missing-field`` or ``render-failed``."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Compiled:
    """One compiled text of one language. ``variables`` are the fields it reads, ``needed`` those of them that it cannot do without."""

    def __init__(self, source: str, language: str, *, html: bool = False) -> None:
        """Compile. ``ValueError`` says what the template may not do, with its line."""
        if len(source) > MAX_SOURCE:
            raise ValueError(f"the template has {len(source)} characters, allowed are {MAX_SOURCE}")
        code_size = sum(len(code[0]) for code in _CODE.finditer(source))
        if code_size > MAX_CODE:
            raise ValueError(f"the template has {code_size} characters between its braces, allowed are {MAX_CODE}")
        environment = _environment(language, html)
        try:
            tree = environment.parse(source)
            _confine(tree)
            _check_plurals(tree, languages.style(language))
            self.variables = frozenset(meta.find_undeclared_variables(tree))
            self.needed = self.variables - _guarded(tree)
            code = environment.compile(tree)
        except TemplateSyntaxError as error:
            raise ValueError(f"line {error.lineno}: {error.message}") from error
        except (TemplateError, RecursionError, SyntaxError, MemoryError) as error:
            raise ValueError(f"deeper than can be compiled: {error}"[:200]) from error
        self._template = JinjaTemplate.from_code(environment, code, {})

    def render(self, fields: Mapping[str, Any]) -> str:
        """The text for these fields. ``RenderError`` if one is missing or a limit is reached."""
        template = self._template
        context = template.new_context({**fields, _ROUNDS: [MAX_ROUNDS], _WORK: [MAX_WORK]}, shared=True)
        try:
            return _joined(template.root_render_func(context))
        except UndefinedError as error:
            raise RenderError("missing-field", str(error.message)) from error
        except RenderError:
            raise
        except Exception as error:
            raise RenderError("render-failed", f"{type(error).__name__}: {error}"[:300]) from error


_SOME = 50
"""Pieces after which the length is looked at."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def _joined(pieces: Iterable[str]) -> str:
    """The pieces as one text, without control characters and lone surrogates, which no channel carries."""
    text, more = "", iter(pieces)
    while some := [*islice(more, _SOME)]:
        text += "".join(some)
        if len(text) > MAX_OUTPUT:
            raise RenderError("render-failed", f"the text is longer than {MAX_OUTPUT} characters")
    return _CONTROLS.sub("", text) if _CONTROLS.search(text) else text


def _confine(tree: nodes.Template) -> None:
    """Refuse what is not listed, and put every loop on the budget."""
    for node in tree.find_all(nodes.Node):
        if type(node).__name__ not in ALLOWED_NODES:
            raise TemplateSyntaxError(f"{type(node).__name__} is not allowed in a template", node.lineno)
        if isinstance(node, nodes.Filter) and node.node is None:
            raise TemplateSyntaxError("filter blocks are not allowed in a template", node.lineno)
    for loop in list(tree.find_all(nodes.For)):
        if loop.recursive:
            raise TemplateSyntaxError("recursive loops are not allowed in a template", loop.lineno)
        size = sum(1 for _ in loop.find_all(nodes.Node))
        loop.iter = _filtered(loop.iter, _ROUNDS, nodes.Const(size))
    for compared in list(tree.find_all(nodes.Compare)):
        compared.expr = _filtered(compared.expr, _COMPARED, nodes.Const(False))
        for operand in compared.ops:
            operand.expr = _filtered(operand.expr, _COMPARED, nodes.Const(operand.op in ("in", "notin")))
    for item in list(tree.find_all(nodes.Getitem)):
        if isinstance(item.arg, nodes.Slice):
            item.node = _filtered(item.node, _SPENT)


def _check_plurals(tree: nodes.Template, style: languages.Style) -> None:
    """A noun has a form too little or too much: it would be seen only with the number that wants it."""
    for node in tree.find_all(nodes.Filter):
        if node.name == "plural" and (len(node.args) != len(style.forms) or node.kwargs or node.dyn_args):
            raise TemplateSyntaxError(f"plural takes {len(style.forms)} words here, as of {', '.join(style.forms)}", node.lineno)


def _filtered(node: nodes.Node, name: str, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, [*args], [], None, None, lineno=node.lineno)


def _guarded(tree: nodes.Template) -> frozenset[str]:
    """The fields that have a default somewhere, or are asked whether they are defined."""
    defaults = [node.node for node in tree.find_all(nodes.Filter) if node.name in ("default", "d")]
    asked = [node.node for node in tree.find_all(nodes.Test) if node.name in ("defined", "undefined")]
    return frozenset(node.name for node in (*defaults, *asked) if isinstance(node, nodes.Name))


# Tuples, and not joined where they are asked for: to join types takes longer than to look at a value.
_PLAIN = (str, int, float)
"""What stands in a text as it is."""
_LONG = (str, list, dict)
"""What has a length."""


def _spend(context: Context, key: str, steps: int) -> None:
    left: list[int] = context.parent[key]
    left[0] -= steps
    if left[0] < 0:
        raise SecurityError(f"more than {MAX_ROUNDS} loop rounds" if key == _ROUNDS else "more work than a text may take")


@pass_context
def _budgeted(context: Context, items: Any, size: int) -> list[Any]:
    """What a loop goes over; a round has ``size`` parts."""
    if isinstance(items, Undefined):
        items._fail_with_undefined_error()  # noqa: SLF001 - the one way to raise the message that names the field
    if not isinstance(items, Iterable) or isinstance(items, str):
        raise SecurityError(f"{type(items).__name__} is nothing to loop over")
    rounds = list(items)
    _spend(context, _ROUNDS, len(rounds))
    _spend(context, _WORK, len(rounds) * size)
    return rounds


@pass_context
def _spent(context: Context, value: Any) -> Any:
    """A value of which a filter or slice will read all."""
    _spend(context, _WORK, len(value) if isinstance(value, _LONG) else 1)
    return value


@pass_context
def _compared(context: Context, value: Any, searched: bool) -> Any:
    """A value that is compared; only what is ``searched`` may be a list or an object, for those may be deep."""
    if isinstance(value, list | tuple | dict) and not searched:
        raise SecurityError("only texts and numbers are compared")
    return _spent(context, value)


def _charged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that spends work."""
    for_environment = hasattr(function, "jinja_pass_arg")

    @pass_context
    def charged(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        _spent(context, value)
        return function(context.environment, value, *args, **kwargs) if for_environment else function(value, *args, **kwargs)

    return charged


def _printable(value: Any) -> Any:
    """What may stand in a text. A null is a missing field, and a list or object would show Python's own notation."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Decimal | date):
        return f"{value:f}" if isinstance(value, Decimal) else value.isoformat()
    if isinstance(value, Undefined):
        return str(value)
    if value is None:
        raise RenderError("missing-field", "a field that the text shows is null")
    raise RenderError("render-failed", f"a field that the text shows is a {type(value).__name__}")


def _joined_list(items: Iterable[Any], separator: str = "") -> str:
    """As Jinja2's ``join``, but a long separator would be a bomb. Markup is lost, so that it is escaped."""
    if len(separator) > 20:
        raise SecurityError("the separator of join is longer than 20 characters")
    return str(separator).join(str(_printable(item)) for item in items)


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic is for numbers of a sensible size: strings and lists would grow without bound."""
        for operand in (left, right):
            if isinstance(operand, Undefined):
                operand._fail_with_undefined_error()  # noqa: SLF001 - as above
            if not isinstance(operand, int | float | Decimal) or not -MAX_NUMBER <= operand <= MAX_NUMBER:
                raise SecurityError(f"{operator} is for numbers up to 10^15 only")
        if isinstance(left, Decimal) or isinstance(right, Decimal):
            left, right = Decimal(str(left)), Decimal(str(right))
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of an object, or a property of ``loop``: never an attribute of a Python value."""
        if isinstance(obj, LoopContext) and attribute in LOOP_ATTRIBUTES:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A key of an object, or a place or slice of a list or text."""
        if isinstance(obj, dict | list | tuple | str) and isinstance(argument, str | int | slice):
            try:
                return obj[argument]  # type: ignore[index]
            except (LookupError, TypeError):
                pass
        return self.undefined(obj=obj, name=argument)

    def call(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Never reached, since no template with a call is compiled."""
        raise SecurityError("calls are not allowed in a template")


@cache
def _environment(language: str, html: bool) -> _Sandbox:
    environment = _Sandbox(undefined=StrictUndefined, autoescape=html, finalize=_printable, trim_blocks=True, lstrip_blocks=True)
    style = languages.style(language)
    formats: dict[str, Callable[..., str]] = {"number": languages.number, "money": languages.money}
    formats |= {"date": languages.day, "day": languages.day_and_month, "time": languages.clock}
    formats |= {"plural": languages.plural, "after": languages.after}
    environment.globals.clear()
    environment.filters = {name: FILTERS[name] if name in _CHEAP else _charged(FILTERS[name]) for name in ALLOWED_FILTERS}
    environment.filters |= {name: _charged(partial(function, style)) for name, function in formats.items()}
    environment.filters |= {"join": _charged(_joined_list), _ROUNDS: _budgeted, _SPENT: _spent, _COMPARED: _compared}
    environment.tests = {name: TESTS[name] for name in ALLOWED_TESTS}
    return environment
