"""Drafts: a template as it stands in the form of the editor, which may still be wrong; and the document made of it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from inm.console.texts import mark as _
from inm.core.documents import decode, shape
from inm.core.faults import Fault
from inm.core.templates import Template, TemplateDocument

PARTS: Mapping[str, tuple[str, ...]] = {"sms": ("text",), "email": ("subject", "text", "html"), "rest": ("title", "text")}
"""Of each channel, as they stand in the form."""
MOST = 200
"""Variants that a form has at most."""
MOST_DATA = 60
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_INDEX = re.compile(r"key-([0-9]{1,3})")
_WRONG: Mapping[str, str] = {
    "language": _("Say the language, and perhaps the tone: it, or it/young."),
    "twice": _("There is another text of this language and tone."),
    "data": _("Say the name of this value."),
}


OURS = frozenset(_WRONG.values())
"""Faults that are said by us, and so in the languages of the console."""


class VariantDraft(Struct):
    """A variant as it is written: ``key`` is its language and tone."""

    key: str = ""
    parts: dict[str, str] = {}
    data: list[tuple[str, str]] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was written into it."""
        return not (self.key or any(map(str.strip, self.parts.values())) or any(name or text.strip() for name, text in self.data))


class Draft(Struct):
    """A template as it is written."""

    name: str
    channel: str
    variants: list[VariantDraft]
    flash: bool = False


class Written(Struct, frozen=True):
    """The document of a draft, and what is wrong with it: by the field of the form, and with the whole."""

    document: dict[str, Any]
    template: Template | None
    fields: dict[str, str]
    general: list[str]

    @property
    def is_good(self) -> bool:
        """Whether it could be taken."""
        return self.template is not None and not (self.fields or self.general)


def of_form(form: Mapping[str, Any], name: str, channel: str) -> Draft:
    """What was posted."""
    indices = sorted({int(match[1]) for field in form if (match := _INDEX.fullmatch(field))})[:MOST]
    return Draft(name, channel, [_variant(form, index) for index in indices], bool(form.get("flash")))


def of_document(document: Mapping[str, Any]) -> Draft:
    """What is held."""
    variants = [
        VariantDraft(key, {part: text for part, text in variant.items() if isinstance(text, str)}, [*variant.get("data", {}).items()])
        for key, variant in document["variants"].items()
    ]
    return Draft(document["name"], document["channel"], variants, bool(document.get("flash")))


def written(draft: Draft, tenant: str) -> Written:
    """The document, with everything that is wrong with it by itself. Words of ours are not translated yet."""
    fields: dict[str, str] = {}
    variants: dict[str, dict[str, Any]] = {}
    for index, variant in enumerate(draft.variants):
        if variant.is_empty:
            continue
        if not variant.key or variant.key in variants:
            fields[f"key-{index}"] = _WRONG["twice" if variant.key else "language"]
        if any(text.strip() and not name for name, text in variant.data):
            fields[f"data-{index}"] = _WRONG["data"]
        variants[variant.key or f"? {index}"] = _document(variant)
    name = draft.name if NAME.fullmatch(draft.name) else "new"  # a text can be seen before it has a good name
    document: dict[str, Any] = {"kind": "template", "tenant": tenant, "name": name, "channel": draft.channel, "variants": variants}
    document |= {"flash": True} if draft.flash else {}
    if fields:
        return Written(document, None, fields, [])
    faults = shape(document)
    decoded = None if faults else decode(document)
    template = Template(decoded, 0) if isinstance(decoded, TemplateDocument) else None
    return Written(document, template, *placed([*faults, *(template.faults() if template else ())], draft))


def placed(faults: Iterable[Fault], draft: Draft) -> tuple[dict[str, str], list[str]]:
    """Faults by the field of the form that they are about; and those of none."""
    places = {variant.key: index for index, variant in enumerate(draft.variants)}
    fields: dict[str, str] = {}
    general: list[str] = []
    for fault in faults:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in fault.pointer.split("/")][1:]
        words = str(Fault("", fault.message, fault.found, fault.allowed)).removeprefix("/: ")
        if len(parts) > 1 and parts[0] == "variants" and parts[1] in places:
            fields.setdefault(f"{parts[2] if len(parts) > 2 else 'key'}-{places[parts[1]]}", words)
        else:
            general.append(f"{fault.pointer.lstrip('/')}: {words}" if fault.pointer else words)
    return fields, general


def _variant(form: Mapping[str, Any], index: int) -> VariantDraft:
    parts = {part: text for part in ("subject", "title", "text", "html") if (text := _text(form, f"{part}-{index}"))}
    data = [(_text(form, f"name-{index}-{place}").strip(), _text(form, f"value-{index}-{place}")) for place in range(MOST_DATA)]
    return VariantDraft(_text(form, f"key-{index}").strip(), parts, [pair for pair in data if any(pair)])


def _text(form: Mapping[str, Any], name: str) -> str:
    """A text as it was typed: browsers send line breaks as CR LF."""
    value = form.get(name, "")
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""


def _document(variant: VariantDraft) -> dict[str, Any]:
    data = {name: text for name, text in variant.data if name}
    return {part: text for part, text in variant.parts.items() if text.strip()} | ({"data": data} if data else {})
