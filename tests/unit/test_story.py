"""The story of a notification, as data and as a time-line."""

from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from inm.core.decide import Hold, Refusal, Send, Skip
from inm.core.grounds import Grounds
from inm.core.journey import advance, begin, postpone, resume
from inm.core.ledger import Journey
from inm.core.records import Content, Delivery, Notification, Outcome, Receipt
from inm.core.results import Answer, Result
from inm.core.story import Story, masked, tell, text

ID = "3-abc"
NOW = 1_795_334_400_123
PHONE, EMAIL = "+393331234567", "Anna@Example.com"
NOTIFICATION = Notification(ID, "acme/u1", "acme", "otp", NOW, user="u1", request_id="r-9")


def send(step: int = 1) -> Send:
    channel, to = ("sms", PHONE) if step == 1 else ("email", EMAIL)
    shared: dict[str, Any] = {"key": "acme/u1", "tenant": "acme", "scenario": "otp", "lane": "urgent", "route": f"{channel}-1"}
    delivery = Delivery(
        id=f"{ID}.{step}.1",
        notification=ID,
        channel=channel,
        to=to,
        sender="Acme",
        content=Content("hello"),
        template=f"otp-{channel}",
        version=4,
        language="it",
        step=step,
        attempt=1,
        decided=NOW + 20,
        expires=NOW + 300_000,
        parts=2 if step == 1 else 1,
        encoding="gsm7" if step == 1 else None,
        **shared,
    )
    skipped = [Skip(2, "viber", "no-address", "no viber")] if step == 3 else []
    return Send(delivery, NOW + 60_000, "delivered", 3, skipped, Grounds(step, 4, "fresh", skipped=skipped))


def outcome(kind: Any, mark: str, *, attempt: int = 1, at: int = 40, **more: Any) -> Outcome:
    delivery = f"{ID}.1.{attempt}"
    return Outcome(
        f"{delivery}.{mark}", kind, ID, delivery, "acme/u1", NOW + at, 1, attempt=attempt, route="sms-1", started=NOW + at - 10, **more
    )


def receipt(mark: str, state: Any, part: int, words: str) -> Outcome:
    said = Receipt("sms-1", f"p{part}", state, NOW + 2500, code="069", text=words)
    return outcome("receipt", mark, attempt=2, at=2500, part=part, receipt=said)


def life() -> Journey:
    """A retry, a receipt of one part of two, a failure of the other that names the number, a step skipped, an e-mail."""
    journey, _ = begin(NOTIFICATION, send(), NOW + 20)
    for number, event in enumerate(
        [
            outcome("answer", "a", answer=Answer(Result.TEMPORARY, reason="provider-temporary", code="0x58"), retry_at=NOW + 1000),
            outcome("answer", "a", attempt=2, at=1040, answer=Answer(Result.SENT, ["p1", "p2"])),
            receipt("r1", "delivered", 1, "ok"),
            receipt("r2", "failed", 2, "no route to 393331234567"),
        ]
    ):
        journey, _ = advance(journey, event, NOW + 50 + 1000 * number)
    step3 = msgspec.structs.replace(NOTIFICATION, step=3)
    return resume(journey, step3, send(3), NOW + 4000)[0]


def test_the_story_has_each_step_attempt_and_event() -> None:
    story = tell(life())
    assert (story["state"], story.get("final"), story["plan"]) == ("step", None, 3)
    assert [(step["step"], step["channel"], len(step["attempts"])) for step in story["steps"]] == [(1, "sms", 2), (3, "email", 1)]
    first, second = story["steps"][0]["attempts"]
    assert (first["route"], first["state"], "submitted" in first) == ("sms-1", "retried", False)
    assert (second["state"], second["provider_ids"], second["parts_delivered"]) == ("failed", ["p1", "p2"], 1)
    assert second["submitted"] == "2026-11-22T08:00:01.163000Z"
    told = [(event["event"], event.get("step"), event.get("attempt"), event.get("detail")) for event in story["events"]]
    assert told == [
        ("accepted", 1, 1, None),
        ("retried", 1, 1, "provider-temporary 0x58"),
        ("submitted", 1, 2, None),
        ("part", 1, 2, "part 1 delivered"),
        ("failed", 1, 2, "undelivered 069 no route to 393331234567"),
        ("step", 3, 1, None),
    ]


