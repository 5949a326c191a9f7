"""What ``inm chaos --stock`` compares with: without faults it does all that INM does, or its losses would prove nothing."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.demo.installation import Installation
from inm.demo.run import Run
from tests.conftest import FreshKafka
from tests.support.tap import Tap


async def test_without_faults_stock_faust_brings_everything_to_its_end(fresh_kafka: FreshKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INM_BROKER", (await asyncio.to_thread(fresh_kafka)).bootstrap)
    async with Installation(program="inm.demo.stock") as installation:
        await installation.start_worker()
        run = Run(installation, uuid4().hex[:8], seed=1)
        await run.start()
        async with Tap(installation.bootstrap) as tap, AIOKafkaProducer(bootstrap_servers=installation.bootstrap) as producer:
            later = {
                "scenario": "otp",
                "request_id": "later",
                "to": {"phone": "+393400000001"},
                "fields": {"code": "493817"},
                "at": (datetime.now(UTC) + timedelta(seconds=2)).isoformat(),
            }
            await producer.send_and_wait(topics.requests("acme"), msgspec.json.encode(later))
            await run.send(100)
            assert await run.wait(60), run.census.missing
            assert (await tap.final("later")).event == "delivered"
        found = run.report()
        await run.stop()
        assert "Crashed" not in installation.log("worker-1").read_text(), "an agent had to be started anew"
        assert (found["accepted"], found["missing"], found["duplicates"], run.dead) == (100, 0, 0, {})
        # the tables are Faust's own
        assert not (installation.data("worker-1") / "tables").exists()
