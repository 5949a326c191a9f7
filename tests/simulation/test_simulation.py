"""Thousands of small worlds, each with its own faults; the same laws hold in all of them.

A seed that fails prints what happened in it. More seeds, or a single one with its trace:
``INM_SIMULATION_SEEDS=20000 pytest tests/simulation`` and ``INM_SIMULATION_SEED=17 pytest -s tests/simulation``.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.laws import broken
from tests.simulation.seeds import FIRST, SEED, SEEDS
from tests.simulation.world import World, simulate

BATCH = 2000
PROCESSES = min(4, os.cpu_count() or 1)
ONCE_FAILED = {
    11: "batches that a lapsed lease held back went out under the next assignment",
    56: "a retry went on twice, by its row and by its record or a second one, and the partition was left clean behind it",
    247: "a delivery that was announced before a standstill was handed over after it; and what was dropped then ended the process",
    500: "records of a new assignment were put into a batch that was held back of the old one, and went with it",
    1304: "the rest of a refused batch went out after a standstill",
}
"""Seeds that have found a defect, and which; found anew when the simulation itself changes, for that changes what a seed means."""


def check(seed: int, folder: Path) -> World:
    """Run a seed; if it breaks a law, run it again with its trace."""
    world, faults = simulate(seed, judge=broken)
    if faults:
        traced, _ = simulate(seed, judge=broken, tracing=True)
        report = folder / f"simulation-{seed}.log"
        report.write_text("\n".join([*traced.lines, *faults]))
        pytest.fail(f"seed {seed}, {world.faults}: {'; '.join(faults[:8])}\nthe whole run is in {report}", pytrace=False)
    return world


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, BATCH))
def test_no_seed_breaks_a_law(first: int, tmp_path: Path) -> None:
    end = min(first + BATCH, FIRST + SEEDS)
    shares = [[sys.executable, "-m", "tests.simulation", str(first + share), str(end), str(PROCESSES)] for share in range(PROCESSES)]
    running = [subprocess.Popen(share, stdout=subprocess.PIPE, text=True) for share in shares]
    try:
        told = [process.communicate()[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0] * PROCESSES
    for seed in sorted(int(line.split()[0]) for line in "".join(told).splitlines()):
        check(seed, tmp_path)


@pytest.mark.parametrize("seed", ONCE_FAILED)
def test_what_failed_once_does_not_again(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)


def test_a_seed_takes_the_same_steps_in_every_process() -> None:
    code = "from tests.simulation.world import World; world = World(7, True).run(); print(*world.lines, sep='\\n')"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": salt}, capture_output=True, check=True, text=True
        ).stdout
        for salt in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert len(runs[0].splitlines()) > 100


@pytest.mark.skipif(SEED is None, reason="for a single seed: INM_SIMULATION_SEED")
def test_one_seed() -> None:
    assert SEED is not None
    world, faults = simulate(SEED, judge=broken, tracing=True)
    sys.stdout.writelines(f"{line}\n" for line in world.lines)
    assert not faults
