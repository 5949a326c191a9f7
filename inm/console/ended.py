"""Sessions that were ended before their time: every worker knows of them by ``inm.sessions``."""

from typing import TYPE_CHECKING

from inm import topics
from inm.core.sessions import LASTS, Session
from inm.streaming.chunks import now_ms
from inm.streaming.mirror import Mirror, Rows

if TYPE_CHECKING:
    from inm.app import Inm


class Ended:
    """Their ids, for as long as they would have lasted."""

    def __init__(self, app: "Inm") -> None:
        self._app = app
        self._known: dict[str, int] = {}

    def __contains__(self, session: str) -> bool:
        """Whether a session of this id was ended."""
        return session in self._known

    def end(self, session: Session) -> None:
        """Here at once, on the other workers as soon as Kafka has told them."""
        self._known[session.id] = now_ms()
        self._app.emitter.emit(topics.SESSIONS, 0, session.id.encode(), b"")

    async def open(self) -> None:
        """Begin to follow the topic."""
        self._app.add_future(Mirror(topics.SESSIONS, self._app.new_consumer, self._take).follow())

    async def _take(self, rows: Rows, _whole: bool) -> None:
        now = now_ms()
        self._known = {session: at for session, at in self._known.items() if at > now - LASTS}
        self._known |= {key.decode(errors="replace"): now for key, value in rows.items() if value is not None}
