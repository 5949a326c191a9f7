"""Plug-ins: what is installed, and that none of them can hold up or spoil a decision."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inm import metrics
from inm.algorithms import REST, STRIKES, Candidate, Context, Installed, installed
from inm.core.scenarios import Algorithm
from tests.support.plugin import install

CONTEXT = Context("acme", "hello", {"text": ["x"]}, {}, {}, datetime(2026, 11, 22, 12, tzinfo=UTC))
GIVEN = [Candidate(1, "sms", "text", "by-sms", True), Candidate(2, "email", "mail", "by-email", False)]
PATIENT = Algorithm("it", limit=10_000)


def choosing(function: Callable[[Sequence[Candidate], Context], Any], **options: Any) -> Installed:
    return Installed({"it": SimpleNamespace(choose=function)}, **options)


def enriching(function: Callable[[Context], Any], **options: Any) -> Installed:
    return Installed({"it": SimpleNamespace(enrich=function)}, **options)


def test_it_chooses_and_orders() -> None:
    plugins = choosing(lambda candidates, _: list(reversed(candidates)))
    steps, report = plugins.choose(PATIENT, GIVEN, CONTEXT)
    assert (steps, report.result) == ([2, 1], "used")
    assert choosing(lambda *_: []).choose(PATIENT, GIVEN, CONTEXT)[0] == []


STRANGERS = [Candidate(3, "sms", "text", "by-sms", True), Candidate(1, "sms", "other", "by-sms", True)]


@pytest.mark.parametrize("answer", [None, 1, "12", [1], [GIVEN[0], GIVEN[0]], *([stranger] for stranger in STRANGERS)])
def test_what_is_no_choice_is_a_failure(answer: Any) -> None:
    steps, report = choosing(lambda *_: answer).choose(PATIENT, GIVEN, CONTEXT)
    assert (steps, report.result) == (None, "failed")


@pytest.mark.parametrize("answer", [None, [], {"Bad Name": 1}, {1: 2}, {"a": object()}, {"a": "x" * 20_000}])
def test_what_is_no_mapping_of_fields_is_a_failure(answer: Any) -> None:
    added, report = enriching(lambda _: answer).enrich(PATIENT, CONTEXT)
    assert (added, report.result) == (None, "failed")
    assert "x" * 10 not in report.detail


def test_added_fields_are_data_and_no_objects_of_the_plug_in() -> None:
    added, report = enriching(lambda _: {"amount": Decimal("1.5"), "list": (1, 2)}).enrich(PATIENT, CONTEXT)
    assert (added, report.result) == ({"amount": "1.5", "list": [1, 2]}, "used")


@pytest.mark.parametrize("error", [ValueError("+393331234567"), SystemExit(3), KeyboardInterrupt(), TimeoutError("mine")])
def test_whatever_it_raises_is_told_without_its_words(error: BaseException) -> None:
    def fail(_: Context) -> Any:
        raise error

    plugins = enriching(fail)
    for _ in range(STRIKES + 1):
        added, report = plugins.enrich(PATIENT, CONTEXT)
        assert (added, report.result) == (None, "failed"), "and goes on being asked: failing costs no time"
    assert report.detail == f"it raised {type(error).__name__}"


def test_what_it_does_to_its_arguments_stays_there() -> None:
    def spoil(candidates: Any, context: Any) -> Any:
        context.request["text"].append("spoiled")
        candidates.clear()
        return []

    choosing(spoil).choose(PATIENT, GIVEN, CONTEXT)
    assert CONTEXT.request == {"text": ["x"]}
    assert len(GIVEN) == 2


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opens at the end, so that no thread of a test lives on."""
    event = threading.Event()
    yield event
    event.set()


def test_one_that_is_late_is_left_and_then_left_out_for_a_while(gate: threading.Event) -> None:
    now = [0.0]
    calls: list[int] = []

    def slow(_: Context) -> Mapping[str, Any]:
        calls.append(1)
        gate.wait(30)
        return {"a": 1}

    plugins = enriching(slow, clock=lambda: now[0])
    quick = Algorithm("it", limit=1)
    results = [plugins.enrich(quick, CONTEXT)[1].result for _ in range(STRIKES + 2)]
    assert results == ["late"] + ["busy"] * (STRIKES + 1), "while it hangs nobody waits for it"
    assert len(calls) == 1
    gate.set()
    _until(lambda: plugins.enrich(quick, CONTEXT)[1].result == "resting")
    assert len(calls) == 1, "it rests also when it has come back"
    now[0] += REST
    _until(lambda: plugins.enrich(PATIENT, CONTEXT)[1].result == "used")


def test_one_that_hangs_holds_up_no_other(gate: threading.Event) -> None:
    plugins = Installed({"it": SimpleNamespace(enrich=lambda _: gate.wait(30)), "other": SimpleNamespace(enrich=lambda _: {"a": 1})})
    assert plugins.enrich(Algorithm("it", limit=1), CONTEXT)[1].result == "late"
    assert plugins.enrich(Algorithm("other", limit=10_000), CONTEXT)[1].result == "used"


def test_what_is_not_there_is_missing_and_counted() -> None:
    count = metrics.ALGORITHMS.labels("other", "choose", "missing")._value.get()
    assert Installed({}).choose(Algorithm("nobody"), GIVEN, CONTEXT)[1].result == "missing"
    assert enriching(lambda _: {}).choose(PATIENT, GIVEN, CONTEXT)[1].result == "missing", "it has another hook only"
    assert metrics.ALGORITHMS.labels("other", "choose", "missing")._value.get() == count + 1


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it never came so")


# as a real distribution, from the page that tells how to write one


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    install(tmp_path, "broken = acme_rules:nowhere")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("acme_rules", None)


@pytest.mark.usefixtures("distribution")
def test_the_worked_example_is_found_and_does_what_the_page_says(caplog: pytest.LogCaptureFixture) -> None:
    plugins = installed()
    assert plugins.names == ["best-channel", "points"], "the broken one is as if it were not there"
    assert "algorithm broken cannot be imported" in caplog.text
    night = Context("acme", "hello", {}, {}, {}, datetime(2026, 11, 22, 23, tzinfo=UTC))
    reachable = [Candidate(1, "sms", "text", "by-sms", True), Candidate(2, "email", "mail", "by-email", True)]
    assert plugins.choose(Algorithm("best-channel", limit=10_000), reachable, night)[0] == [2, 1]
    assert plugins.choose(Algorithm("best-channel", limit=10_000), reachable, CONTEXT)[0] == [1, 2]
    bought = Context("acme", "hello", {"amount": 42.5}, {}, {}, CONTEXT.now)
    assert plugins.enrich(Algorithm("points", limit=10_000), bought)[0] == {"points": 42}
