"""Magic recipients: each address ends as it says, and the route that answers for them sends nothing anywhere."""

import asyncio
from typing import Any, get_args

import pytest
from msgspec import convert

from inm.channels import magic as route
from inm.channels import routes
from inm.channels.magic import MagicEmail, MagicRest, MagicSms
from inm.core import magic
from inm.core.faults import MisconfiguredError
from inm.core.records import Content, Delivery, Email, Phone, Receipt
from inm.core.results import Result
from inm.settings.routes import RouteSettings

FATES = [(channel, address, fate) for channel, known in magic.ADDRESSES.items() for address, fate in known.items()]


def delivery(channel: str, to: str, *, attempt: int = 1, parts: int = 1, expires: int = 0) -> Delivery:
    return Delivery(
        id=f"3-abc.1.{attempt}", notification="3-abc", key="acme/u1", tenant="acme", scenario="otp", channel=channel, lane="normal",
        route=magic.route(channel), to=to, sender="Acme", content=Content("hello"), template="t", version=1, language="it", step=1,
        attempt=attempt, decided=0, expires=expires, parts=parts,
    )  # fmt: skip


def test_every_fate_has_an_address_in_every_channel_that_a_request_takes() -> None:
    assert set(magic.FATES) == set(get_args(magic.Fate))
    for channel, kind in (("sms", Phone), ("email", Email)):
        assert set(magic.ADDRESSES[channel].values()) == set(get_args(magic.Fate))
        assert all(convert(address, kind) for address in magic.ADDRESSES[channel])
    assert magic.ADDRESSES["rest"] == magic.ADDRESSES["sms"] | magic.ADDRESSES["email"]
    assert magic.fate("email", "Never@INM.test") == "never"
    assert magic.fate("sms", "never@inm.test") is None
    assert not magic.is_magic("+393331234567")


@pytest.mark.parametrize(("channel", "address", "fate"), FATES)
async def test_each_ends_as_it_says(channel: str, address: str, fate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "DELAY", 0)
    monkeypatch.setattr(route, "LATE", 0)
    reported: asyncio.Queue[Receipt] = asyncio.Queue()

    async def take(receipts: Any) -> None:
        for receipt in receipts:
            reported.put_nowait(receipt)

    channels = {"sms": MagicSms, "email": MagicEmail, "rest": MagicRest}
    one = channels[channel]()
    await one.open(take)
    first, second = [(await one.send([delivery(channel, address, attempt=attempt, parts=2)]))[0] for attempt in (1, 2)]
    assert (first.result, second.result) == {
        "permanent": (Result.PERMANENT, Result.PERMANENT),
        "temporary": (Result.TEMPORARY, Result.SENT),
    }.get(fate, (Result.SENT, Result.SENT))
    ids = [*first.provider_ids, *second.provider_ids]
    assert len(set(ids)) == len(ids)
    arrived = [await asyncio.wait_for(reported.get(), 5) for _ in ids] if fate != "never" else []
    assert sorted(receipt.provider_id for receipt in arrived) == sorted(ids if fate != "never" else [])
    assert {receipt.state for receipt in arrived} <= {"delivered"}
    await one.close()


async def test_a_late_receipt_comes_after_the_time_of_the_delivery_and_close_does_not_wait_for_it() -> None:
    taken: list[Receipt] = []

    async def take(receipts: Any) -> None:
        taken.extend(receipts)

    one = MagicSms()
    await one.open(take)
    late = next(address for address, fate in magic.ADDRESSES["sms"].items() if fate == "late")
    await one.send([delivery("sms", late, expires=2**43)])
    await asyncio.sleep(0)
    await asyncio.wait_for(one.close(), 5)
    assert taken == []


async def test_to_any_other_address_nothing_goes() -> None:
    (answer,) = await MagicSms().send([delivery("sms", "+393331234567")])
    assert answer.result is Result.INVALID_ADDRESS


def test_the_routes_are_there_and_their_names_are_taken() -> None:
    assert {one.name for one in routes.build([]).values()} == {"sms", "email", "rest"}
    assert set(routes.build([])) == {"magic-sms", "magic-email", "magic-rest"}
    with pytest.raises(MisconfiguredError, match="built-in"):
        routes.build([RouteSettings("magic-sms", "sms", {"hosts": ["localhost:1"], "system_id": "a", "password": "b"})])
