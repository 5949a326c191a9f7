"""One broker for the whole run, and brokers of their own for tests that break them."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest

from inm.demo.kafka import Kafka, broker, fetch

# A law holds or not; how long an example takes is the machine's business.
hypothesis.settings.register_profile("inm", deadline=None)
hypothesis.settings.load_profile("inm")

FreshKafka = Callable[[], Kafka]


def pytest_addoption(parser: pytest.Parser) -> None:
    """What makes a test longer than every day's."""
    parser.addoption("--users", type=int, default=2_000, help="users of a customer's database in tests/acceptance/test_users.py")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch Kafka before the clock of the first test runs: on a slow line that may take minutes."""
    needed = {"kafka", "fresh_kafka"}
    if any(needed.intersection(getattr(item, "fixturenames", ())) for item in session.items) and not session.config.option.collectonly:
        fetch()


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """``host:port`` of the broker that all tests share (``$INM_BROKER`` if set): use topics and groups of your own."""
    with broker() as bootstrap:
        yield bootstrap


@pytest.fixture
def fresh_kafka(tmp_path: Path) -> Iterator[FreshKafka]:
    """Starts brokers with nothing on them, to fill with ``inm.*`` or to break; embedded ones also under ``$INM_BROKER``."""
    with ExitStack() as running:

        def start() -> Kafka:
            return running.enter_context(Kafka(tmp_path / f"kafka-{os.urandom(4).hex()}"))

        yield start
