"""Tries seeds: ``python -m tests.simulation FIRST END STEP`` tells those that break a law, one a line, and what of it."""

import sys

from tests.simulation.laws import broken
from tests.simulation.world import simulate


def main(first: int, end: int, step: int = 1) -> None:
    for seed in range(first, end, step):
        _, faults = simulate(seed, judge=broken)
        if faults:
            sys.stdout.write(f"{seed} {'; '.join(faults[:8])}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
