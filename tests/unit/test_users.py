"""Records of ``inm.users``: what is taken, and what is said of wrong ones."""

import msgspec
import pytest

from inm.core.users import Invalidate, InvalidUserError, Upsert, User, parse


def test_user_records() -> None:
    upsert = parse(b'{"action": "upsert", "key": "acme/u1", "ttl": 60, "language": "it", "fields": {"plan": "gold"}}')
    assert isinstance(upsert, Upsert)
    assert upsert.user(1000) == User("acme/u1", 61_000, language="it", fields={"plan": "gold"}, loaded_at=1000)
    assert parse(b'{"action": "invalidate", "key": "acme/u1"}') == Invalidate("acme/u1")
    assert msgspec.json.decode(msgspec.json.encode(upsert), type=Upsert) == upsert


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (b'{"action": "upsert", "key": "u1"}', "/key"),
        (b'{"action": "upsert", "key": "acme/u1", "ttl": 0}', "/ttl"),
        (b'{"action": "upsert", "key": "acme/u1", "phone": "1"}', "/phone"),
        (b'{"action": "forget", "key": "acme/u1"}', "/action"),
        (b'{"key": "acme/u1"}', ""),
        (b"\xff", ""),
    ],
)
def test_wrong_user_records(value: bytes, pointer: str) -> None:
    with pytest.raises(InvalidUserError) as caught:
        parse(value)
    assert [fault.pointer for fault in caught.value.faults] == [pointer]
