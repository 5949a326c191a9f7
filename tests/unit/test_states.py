"""States: one table, which code, schema and page share; and the tables of the channels, on the page as they are in the code."""

from collections.abc import Iterable
from typing import get_args

import pytest
from aiosmpplib.state import SmppCommandStatus

from inm.channels.http import codes as http
from inm.channels.smpp import codes as smpp
from inm.channels.smpp import receipts
from inm.channels.smtp import codes as smtp
from inm.core import reaction, states
from inm.core.edr import Event
from inm.core.progress import _ENDS
from inm.core.results import REASONS
from tests.unit.test_docs import PAGES, rows, section

PAGE = "docs/states.md"
YES = {True: "yes", False: "no"}


def of_states() -> list[list[str]]:
    return [[f"`{name}`", one.group, one.final, YES[one.permanent], one.meaning] for name, one in states.STATES.items()]


def of_smpp() -> list[list[str]]:
    return [[f"`0x{int(code):02x}` {SmppCommandStatus(code).name}", f"`{result}`"] for code, result in sorted(smpp.RESULTS.items())]


def of_receipts() -> list[list[str]]:
    return [[f"`{word}`", f"`{state}`", f"`{reason}`" if reason else ""] for word, (state, reason) in receipts.STATES.items()]


def of_smtp() -> list[list[str]]:
    def told(where: str, meanings: Iterable[tuple[object, smtp.Meaning]]) -> list[list[str]]:
        return [[where, f"`{code}`", f"`{result}`", f"`{reason}`"] for code, (result, reason) in meanings]

    found = [row for (phase, code), meaning in smtp.BY_PHASE_STATUS.items() for row in told(phase.value, [(code, meaning)])]
    found += told("any other", smtp.BY_STATUS.items())
    found += [row for (phase, code), meaning in smtp.BY_PHASE_CODE.items() for row in told(phase.value, [(code, meaning)])]
    found += told("any", smtp.BY_CODE.items())
    return found + told("any", ((f"{number}xx", meaning) for number, meaning in smtp.BY_CLASS.items()))


def of_http() -> list[list[str]]:
    return [[f"`{code}`", f"`{result}`"] for code, result in (*http.BY_STATUS.items(), *http.BY_CLASS.items())]


TABLES = {
    "All states": of_states,
    "SMS: answers": of_smpp,
    "SMS: receipts": of_receipts,
    "E-mail: answers": of_smtp,
    "REST: answers": of_http,
}


@pytest.mark.parametrize("title", TABLES)
def test_the_page_is_what_the_code_has(title: str) -> None:
    assert rows(section(PAGES[PAGE], title)) == TABLES[title]()


def test_the_states_are_the_events_of_edrs() -> None:
    assert set(states.STATES) == set(get_args(Event))


def test_what_ends_a_notification_may_be_final_and_is_of_known_worth() -> None:
    ends = {*_ENDS.values(), *(event for _, event, _ in reaction._AT_DEADLINE), "failed", "cancelled", "expanded", "read", "submitted"}
    assert {name for name, one in states.STATES.items() if one.final != "never"} == ends
    assert set(states.WORTH) == ends - {"suppressed", "expanded"}
    assert {*_ENDS, *(reason for _, _, reason in reaction._AT_DEADLINE)} <= set(REASONS)


def test_ranks_only_grow_towards_what_is_known_for_sure() -> None:
    assert states.RANK["read"] > states.RANK["delivered"] > states.RANK["failed"] > states.RANK["submitted"] > states.RANK["unknown"]
    assert all(states.RANK[name] >= states.RANK["failed"] for name, one in states.STATES.items() if one.permanent)
