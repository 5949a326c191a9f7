"""Templates: texts with variables, in several languages and tones of voice, in versions that never change."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from inm.core import mail
from inm.core.faults import Fault, child
from inm.core.fields import FieldName
from inm.core.languages import Fallback, normal
from inm.core.records import ChannelName, Content, Name
from inm.core.rendering import Compiled

VariantName = Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*(/[a-z][a-z0-9-]{0,29})?$(?!\n)")]
"""A language, or a language and a tone of voice: ``it``, ``it/young``."""
State = Literal["draft", "submitted", "approved", "rejected"]


class Variant(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The sources of one variant: SMS has ``text``, e-mail ``subject``, and ``text`` or ``html`` or both; REST ``text``."""

    text: Annotated[str, Meta(min_length=1)] | None = None
    subject: Annotated[str, Meta(min_length=1)] | None = None
    html: str | None = None
    title: Annotated[str, Meta(min_length=1)] | None = None
    """Of REST, as ``data``."""
    data: Annotated[dict[FieldName, str], Meta(max_length=50)] = {}
    """What the receiving system is told beside the text, each a text of its own."""


class TemplateDocument(Struct, frozen=True, forbid_unknown_fields=True, tag="template", tag_field="kind", omit_defaults=True):
    """What an editor writes. Its version is given when it is taken."""

    tenant: Name
    name: Name
    channel: ChannelName
    variants: Annotated[dict[VariantName, Variant], Meta(min_length=1)]
    flash: bool = False
    """SMS that is shown at once and not kept."""


class Message(Struct, frozen=True):
    """A variant, compiled. An e-mail without a text has one made of its HTML."""

    text: Compiled
    subject: Compiled | None = None
    html: Compiled | None = None
    flash: bool = False
    derived: bool = False
    """The text was made of the HTML."""
    title: Compiled | None = None
    data: dict[str, Compiled] = {}

    @property
    def parts(self) -> list[Compiled]:
        """All that it is made of."""
        return [part for part in (self.text, self.subject, self.html, self.title, *self.data.values()) if part]

    @property
    def variables(self) -> frozenset[str]:
        """The fields that it reads."""
        return frozenset().union(*(part.variables for part in self.parts))

    @property
    def needed(self) -> frozenset[str]:
        """Those without which it cannot be made: neither has a default nor is asked whether it is defined."""
        return frozenset().union(*(part.needed for part in self.parts))

    def render(self, fields: Mapping[str, Any]) -> Content:
        """The content for these fields. ``RenderError`` if one is missing or a limit is reached."""
        text = self.text.render(fields)
        return Content(
            text=mail.settled(text) if self.derived else text,
            # One line, for a line break in it would begin another header (RFC 5322, section 2.2).
            subject=" ".join(self.subject.render(fields).split()) if self.subject else None,
            html=self.html.render(fields) if self.html else None,
            flash=self.flash,
            title=self.title.render(fields) if self.title else None,
            data={name: part.render(fields) for name, part in self.data.items()},
        )


