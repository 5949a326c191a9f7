"""The pure parts of ``inm bench-lanes`` and ``inm bench-schedule``: what arrivals say of a route, and what records say of numbers."""

import csv
from collections import Counter
from pathlib import Path
from time import monotonic

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from inm import settings
from inm.cli import group
from inm.core.decide import Send, decide
from inm.core.edr import Edr, Event, Times
from inm.core.requests import expand, parse
from inm.demo.bench_arrivals import EDGE, Arrival, Arrivals, Span, busiest, ranks, used, waits
from inm.demo.bench_campaign import DOCUMENTS, SCENARIO, write_audience
from inm.demo.bench_fates import Fates
from inm.demo.bench_load import TENANT, configure
from inm.demo.bench_passwords import Passwords
from inm.demo.smsc.__main__ import Noting
from inm.demo.smsc.pdus import Part
from inm.documents import load_catalogue

NOW = 1_795_334_400_000


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60))
def test_the_busiest_second_is_the_one_that_counting_finds(milliseconds: list[int]) -> None:
    times = sorted(at / 1000 for at in milliseconds)
    most, when = busiest(times)
    assert most == sum(when <= at < when + 1.0 for at in times)
    assert most == max(sum(begin <= at < begin + 1.0 for at in times) for begin in times)


def test_the_busiest_second_need_not_be_one_of_the_clock() -> None:
    assert busiest([0.1, 0.6, 0.9, 1.2, 1.5, 3.0]) == (4, 0.6)


def test_a_steady_route_is_used_as_it_is_filled() -> None:
    times = [number / 8 for number in range(20 * 8)]
    assert used(times, Span(0.0, 20.0), 8) == 1.0
    assert used(times, Span(0.0, 20.0), 10) == 0.8


def test_the_edges_do_not_count_nor_what_is_left_out() -> None:
    steady = [EDGE + number / 4 for number in range(10 * 4)]
    gap = Span(7.2, 9.9)
    broken = [at for at in steady if not 7.0 <= at < 10.0]
    assert used(steady, Span(0.0, 20.0), 4) == 1.0
    assert used(broken, Span(0.0, 20.0), 4) == 0.7
    assert used(broken, Span(0.0, 20.0), 4, gap) == 1.0


@pytest.mark.parametrize(("end", "without"), [(10.9, None), (13.0, Span(0.0, 20.0))])
def test_without_a_whole_second_nothing_is_said(end: float, without: Span | None) -> None:
    assert used([1.0, 6.0], Span(0.0, end), 4, without) is None


def test_what_was_under_way_in_a_takeover_is_left_out() -> None:
    sent = {"before": 1.0, "into": 4.5, "within": 6.0, "out of": 7.9, "after": 8.5, "never": 2.0}
    first = {"before": 1.25, "into": 5.5, "within": 7.0, "out of": 9.0, "after": 8.75}
    assert waits(sent, first) == [250, 1000, 1000, 1100, 250]
    assert waits(sent, first, Span(5.0, 8.0)) == [250, 250]


