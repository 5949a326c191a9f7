"""Documents as YAML, as a person would write it: read by :mod:`inm.core.yamltext` it is the same again."""

import re
from typing import Any

import yaml

_NUMBER = re.compile(r"[-+.]?[0-9].*")
"""What might be a number, to whatever reads it."""
_ODD = re.compile(r"[^\S \n]|[^\x09-\uffff]|\ufeff")
"""Blanks that YAML takes for line breaks, or editors for nothing."""


class _Writer(yaml.SafeDumper):
    """Texts of several lines as blocks; lists set in, as most people do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _ODD.search(text) else "|" if "\n" in text else "'" if _NUMBER.fullmatch(text) else None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style)


_Writer.add_representer(str, _text)


def write(document: Any) -> str:
    """JSON data as YAML, keys in their order."""
    return yaml.dump(document, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=120)