def test_a_story_without_any_step() -> None:
    journey, _ = begin(NOTIFICATION, Refusal("no-address", "no phone", []), NOW)
    story = tell(journey)
    assert (story["state"], story["final"], story["plan"], story["steps"]) == ("failed", True, 0, [])
    assert story["events"][-1] == {"at": "2026-11-22T08:00:00.123000Z", "event": "failed", "final": True, "detail": "no-address no phone"}
    assert text(story).startswith("3-abc: failed, final\nacme/otp for u1, request r-9, lane normal\nreceived 2026-11-22 08:00:00.123Z")


def test_a_story_that_waits() -> None:
    journey, _ = postpone(msgspec.structs.replace(NOTIFICATION, at=NOW + 3_600_000), NOW)
    assert tell(journey)["at"] == "2026-11-22T09:00:00.123000Z"
    assert "3-abc: scheduled, waits for 2026-11-22 09:00:00.123Z" in text(tell(journey))


def test_the_time_line() -> None:
    lines = text(tell(life()), unmask=True).splitlines()
    assert f"step 1 of 3: sms to {PHONE} from Acme" in lines
    assert "  template otp-sms version 4, it gsm7, 2 parts" in lines
    assert "  attempt 2 by sms-1: failed, started +1.030s, submitted +1.040s, 1 of 2 parts delivered, provider ids p1 p2" in lines
    assert "2026-11-22 08:00:00.173Z     +0.050s  retried   step 1 attempt 1 provider-temporary 0x58" in lines
    assert f"step 3 of 3: email to {EMAIL} from Acme" in lines
    assert "why, from step 3 on: by revision 4 of the scenario" in lines
    assert "  not step 2 (viber): no-address, no viber" in lines


def test_addresses_are_masked_unless_asked_for_also_in_the_providers_words() -> None:
    story = tell(life())
    story["events"][-1]["detail"] = "550 <anna@example.com> is unknown"
    shown = text(story)
    assert not any(secret in shown.lower() for secret in (PHONE[1:], "anna"))
    assert "sms to +39…67 from" in shown
    assert "no route to 393…67" in shown
    assert "550 <a…@example.com> is unknown" in shown
    assert PHONE in text(story, unmask=True)


@pytest.mark.parametrize(
    ("address", "shown"), [("+393331234567", "+39…67"), ("+1234567", "+12…67"), ("a@b", "a…@b"), ("12345", "…"), ("", "…")]
)
def test_masks(address: str, shown: str) -> None:
    assert masked(address) == shown


@given(st.integers(min_value=0, max_value=4_102_444_800_000))
def test_times_are_exact_to_the_millisecond(at: int) -> None:
    journey, _ = begin(msgspec.structs.replace(NOTIFICATION, received=at), Refusal("expired", "", []), at)
    told = datetime.fromisoformat(tell(journey)["received"])
    assert told.utcoffset() is not None
    assert round(told.timestamp() * 1000) == at
    assert f".{at % 1000:03}Z" in text(tell(journey)).splitlines()[2]


@pytest.mark.parametrize("journey", [life(), begin(NOTIFICATION, Refusal("no-address", "", []), NOW)[0], postpone(NOTIFICATION, NOW)[0]])
def test_stories_are_as_their_schema_says(journey: Journey) -> None:
    Draft202012Validator(msgspec.json.schema(Story)).validate(tell(journey))
    text(tell(journey))


def test_what_waits_for_its_window_says_until_when_and_why() -> None:
    journey, _ = begin(NOTIFICATION, Hold(NOW + 60_000, "window day (Europe/Rome) is shut", 1, []), NOW)
    told = text(tell(journey))
    assert told.startswith("3-abc: held, waits for 2026-11-22 08:01:00.123Z")
    assert "window-closed window day (Europe/Rome) is shut" in told
    begun, _ = begin(NOTIFICATION, send(), NOW + 60_000, known=journey)
    assert "waits" not in text(tell(begun))
