"""What a worker knows by heart of what it has submitted."""

import pytest

from inm.core.aftermath import reported
from inm.core.records import Receipt, ReceiptState, Submission
from inm.tables import submitted


def submission(number: int) -> tuple[bytes, Submission]:
    name = f"3-{number:026}.1.2"
    return f"smsc/{number}".encode(), Submission("smsc", str(number), name, "acme/7", 1000, part=1, parts=2)


def receipt(number: int, state: ReceiptState) -> Receipt:
    return Receipt("smsc", str(number), state, 2000)


@pytest.mark.parametrize(
    ("state", "is_last"), [("pending", False), ("unknown", False), ("delivered", True), ("failed", True), ("expired", True)]
)
def test_a_receipt_finds_what_was_submitted_until_the_last_one_has_come(state: ReceiptState, is_last: bool) -> None:
    key, known = submission(1)
    submitted.remember(key, known)
    assert submitted.match(key, receipt(1, state)) is known
    assert (submitted.match(key, receipt(1, state)) is None) is is_last
    assert submitted.match(b"smsc/2", receipt(2, state)) is None


def test_the_oldest_makes_room() -> None:
    for number in range(submitted.MOST + 1):
        submitted.remember(*submission(number))
    assert submitted.match(b"smsc/0", receipt(0, "delivered")) is None
    assert submitted.match(b"smsc/1", receipt(1, "delivered")) is not None


def test_a_receipt_says_of_its_delivery_the_same_each_time() -> None:
    _, known = submission(1)
    outcome = reported(receipt(1, "delivered"), known)
    assert outcome == reported(receipt(1, "delivered"), known)
    assert outcome.id == f"{known.delivery}/receipt/1/delivered"
    assert (outcome.notification, outcome.step, outcome.attempt) == (f"3-{1:026}", 1, 2)
    assert (outcome.part, outcome.parts, outcome.at, outcome.key) == (1, 2, 2000, "acme/7")