def test_ranks_are_the_nearest_and_the_largest() -> None:
    assert ranks(range(1, 101)) == {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert ranks([]) == {"p50": None, "p95": None, "p99": None, "max": None}


def test_notes_are_read_a_piece_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    arrivals = Arrivals(file)
    file.write_text("1.5 39333\n2.5 393")
    arrivals.look()
    assert arrivals.all == [Arrival(1.5, "39333")]
    file.write_text("1.5 39333\n2.5 39345\n3.5 39333\n")
    arrivals.look()
    assert arrivals.all == [Arrival(1.5, "39333"), Arrival(2.5, "39345"), Arrival(3.5, "39333")]
    assert arrivals.first == {"39333": 1.5, "39345": 2.5}
    assert arrivals.doubles() == {"39333"}
    assert arrivals.of({"39333"}) == [1.5, 3.5]


def test_what_the_smsc_notes_is_what_is_read(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    with file.open("w", buffering=1) as log:
        smsc = Noting(log)
        began = monotonic()
        for number in ("39333", "39345"):
            smsc.take(Part("Acme", number, "gsm0338", False, b"hello", True))
        arrivals = Arrivals(file)
        arrivals.look()
    assert [number for _, number in arrivals.all] == ["39333", "39345"]
    assert all(began - 1e-6 <= at <= monotonic() + 1e-6 for at, _ in arrivals.all)
    assert smsc.ledger.parts == 2


def edr(number: str, event: Event, *, final: bool = False, redelivered: bool = False, duplicate: bool = False) -> bytes:
    record = Edr(
        id=f"{number}/{event}", event=event, at=NOW, notification=number, tenant=TENANT, scenario=SCENARIO, times=Times(NOW),
        to=f"+{number}", final=final, redelivered=redelivered, duplicate=duplicate,
    )  # fmt: skip
    return msgspec.json.encode(record)


def test_missing_and_double_are_explained_by_what_the_records_say() -> None:
    fates = Fates({"1", "2", "3", "4", "5"})
    for value in (
        edr("1", "unknown", final=True, redelivered=True),
        edr("2", "submitted", redelivered=True),
        edr("2", "delivered", final=True),
        edr("3", "submitted", duplicate=True),
        edr("4", "delivered", final=True),
        edr("6", "failed", final=True),
    ):
        fates.add(value)
    assert fates.missing({"1", "2", "5"}) == {"numbers": 3, "explained": 1, "finals": {"delivered": 1, "open": 1, "unknown": 1}}
    assert fates.double({"1", "2", "3", "4"}) == {"numbers": 4, "explained": 3, "finals": {"delivered": 2, "open": 1, "unknown": 1}}


class _Producer:
    """Takes so many records."""

    def __init__(self, most: int) -> None:
        self.records: list[bytes] = []
        self._most = most

    async def send(self, _topic: str, value: bytes, _key: bytes) -> None:
        self.records.append(value)
        if len(self.records) == self._most:
            raise EOFError


async def test_campaign_and_passwords_are_one_part_each_to_numbers_of_their_own(tmp_path: Path) -> None:
    configure(tmp_path / "config", 250.0, DOCUMENTS)
    found = settings.load({"INM_CONFIG": str(tmp_path / "config"), "INM_SMSC_PASSWORD": "secret", "INM_INBOX_SECRET": "secret"})
    assert found.rates({"sms"}) == {"smsc-1": 250.0}
    catalogue = load_catalogue(found)
    book = catalogue.book(TENANT)
    assert book is not None
    assert book.scenarios[SCENARIO].document.on_unknown == "wait-for-receipt"
    producer = _Producer(3)
    passwords = Passwords(producer, 1e6)
    with pytest.raises(EOFError):
        await passwords.send()
    file = tmp_path / "audience.csv"
    write_audience(file, 4)
    offers = [
        msgspec.json.encode(
            {"scenario": SCENARIO, "to": {"phone": row["phone"], "language": row["language"]}, "fields": {"name": row["name"]}}
        )
        for row in csv.DictReader(file.read_text().splitlines())
    ]
    sends = []
    for value in (*offers, *producer.records):
        (notification,) = expand(parse(value, TENANT, catalogue), TENANT, "", NOW, 6)
        sends.append(decide(notification, book, None, NOW))
    deliveries = [send.delivery for send in sends if isinstance(send, Send)]
    assert Counter((delivery.scenario, delivery.lane, delivery.parts) for delivery in deliveries) == {
        (SCENARIO, "bulk", 1): 4,
        ("otp", "urgent", 1): 3,
    }
    assert len({delivery.to for delivery in deliveries}) == 7
    assert passwords.sent.keys() == {delivery.to.removeprefix("+") for delivery in deliveries if delivery.scenario == "otp"}


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("bench-lanes", ("--recipients", "--rate", "--workers", "--urgent", "--no-kill", "--json")),
        ("bench-schedule", ("--items", "--due", "--json")),
    ],
)
def test_the_commands_are_there_and_explain_their_options(command: str, options: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(group, [command, "--help"])
    assert shown.exit_code == 0
    assert all(option in shown.output for option in options)
