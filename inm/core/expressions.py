"""The source of a condition in CEL: what it reads, what it asks for, its parts, and CEL's complaints in our words."""

import re
from collections.abc import Collection, Iterator

from inm.core.faults import Fault

MAX_COMPREHENSIONS = 2
"""``all``, ``exists``, ``exists_one``, ``map`` and ``filter`` inside each other: CEL itself stops at 10 000 rounds of one evaluation."""

_TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*)
    |(?P<text>[bB]?[rR][bB]?(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*')
        |[bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<has>has\(\s*(?P<asked>(?:request|user)\s*\.\s*\w+)\s*\))
    |(?P<path>[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)
    |(?P<number>[0-9][\w.]*)
    |(?P<sign>&&|\|\||[<>=!]=|.)""",
    re.VERBOSE | re.DOTALL,
)
_LOOPS = frozenset({"all", "exists", "exists_one", "map", "filter"})
_CALENDAR = re.compile(r"get(?:FullYear|Month|Date|DayOf\w+|Hours|Minutes|Seconds|Milliseconds)")
"""What a time is asked for, in a time zone."""
_ERROR = re.compile(r"ERROR: [^:]*:(-?\d+):(-?\d+): ([^\n]*)")
_OVERLOAD = re.compile(r"no matching overload for '@?_?([^_']+)_?' applied to '\((.*)\)'")
_KINDS = {
    "double": "a decimal",
    "int": "a whole number",
    "string": "a text",
    "bool": "true or false",
    "google.protobuf.Timestamp": "a time",
    "google.protobuf.Duration": "a span of time",
}
"""CEL's types, in our words."""
_UNDECLARED = re.compile(r"undeclared reference to '(?:has\.)?([^']*)'")


class Source:
    """A condition. ``text`` is what CEL gets, of the same length and lines: ``has(user.age)`` is the variable ``has.user.age`` there."""

    def __init__(self, written: str) -> None:
        self.written = written
        self.words: list[str] = []
        self.reads: set[str] = set()
        self.asks: set[str] = set()
        texts: list[str] = []
        for match in _TOKEN.finditer(written):
            text = match[0]
            if match["has"]:
                asked = "".join(match["asked"].split())
                self.asks.add(asked)
                text = f"has.{asked}".ljust(len(text))
            elif match["path"]:
                parts = [part.strip() for part in text.split(".")]
                self.reads.add(".".join(parts[: 1 if parts[0] == "now" else 2]))
            if not match["blank"]:
                self.words.append("".join(match[0].split()) if match["has"] or match["path"] else match[0])
            texts.append(text)
        self.text = "".join(texts)
        self.needs = frozenset(self.reads - self.asks)
        self.reads |= self.asks

    @property
    def conjuncts(self) -> frozenset[str]:
        """The conditions that must all hold, without their outer brackets."""
        return frozenset(_conjuncts(self.words))

    @property
    def constants(self) -> list[str]:
        """Calls with a fixed text, as ``timestamp("…")`` and ``….getHours("Rome")``: CEL looks at the text only when it evaluates them."""
        found = []
        for name, opened, text, closed in zip(self.words, self.words[1:], self.words[2:], self.words[3:], strict=False):
            function = name.rpartition(".")[2]
            if (opened, closed) == ("(", ")") and text[0] in "\"'":
                found += [f"{function}({text})"] if name in ("timestamp", "duration") else []
                found += [f"timestamp(0).{function}({text})"] if _CALENDAR.fullmatch(function) else []
        return found

    @property
    def loops(self) -> int:
        """How deep comprehensions stand in each other, at most."""
        deepest, stack = 0, [0]
        for before, word in zip(["", *self.words], self.words, strict=False):
            if word == "(":
                stack.append(stack[-1] + (before.rpartition(".")[2] in _LOOPS))
                deepest = max(deepest, stack[-1])
            elif word == ")" and len(stack) > 1:
                stack.pop()
        return deepest


def _conjuncts(words: list[str]) -> Iterator[str]:
    while words and _wrapped(words):
        words = words[1:-1]
    depth, parts = 0, [[]]  # type: int, list[list[str]]
    for word in words:
        depth += (word in "([{") - (word in ")]}")
        if depth == 0 and word in ("||", "?"):
            parts = [words]
            break
        if depth == 0 and word == "&&":
            parts.append([])
        else:
            parts[-1].append(word)
    if len(parts) == 1:
        yield " ".join(parts[0])
    else:
        for part in parts:
            yield from _conjuncts(part)


def _wrapped(words: list[str]) -> bool:
    """Whether the first bracket is closed by the last one."""
    depth = 0
    for index, word in enumerate(words):
        depth += (word in "([{") - (word in ")]}")
        if depth == 0:
            return word == ")" and index == len(words) - 1
    return False


def limits(source: Source, pointer: str) -> Iterator[Fault]:
    """What CEL is not asked to look at."""
    if source.loops > MAX_COMPREHENSIONS:
        yield Fault(pointer, "has too many comprehensions inside each other", str(source.loops), f"at most {MAX_COMPREHENSIONS}")
    if not source.written.isprintable() and any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in source.written):
        yield Fault(pointer, "has characters that are no text")


def told(message: str, pointer: str, variables: Collection[str]) -> Iterator[Fault]:
    """CEL's errors, each with its line and column; for an unknown field, those that there are."""
    found = [(int(line), int(column), text) for line, column, text in _ERROR.findall(message)]
    for line, column, text in found or [(-1, -1, " ".join(message.split()))]:
        place = f"line {line}, column {column}: " if line > 0 else ""
        if unknown := _UNDECLARED.search(text):
            name = unknown[1]
            kind = name.partition(".")[0] + "."
            allowed = ", ".join(sorted(other for other in variables if other.startswith(kind))) or ", ".join(variables)
            yield Fault(pointer, f"{place}no such field or function", name[:60], allowed[:1000])
        else:
            yield Fault(pointer, f"{place}{text[:300]}{_hint(text)}")


def _hint(text: str) -> str:
    """What an error that speaks as a programmer does means to an editor."""
    overload = _OVERLOAD.search(text)
    if overload is None:
        return "; values are compared by ==, conditions joined by && and ||" if "Syntax error" in text else ""
    kinds = [_KINDS.get(kind, kind) for kind in overload[2].split(", ")]
    mend = "; a decimal is compared with a decimal: 5.0" if {*kinds} == {"a decimal", "a whole number"} else ""
    return f": {overload[1]} does not go with {' and '.join(kinds)}{mend}"
