"""The sections of the console, as its pages offer them."""

from typing import NamedTuple

from inm.console.route import PREFIX
from inm.console.texts import mark as _
from inm.core.roles import Right


class Section(NamedTuple):
    """A page that stands in the menu of those who have the right to see it."""

    place: str
    title: str
    right: Right

    @property
    def path(self) -> str:
        """Its address."""
        return PREFIX + self.place

    def is_here(self, path: str) -> bool:
        """Whether a page belongs to the section."""
        return path == self.path if self.place == "/" else path == self.path or path.startswith(f"{self.path}/")


SECTIONS = (
    Section("/", _("Overview"), "see"),
    Section("/notifications", _("Notifications"), "see"),
    Section("/campaigns", _("Campaigns"), "see"),
    Section("/dead", _("Dead letters"), "see"),
    Section("/tables", _("Tables"), "see"),
    Section("/templates", _("Templates"), "see"),
    Section("/scenarios", _("Scenarios"), "see"),
    Section("/audit", _("Audit trail"), "audit"),
    Section("/accounts", _("Accounts"), "accounts"),
)
