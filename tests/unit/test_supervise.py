"""How long a supervisor waits."""

from inm.cli.supervise import LONGEST, SHORTEST, STEADY, pause_after


def test_a_worker_that_lived_is_started_soon() -> None:
    assert pause_after(STEADY, LONGEST) == SHORTEST


def test_one_that_dies_at_once_again_and_again_is_given_time() -> None:
    pauses = [0.0]
    for _ in range(8):
        pauses.append(pause_after(0.1, pauses[-1]))
    assert pauses[1:] == [1, 2, 4, 8, 16, 30, 30, 30]
