"""One installation for all tests here; each brings its own requests and numbers, and leaves providers and workers as it found them."""

import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import fields
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from inm.demo.inbox import Behaviour as InboxBehaviour
from inm.demo.installation import Installation
from inm.demo.smsc import Behaviour
from inm.demo.smtp import Behaviour as MailBehaviour
from tests.support.lab import Lab
from tests.support.load import Books
from tests.support.tap import Tap

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All on the loop on which the simulators of the installation live."""
    for item in items:
        if item.path.parent.name == "acceptance":
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def everything(kafka: str) -> AsyncIterator[Installation]:
    """An installation on the broker that all tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INM_BROKER", kafka)
        async with Lab() as installation:
            yield installation


@pytest_asyncio.fixture(loop_scope="session")
async def installation(everything: Installation) -> AsyncIterator[Installation]:
    """With ``worker-1`` alone, and providers that take everything."""
    if "worker-1" not in everything.workers:
        await everything.start_worker("worker-1")
    _behave(everything)
    yield everything
    _behave(everything)
    for name in [name for name in everything.workers if name != "worker-1"]:
        await everything.stop_worker(name)


def _behave(installation: Installation) -> None:
    installation.smsc.behaviour = Behaviour()
    installation.inbox.behaviour = InboxBehaviour()
    usual = MailBehaviour()
    for field in fields(MailBehaviour):
        setattr(installation.smtp.behaviour, field.name, getattr(usual, field.name))


@pytest_asyncio.fixture(loop_scope="session")
async def tap(installation: Installation) -> AsyncIterator[Tap]:
    """What INM says during this test."""
    async with Tap(installation.bootstrap) as tap:
        yield tap


@pytest_asyncio.fixture(loop_scope="session")
async def books(installation: Installation) -> AsyncIterator[Books]:
    """What the SMSC takes during this test."""
    with Books(installation.smsc) as books:
        yield books


@pytest_asyncio.fixture(loop_scope="session")
async def producer(installation: Installation) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=installation.bootstrap, enable_idempotence=True, max_request_size=4 << 20) as producer:
        yield producer


@pytest.fixture
def phone() -> str:
    """A number that no other test uses."""
    return f"+39340{next(_numbers):07}"


@pytest.fixture
def phones() -> Callable[[], str]:
    """Numbers that no other test uses."""
    return lambda: f"+39340{next(_numbers):07}"


@pytest.fixture
def run() -> str:
    """What the request ids of this test begin with."""
    return uuid4().hex[:8]
