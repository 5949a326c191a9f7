"""Brings the catalogues up to the pages: what is new comes in untranslated, what is not used any more goes, the rest stays."""

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from inm.console.texts import FOLDER, LANGUAGES

MAPPING = [("**.py", "python"), ("pages/**.html", "jinja2")]


def extracted() -> Catalog:
    """Every text that the pages and their handlers show."""
    found = Catalog(charset="utf-8")
    for _, _, text, _, _ in extract_from_dir(FOLDER.parent, MAPPING):
        found.add(text)
    return found


def main() -> None:
    """Write the catalogues anew, in the order of their texts: the same texts make the same files."""
    texts = extracted()
    for language in list(LANGUAGES)[1:]:
        path = FOLDER / f"{language}.po"
        with path.open("rb") as file:
            known = read_po(file, locale=language)
        known.update(texts, no_fuzzy_matching=True)
        known.obsolete.clear()
        with path.open("wb") as file:
            write_po(file, known, width=140, sort_output=True, omit_header=True, no_location=True)


if __name__ == "__main__":
    main()
