"""The page on campaigns says what the code does."""

from typing import get_args

from inm.core import audience, campaigns, rowfiles
from inm.intake.campaigns import MAX_PIECE
from tests.unit.test_docs import PAGES, named, section

PAGE = PAGES["docs/campaigns.md"]


def test_every_state_and_its_actions_are_on_the_page() -> None:
    found = named(section(PAGE, "States"))
    assert {state: row[0] for state, row in found.items()} == campaigns.STATES
    for state, row in found.items():
        assert row[1].strip(" |") == ", ".join(action for action in get_args(campaigns.Action) if state in campaigns.NEXT[action])


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    assert f"the first {audience.MOST_FAULTS} faults" in PAGE
    assert f"the first {audience.SAMPLED_FIRST} rows and one in {audience.SAMPLED}" in PAGE
    assert f"A line may have {rowfiles.MAX_LINE // 1024} KiB" in PAGE
    assert f"up to {MAX_PIECE // 1024} KiB" in PAGE
    assert f"pieces of at most {audience.PIECE_ROWS} rows" in PAGE
    days = campaigns.KEEP // 24 // 3600 // 1000
    assert f"nothing has happened to for {days} days" in PAGE
    assert f"forgotten {2 * days} days after its last event" in PAGE
    assert all(f"`{column}`" in PAGE for column in rowfiles.RECIPIENT)
