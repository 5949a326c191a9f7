"""Templates into texts: Jinja2 in a sandbox that bounds size and work as well as access.

The sandbox of Jinja2 stops attribute escapes, not bombs: ``'a' * 10**7`` and ``|center(10**7)`` run there.
So a template here may only do what is listed: no calls, no assignments, no string arithmetic, a budget of
loop rounds and a cap on the output. What it may not do is refused when it is compiled.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
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
MAX_ROUNDS = 2_000
"""Loop rounds of one rendering, all loops together."""
MAX_NUMBER = 10**15

_BUDGET = " rounds"
"""The context's key for what is left of the rounds; no template can name it, since it begins with a space."""

_NODES = """Template Output TemplateData Name Const Getattr Getitem Slice Filter Keyword Test If For CondExpr Compare Operand
    And Or Not Add Sub Mul Div FloorDiv Mod Neg Pos Tuple List"""
_FILTERS = "abs capitalize count d default e escape first float int items last length lower title trim truncate upper urlencode"
_TESTS = "defined undefined none string number mapping sequence boolean even odd in == != < <= > >= eq ne lt le gt ge equalto"
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
    """One compiled text of one language. ``variables`` are the fields it reads."""

    def __init__(self, source: str, language: str, *, html: bool = False) -> None:
        """Compile. ``ValueError`` says what the template may not do, with its line."""
        if len(source) > MAX_SOURCE:
            raise ValueError(f"the template has {len(source)} characters, allowed are {MAX_SOURCE}")
        environment = _environment(language, html)
        try:
            tree = environment.parse(source)
            _confine(tree)
            self.variables = frozenset(meta.find_undeclared_variables(tree))
            code = environment.compile(tree)
        except TemplateSyntaxError as error:
            raise ValueError(f"line {error.lineno}: {error.message}") from error
        except (TemplateError, RecursionError) as error:
            raise ValueError(str(error)) from error
        self._template = JinjaTemplate.from_code(environment, code, {})

    def render(self, fields: Mapping[str, Any]) -> str:
        """The text for these fields. ``RenderError`` if one is missing or a limit is reached."""
        template = self._template
        context = template.new_context({**fields, _BUDGET: [MAX_ROUNDS]}, shared=True)
        try:
            return _joined(template.root_render_func(context))
        except UndefinedError as error:
            raise RenderError("missing-field", str(error.message)) from error
        except RenderError:
            raise
        except Exception as error:
            raise RenderError("render-failed", f"{type(error).__name__}: {error}"[:300]) from error


_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def _joined(pieces: Iterable[str]) -> str:
    """The pieces as one text, without control characters and lone surrogates, which no channel carries."""
    room = MAX_OUTPUT
    texts = []
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            raise RenderError("render-failed", f"the text is longer than {MAX_OUTPUT} characters")
        texts.append(piece)
    text = "".join(texts)
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
        loop.iter = nodes.Filter(loop.iter, _BUDGET, [], [], None, None, lineno=loop.lineno)


@pass_context
def _budgeted(context: Context, items: Any) -> list[Any]:
    if isinstance(items, Undefined):
        items._fail_with_undefined_error()  # noqa: SLF001 - the one way to raise the message that names the field
    if not isinstance(items, Iterable) or isinstance(items, str):
        raise SecurityError(f"{type(items).__name__} is nothing to loop over")
    rounds = list(items)
    left = context.parent[_BUDGET]
    left[0] -= len(rounds)
    if left[0] < 0:
        raise SecurityError(f"more than {MAX_ROUNDS} loop rounds")
    return rounds


def _printable(value: Any) -> Any:
    """What may stand in a text. A null is a missing field, and a list or object would show Python's own notation."""
    if isinstance(value, str | int | float):
        return value
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
            if not isinstance(operand, int | float) or abs(operand) > MAX_NUMBER:
                raise SecurityError(f"{operator} is for numbers up to 10^15 only")
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
    formats |= {"date": languages.day, "time": languages.clock}
    environment.globals.clear()
    environment.filters = {name: FILTERS[name] for name in ALLOWED_FILTERS}
    environment.filters |= {name: partial(function, style) for name, function in formats.items()}
    environment.filters |= {"join": _joined_list, _BUDGET: _budgeted}
    environment.tests = {name: TESTS[name] for name in ALLOWED_TESTS}
    return environment
