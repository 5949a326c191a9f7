"""Conditions in plain words, in the language of who reads them."""

from collections.abc import Mapping

from babel.units import format_unit

from inm.console.texts import mark as _
from inm.console.visit import Visit
from inm.core.plain import Node, read

_SIGNS: Mapping[str, str] = {
    "==": _("%(left)s is %(right)s"),
    "!=": _("%(left)s is not %(right)s"),
    "<": _("%(left)s is below %(right)s"),
    "<=": _("%(left)s is at most %(right)s"),
    ">": _("%(left)s is above %(right)s"),
    ">=": _("%(left)s is at least %(right)s"),
    "in": _("%(left)s is among %(right)s"),
}
_TIMES: Mapping[str, str] = {
    "<": _("%(left)s is before %(right)s"),
    "<=": _("%(left)s is not after %(right)s"),
    ">": _("%(left)s is after %(right)s"),
    ">=": _("%(left)s is not before %(right)s"),
}
_WHOSE: Mapping[str, str] = {
    "request": _("“%(name)s”"),
    "user": _("the user's “%(name)s”"),
    "last": _("“%(name)s” of the step before"),
    "tenant": _("the tenant's “%(name)s”"),
}
_UNITS = {"h": "duration-hour", "m": "duration-minute", "s": "duration-second"}


def words(visit: Visit, condition: str) -> str | None:
    """A condition as a sentence; None if it is beyond plain words."""
    found = read(condition)
    return None if found is None else _Teller(visit).condition(found)


class _Teller:
    """Goes through a condition."""

    def __init__(self, visit: Visit) -> None:
        self.gettext = visit.gettext
        self._language = visit.language

    def condition(self, node: Node, *, inside: bool = False) -> str:
        """A condition; in brackets if it has several parts and stands in another one."""
        if node.kind in ("and", "or"):
            parts = [self.condition(part, inside=True) for part in node.inner]
            joined = (self.gettext(" and ") if node.kind == "and" else self.gettext(" or ")).join(parts)
            return f"({joined})" if inside else joined
        if node.kind == "not":
            return self._denied(node.inner[0])
        if node.kind == "has":
            return self.gettext("%(what)s is known", what=self._value(node.inner[0]))
        if node.kind == "true":
            return self.gettext("%(what)s is true", what=self._value(node.inner[0]))
        left, right = node.inner
        signs = _TIMES if node.kind in _TIMES and (_is_moment(left) or _is_moment(right)) else _SIGNS
        return self.gettext(signs[node.kind], left=self._value(left), right=self._value(right))

    def _denied(self, node: Node) -> str:
        if node.kind == "has":
            return self.gettext("%(what)s is not known", what=self._value(node.inner[0]))
        if node.kind == "true":
            return self.gettext("%(what)s is not true", what=self._value(node.inner[0]))
        return self.gettext("it is not so that %(what)s", what=self.condition(node, inside=True))

    def _value(self, node: Node) -> str:
        if node.kind in ("+", "-"):
            return self._sum(node)
        if node.kind == "span":
            return format_unit(int(node.words[0]), _UNITS[node.words[1]], locale=self._language)
        simple = {
            "now": self.gettext("now"),
            "true": self.gettext("true"),
            "false": self.gettext("false"),
            "hour": self.gettext("the hour in %(zone)s", zone=node.words[0] if node.words else ""),
            "field": self.gettext(_WHOSE[node.words[0]], name=node.words[1]) if node.kind == "field" else "",
            "has": self.gettext("%(what)s is known", what=self._value(node.inner[0])) if node.kind == "has" else "",
        }
        return simple.get(node.kind) or (f"“{node.words[0]}”" if node.kind == "text" else node.words[0])

    def _sum(self, node: Node) -> str:
        left, right = node.inner
        if node.kind == "-" and right.kind == "now":
            return self.gettext("the time until %(what)s", what=self._value(left))
        if left.kind == "now" and right.kind == "span":
            words = {
                "-": self.gettext("%(span)s ago", span=self._value(right)),
                "+": self.gettext("%(span)s from now", span=self._value(right)),
            }
            return words[node.kind]
        if node.kind == "-" and left.kind == "now":
            return self.gettext("the time since %(what)s", what=self._value(right))
        return f"{self._value(left)} {'−' if node.kind == '-' else '+'} {self._value(right)}"  # noqa: RUF001 - a minus


def _is_moment(node: Node) -> bool:
    """Whether it is a point in time, and no span."""
    return node.kind == "now" or (node.kind in ("+", "-") and node.inner[0].kind == "now" and node.inner[1].kind == "span")