class Template:
    """One version of a template. A variant is compiled when it is first used."""

    def __init__(self, document: TemplateDocument, version: int) -> None:
        self.document = document
        self.name = document.name
        self.version = version
        self.channel = document.channel
        self.flash = document.flash
        self._written = {usual(key): key for key in document.variants}
        self._messages: dict[str, Message] = {}

    def variant(self, language: str | None, tone: str | None, fallback: Fallback) -> tuple[str, Message]:
        """The best variant, as ``it/young``, and its message: languages outer, tones inner; the first by name if none of them is there.

        ``ValueError`` if it does not compile, which :meth:`faults` would have told.
        """
        key = self.serving(language, tone, fallback)
        return key, self.message(key)

    def serving(self, language: str | None, tone: str | None, fallback: Fallback) -> str:
        """The name of the best variant, whether it compiles or not."""
        tones = fallback.tones(tone)
        tried = (f"{tag}/{one}" if one else tag for tag in fallback.languages(language) for one in tones)
        return next((key for key in tried if key in self._written), None) or min(self._written)

    @property
    def keys(self) -> list[str]:
        """Its variants, in the usual case."""
        return [*self._written]

    def message(self, key: str) -> Message:
        """The message of a variant, by its name in the usual case."""
        message = self._messages.get(key)
        if message is None:
            message, faults = _compile(self.document, self._written[key])
            if message is None or faults:
                raise ValueError("; ".join(map(str, faults)))
            self._messages[key] = message
        return message

    @property
    def variables(self) -> frozenset[str]:
        """The fields that any variant reads."""
        return frozenset().union(*(self.message(key).variables for key in self._written))

    @property
    def needed(self) -> frozenset[str]:
        """Those without which some variant cannot be made."""
        return frozenset().union(*(self.message(key).needed for key in self._written))

    def faults(self) -> list[Fault]:
        """Everything that is wrong with its variants. Compiles them all."""
        faults: list[Fault] = []
        for key, written in self._written.items():
            message, wrong = _compile(self.document, written)
            faults += wrong
            if message and not wrong:
                self._messages[key] = message
        if len(self._written) < len(self.document.variants):
            twice = ", ".join(sorted(set(self.document.variants) - set(self._written.values())))
            faults.append(Fault("/variants", "the same variant twice, in another spelling", twice))
        return faults


def usual(key: str) -> str:
    """The name of a variant in the usual case: ``IT-ch/young`` is ``it-CH/young``."""
    language, slash, tone = key.partition("/")
    return normal(language) + slash + tone


def _compile(document: TemplateDocument, key: str) -> tuple[Message | None, list[Fault]]:
    """The message of a variant as it is written, and what is wrong with it."""
    variant = document.variants[key]
    sources = {"text": variant.text, "subject": variant.subject, "html": variant.html, "title": variant.title}
    sources |= {f"data/{name}": source for name, source in variant.data.items()}
    pointer, language = child("/variants", key), key.partition("/")[0]
    faults = [*_shape(document.channel, sources, pointer)]
    parts: dict[str, Compiled] = {}
    for part, source in sources.items():
        try:
            if source is not None:
                # What is wrong is told of the source as written, before its styles are inlined.
                parts[part] = Compiled(source, language, html=part == "html")
                if part == "html" and (inlined := mail.inlined(source)) != source:
                    parts[part] = Compiled(inlined, language, html=True)
        except ValueError as error:
            faults.append(Fault(f"{pointer}/{part}", str(error)))
    derived = variant.text is None and variant.html is not None
    if derived and not faults:
        try:
            parts["text"] = Compiled(mail.text_of(variant.html or ""), language)
        except ValueError as error:
            faults.append(Fault(f"{pointer}/text", f"cannot be made of the HTML: {error}", allowed="a text of its own"))
    if faults:
        return None, faults
    data = {name: parts.pop(f"data/{name}") for name in variant.data}
    return Message(**parts, data=data, flash=document.flash, derived=derived), []


_PARTS: Mapping[ChannelName, tuple[str, tuple[str, ...]]] = {
    "sms": ("an SMS", ("text",)),
    "email": ("an e-mail", ("text", "subject", "html")),
    "rest": ("a message over REST", ("text", "title", "data")),
}
"""What a message of each channel is called, and the parts that it may have."""


def _shape(channel: ChannelName, sources: Mapping[str, str | None], pointer: str) -> Iterator[Fault]:
    """What a variant of the channel has too much or too little."""
    kind, known = _PARTS[channel]
    for part, source in sources.items():
        if source is not None and part.partition("/")[0] not in known:
            yield Fault(f"{pointer}/{part}", f"{kind} has no such part", allowed=", ".join(known))
    if channel == "email" and sources["subject"] is None:
        yield Fault(f"{pointer}/subject", "is missing", allowed="an e-mail's subject")
    if sources["text"] is None and (channel != "email" or sources["html"] is None):
        yield Fault(f"{pointer}/text", "is missing", allowed="text, or html that a text is made of" if channel == "email" else "text")
