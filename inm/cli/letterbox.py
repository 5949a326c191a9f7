"""The letterbox for people at a terminal: it tells how far it has come."""

import sys
from collections.abc import AsyncGenerator
from typing import Any

from rich.console import Console
from rich.progress import Progress

from inm import topics
from inm.web.letterbox import Letterbox


def progress() -> Progress:
    """A bar for people on stderr; nothing where nobody looks."""
    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


class Watched(Letterbox):
    """One with a bar while the topic is read."""

    async def follow(self, first: int) -> AsyncGenerator[Any, None]:
        begin, end = await self.bounds()
        begin = max(first, begin)
        with progress() as bar:
            task = bar.add_task(f"reading {topics.DEAD}", total=end - begin)
            async for record in super().follow(first):
                bar.update(task, completed=record.offset - begin)
                yield record
