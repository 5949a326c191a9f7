"""Everything for those who write texts, put together."""

from collections.abc import Iterator

from inm.console.editor import Editor
from inm.console.letters import Letters
from inm.console.route import Route
from inm.console.scenarios import Scenarios
from inm.console.templates import Templates
from inm.console.testing import Testing
from inm.console.trying import Trying


class Writing:
    """Templates and scenarios."""

    def __init__(self) -> None:
        letters = Letters()
        trying = Trying(letters)
        # the editor's and the test's pages first: to a template's they look like versions
        self._parts = (letters, trying, Editor(trying), Testing(), Templates(trying), Scenarios())

    def routes(self) -> Iterator[Route]:
        """Of all of them."""
        for part in self._parts:
            yield from part.routes()
