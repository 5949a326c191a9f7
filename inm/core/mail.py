"""HTML of mails, before it is compiled: styles inlined, and a text made of it. Jinja's tags in it stay what and where they are."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from html import unescape

import css_inline

MAX_DEPTH = 64
"""Elements inside each other: the inliner ends the process at some thousand."""
MAX_ELEMENTS = 5_000
MAX_MATCHES = 50_000_000
"""Characters of styles, times elements that they may come to stand in."""

# What is open at the end ends there: looking for each end again would take a time that grows with the square of the text.
_JINJA = re.compile(r"\{\{.*?(?:\}\}|\Z)|\{%.*?(?:%\}|\Z)|\{#.*?(?:#\}|\Z)", re.DOTALL)
_MARKUP = re.compile(
    r"""<(?P<raw>style|title|script)\b.*?(?:</(?P=raw)\s*>|\Z)
    |<!--.*?(?:-->|\Z)
    |<(?P<end>/?)(?P<name>[a-z][a-z0-9-]*+)(?P<rest>(?:[\s/]*+[^\s"'<>/=]++(?:\s*=\s*(?:"[^"]*+"|'[^']*+'|[^\s"'<>]++))?){0,100}+)[\s/]*+>
    |<[!?][^>]*+>""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
_STYLE = re.compile(r"<style\b", re.IGNORECASE)
_ODD_TEXT = re.compile(r"<[a-z/!?]", re.IGNORECASE)
_ODD_MARKUP = re.compile(r"<!---?>|--!>|</(?:style|title|script)(?!\s*>)", re.IGNORECASE)
"""What browsers may read in another way than ``_MARKUP``."""
_ATTRIBUTE = re.compile(
    r"(?:^|[\s/])(?P<name>href|alt)\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"']+))", re.IGNORECASE
)
_BLANK = re.compile(r"\s+")
_EMPTY_LINES = re.compile(r"\n{3,}")
_EDGES = re.compile(r"[ \t]*\n[ \t]*")

_inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


class _Marked:
    """A text in which a word stands for each of Jinja's tags, for tools that know HTML only."""

    def __init__(self, html: str) -> None:
        word = "inm"
        while word in html:
            word += "q"
        self._word = word
        self.tags: list[str] = []
        self.text = _JINJA.sub(self._word_of, html)
        self.words = re.compile(rf"(?:<!--|&lt;!--)?{word}(\d+)x(?:--&gt;|-->)?(?:=\"\")?")

    def _word_of(self, tag: re.Match[str]) -> str:
        self.tags.append(tag[0])
        return f"{self._word}{len(self.tags) - 1}x"

    def is_block(self, number: str) -> bool:
        """Whether it is a tag that shows nothing itself: ``{% if … %}``."""
        return not self.tags[int(number)].startswith("{{")

    def blocks(self, text: str) -> list[str]:
        """The numbers of such tags, as they follow each other."""
        return [number for number in self.words.findall(text) if self.is_block(number)]

    def restored(self, text: str) -> str:
        return self.words.sub(lambda word: self.tags[int(word[1])], text)


def inlined(html: str) -> str:
    """The HTML with the rules of its ``<style>`` in ``style`` attributes, since mail programs drop the element. Nothing is fetched.

    ``ValueError`` if that would move a tag of Jinja's, as of conditional attributes, or would be too much work.
    """
    if not _STYLE.search(html):
        return html
    marked = _Marked(html)
    _confine(marked.text)
    # A parser of HTML moves words that stand between the rows of a table, but no comments.
    pieces = [_commented(marked, text) + (markup[0] if markup else "") for text, markup in _split(marked.text)]
    try:
        made = _inliner.inline("".join(pieces))
    except css_inline.InlineError as error:
        raise ValueError(f"its styles cannot be inlined: {error}"[:300]) from error
    if marked.blocks(made) != marked.blocks(marked.text):
        raise ValueError("its styles cannot be inlined around {% %} inside of a tag or a style: write style attributes there")
    return marked.restored(made)


def _split(html: str) -> Iterator[tuple[str, re.Match[str] | None]]:
    """Texts, each with the markup that follows it."""
    end = 0
    for markup in _MARKUP.finditer(html):
        yield html[end : markup.start()], markup
        end = markup.end()
    yield html[end:], None


def _commented(marked: _Marked, text: str) -> str:
    return marked.words.sub(lambda word: f"<!--{word[0]}-->" if marked.is_block(word[1]) else word[0], text)


