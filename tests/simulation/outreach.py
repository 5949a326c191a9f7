"""A campaign in a world: its audience in pieces, some recipients named twice, and orders that somebody presses again and again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import msgspec

from inm.core.audience import Report, Row
from inm.core.campaigns import Act, Action, Create, Piece
from inm.core.records import Recipient
from inm.topics import AUDIENCES, CAMPAIGNS

NAME = "spring"
LAST = 12.0
"""Seconds after which it is resumed for good."""


@dataclass
class Campaign:
    """What is produced for it; ``rows`` are all of its audience."""

    random: Random
    scenario: str
    rows: list[Row] = field(default_factory=list)

    def records(self) -> Iterator[tuple[float, str, bytes]]:
        """A pause in seconds, a topic and a value each; some of them twice."""
        create = Create("create", "acme", NAME, self.scenario, "ada", 0, pace=self.random.choice((None, None, 3)))
        yield 0.1, CAMPAIGNS, msgspec.json.encode(create)
        pieces = [self._piece(number) for number in range(self.random.randint(1, 3))]
        pieces[-1] = msgspec.structs.replace(pieces[-1], last=True)
        yield 2.0, AUDIENCES, msgspec.json.encode(pieces[0])
        for piece in pieces if self.random.random() < 0.3 else pieces[1:]:
            yield 0.0, AUDIENCES, msgspec.json.encode(piece)
        yield 2.0, CAMPAIGNS, self._order("start", 0)
        passed = 0.0
        for number in range(1, self.random.randint(1, 8)):
            pause = self.random.random() * 2
            passed += pause
            yield pause, CAMPAIGNS, self._order(self.random.choice(("pause", "resume", "start")), number // 2)
        yield LAST - passed, CAMPAIGNS, self._order("start", 99)
        yield 0.0, CAMPAIGNS, self._order("resume", 100)

    def _order(self, action: Action, number: int) -> bytes:
        return msgspec.json.encode(Act(f"{action} {number}", "acme", NAME, action, "bob", 0))

    def _piece(self, number: int) -> Piece:
        rows = [self._row() for _ in range(self.random.randint(0, 5))]
        self.rows += rows
        return Piece("acme", NAME, number, rows, Report(rows=len(rows)))

    def _row(self) -> Row:
        number = self.random.randrange(8)
        to = Recipient(user=f"u{number}", phone=f"+3933311122{number:02}", email=f"u{number}@customer.example")
        return Row(len(self.rows) + 2, to, {"code": "7"})
