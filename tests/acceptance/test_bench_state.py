"""``inm bench-state`` in small: whatever a worker loses, it has every row again."""

import json
from pathlib import Path

from tests.acceptance.test_demo import inm

USERS, JOURNEYS, PARTITIONS = 20_000, 2_000, 6


async def test_no_row_is_missing_after_a_kill_and_on_an_empty_disk(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    trials = ("--trial", "restart-killed", "--trial", "empty-disk")
    async with inm(
        "bench-state", "--users", str(USERS), "--journeys", str(JOURNEYS), *trials, "--report", str(file), TMPDIR=str(tmp_path)
    ) as process:
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    report = json.loads(file.read_text())
    assert json.loads(out) == report
    probes = {"restart-killed": PARTITIONS, "empty-disk": 2 * PARTITIONS}
    assert {name: found["rows"]["journeys"] for name, found in report["trials"].items()} == {
        name: JOURNEYS + more for name, more in probes.items()
    }
    for found in (report["fill"], *report["trials"].values()):
        assert found["rows"]["users"] == USERS
        assert set(found["missing"].values()) == {0}
    warm, cold = report["trials"].values()
    assert warm["restored"] < JOURNEYS < USERS < cold["restored"]
    assert list(tmp_path.iterdir()) == [file]