_UNCLOSED = "area base br col colgroup dd dt embed hr img input li link meta option p source tbody td tfoot th thead tr wbr"
_CLOSED_BY_OTHERS = frozenset(_UNCLOSED.split())
"""Elements that have no end tag, or need none."""
_FORMAT = "a b big code em font i nobr s small strike strong tt u"
_FORMATS = frozenset(_FORMAT.split())
"""Elements that a parser of HTML opens again in each paragraph that follows, until they are closed."""
_FOREIGN = frozenset({"math", "svg"})


def _confine(html: str) -> None:
    """Refuse what the inliner would work on too long, or not survive; and what hides such things."""
    open_: Counter[str] = Counter()
    elements = styles = deepest = formats = 0
    for text, markup in _split(html):
        odd = _ODD_TEXT.search(text) or (_ODD_MARKUP.search(markup[0]) if markup and not markup["name"] else None)
        if odd or (markup and (markup["name"] or "").lower() in _FOREIGN):
            found = (odd.string[odd.start() :] if odd else markup[0] if markup else "")[:40]
            raise ValueError(f"its styles cannot be inlined, for it has what is no plain HTML: {found!r}")
        if markup and markup["raw"]:
            styles += len(markup[0])
        elif markup and markup["name"] and (name := markup["name"].lower()) not in _CLOSED_BY_OTHERS:
            open_[name] = max(0, open_[name] - 1) if markup["end"] else open_[name] + 1
            deepest = max(deepest, open_.total())
            formats = max(formats, sum(open_[name] for name in _FORMATS))
        elements += bool(markup)
    if deepest > MAX_DEPTH:
        raise ValueError(f"its styles cannot be inlined: more than {MAX_DEPTH} elements are open at once")
    if elements > MAX_ELEMENTS or elements * (1 + formats) * styles > MAX_MATCHES:
        raise ValueError(f"its styles cannot be inlined: {styles} characters of styles for {elements} tags are too much")


_BLOCKS = """address article aside blockquote div dl fieldset footer form h1 h2 h3 h4 h5 h6 header hr main nav ol p pre
    section table ul"""
_HIDDEN = frozenset({"head", "template"})
_LINES = "br tr li option dt dd"
_BREAKS: Mapping[str, int] = dict.fromkeys(_LINES.split(), 1) | dict.fromkeys(_BLOCKS.split(), 2)
"""Line breaks around an element."""


def text_of(html: str) -> str:
    """A plain text with the words, links and list marks of the HTML, as a template."""
    marked = _Marked(html)
    writer = _Writer()
    for text, markup in _split(marked.text):
        writer.text(text)
        if markup and markup["name"]:
            writer.tag(markup["name"].lower(), bool(markup["end"]), markup["rest"])
    # A brace that was written as a reference is none of Jinja's.
    text = re.sub(r"\{(?=[{%#])", "{{ '{' }}", "".join(writer.pieces))
    return marked.restored(text)


def settled(text: str) -> str:
    """A text made of HTML, when it is rendered: at most one empty line in a row, where parts are left out."""
    return _EMPTY_LINES.sub("\n\n", _EDGES.sub("\n", text)).strip()


class _Writer:
    """Collects ``pieces`` of text. White space is one blank; breaks are written when something follows."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._breaks = 0
        self._blank = False
        self._hidden = 0
        self._links: list[str] = []

    def tag(self, name: str, end: bool, attributes: str) -> None:
        self._breaks = max(self._breaks, _BREAKS.get(name, 0))
        if name in _HIDDEN:
            self._hidden = max(0, self._hidden + (-1 if end else 1))
        elif name == "a" and not end:
            self._links.append(_attribute(attributes, "href"))
        elif name == "a" and self._links:
            link = self._links.pop().removeprefix("mailto:")
            if link and not link.startswith("#") and self.pieces[-1:] != [link]:
                self._blank = True
                self._write(f"({link})")
        elif name == "img":
            self.text(_attribute(attributes, "alt"))
        elif name in ("td", "th"):
            self._blank = True
        elif name == "li" and not end:
            self._write("- ")

    def text(self, written: str) -> None:
        text = _BLANK.sub(" ", unescape(written))
        self._blank |= text.startswith(" ")
        if words := text.strip(" "):
            self._write(words)
            self._blank = text.endswith(" ")

    def _write(self, words: str) -> None:
        if self._hidden:
            return
        if self.pieces and self._breaks:
            self.pieces.append("\n" * self._breaks)
        elif self.pieces and self._blank and not self.pieces[-1].endswith(" "):
            self.pieces.append(" ")
        self.pieces.append(words)
        self._breaks, self._blank = 0, False


def _attribute(attributes: str, name: str) -> str:
    found = (match for match in _ATTRIBUTE.finditer(attributes) if match["name"].lower() == name)
    match = next(found, None)
    return unescape(match["double"] or match["single"] or match["bare"] or "").strip() if match else ""
