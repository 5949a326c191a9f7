"""Plans as they are decided: what begins together, what is left out, what waits for its window."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from inm import settings
from inm.core.aftermath import CLOSED, again, outcome
from inm.core.catalogue import check
from inm.core.decide import Decision, Hold, Refusal, Send, decide
from inm.core.documents import parse
from inm.core.records import Notification
from inm.core.reference import Held
from inm.core.retry import Retries
from inm.core.users import User
from inm.documents import read_seed
from tests.support.books import TENANT, book, email, plan, scenario, sms, step, window

PHONE, EMAIL = "+393331234567", "ada@example.org"


def at(text: str, zone: str = "Europe/Rome") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


NIGHT, NOON = at("2026-11-23T03:00"), at("2026-11-23T12:00")
OPENS = at("2026-11-23T08:00")


def ask(*documents: dict[str, Any], now: int = NOON, user: User | None = None, **given: Any) -> Decision:
    options = {name: given.pop(name) for name in ("plan", "last") if name in given}
    notification: dict[str, Any] = {"phone": PHONE, "email": EMAIL, "fields": {"text": "x"}, "received": now} | given
    asked = Notification(id="3-abc", key="acme/u1", tenant="acme", scenario="hello", **notification)
    return decide(asked, book(sms(), email(), *documents), user, now, **options)


def sent(*documents: dict[str, Any], **given: Any) -> Send:
    decision = ask(*documents, **given)
    assert isinstance(decision, Send), decision
    return decision


def held(*documents: dict[str, Any], **given: Any) -> Hold:
    decision = ask(*documents, **given)
    assert isinstance(decision, Hold), decision
    return decision


def steps(send: Send) -> list[int]:
    return [each.delivery.step for each in (send, *send.beside)]


def test_a_plan_may_be_a_document_of_its_own() -> None:
    named = plan("gently", step("email", after=5), step())
    assert sent(named, scenario(plan="gently")).delivery.channel == "email"
    assert sent(named, scenario(rules=[{"plan": "gently"}])).delivery.channel == "email"


def test_parallel_steps_begin_together() -> None:
    both = scenario(plan=[step(), step("email", parallel=True, after=90), step()])
    decision = sent(both)
    assert (steps(decision), decision.last, decision.steps) == ([1, 2], 2, 3)
    assert [each.deadline - NOON for each in (decision, *decision.beside)] == [60_000, 90_000]
    alone = sent(both, phone=None)
    assert (steps(alone), alone.last, [skip.reason for skip in alone.skipped]) == ([2], 2, ["no-address"])
    assert steps(sent(both, step=3)) == [3]


def test_a_preferred_channel_takes_what_is_parallel_to_it_along() -> None:
    preferring = scenario(plan=[step(), step("email"), step(parallel=True)], preference="user")
    decision = sent(preferring, user=User("acme/u1", NOON + 1, channel="email"))
    assert [each.delivery.channel for each in (decision, *decision.beside)] == ["email", "sms"]


# unless


@pytest.mark.parametrize(
    ("last", "unless", "taken"),
    [
        (("failed", "invalid-address"), "last.reason == 'invalid-address'", 3),
        (("failed", "undelivered"), "last.reason == 'invalid-address'", 2),
        (("unknown", "no-receipt"), "last.state == 'unknown'", 3),
        (("failed", "x"), "user.language == 'it'", 3),
        (("failed", "x"), "user.tone == 'young'", 2),
    ],
)
def test_a_step_is_left_out_if_its_condition_holds(last: tuple[str, str], unless: str, taken: int) -> None:
    document = scenario(plan=[step(), step("email", unless=unless), step("email")])
    decision = sent(document, step=2, last=last, user=User("acme/u1", NOON + 1, language="it"))
    assert decision.delivery.step == taken
    assert [skip.reason for skip in decision.skipped] == ["not-needed"] * (taken == 3)


def test_a_step_that_was_left_out_is_what_the_next_one_sees() -> None:
    document = scenario(plan=[step(), step("email", unless="last.state == 'skipped' && last.reason == 'no-address'")])
    refused = ask(document, phone=None)
    assert isinstance(refused, Refusal)
    assert [(skip.step, skip.reason) for skip in refused.skipped] == [(1, "no-address"), (2, "not-needed")]
    assert refused.reason == "no-address"
    assert sent(document, email=None).delivery.step == 1


# windows


DAY = window("day")


def test_outside_of_its_window_it_is_held_until_that_opens() -> None:
    decision = held(DAY, scenario(window="day", validity=86_400), now=NIGHT)
    assert OPENS <= decision.until <= OPENS + 300_000
    assert (decision.step, decision.detail) == (1, "window day (Europe/Rome) is shut")
    assert steps(sent(DAY, scenario(window="day"), now=decision.until, held=decision.until)) == [1]


def test_a_delivery_knows_when_its_windows_close_and_open_again() -> None:
    delivery = sent(DAY, scenario(window="day")).delivery
    assert delivery.closes == at("2026-11-23T20:00")
    assert delivery.reopens
    assert at("2026-11-24T08:00") <= delivery.reopens <= at("2026-11-24T08:05")
    assert sent(scenario()).delivery.closes is None


def test_what_cannot_be_sent_within_its_validity_is_not_held() -> None:
    refused = ask(DAY, scenario(window="day", validity=3600), now=NIGHT)
    assert isinstance(refused, Refusal)
    assert refused.reason == "window-closed"
    late = ask(DAY, scenario(window="day", validity=3600), received=NIGHT - 7_200_000, now=NIGHT, held=NIGHT)
    assert isinstance(late, Refusal)
    assert late.reason == "window-closed", "a held message has its own end"


def test_a_step_that_can_never_be_made_is_not_waited_for() -> None:
    documents = [DAY, scenario(window="day", validity=86_400, plan=[step(), step("email")])]
    assert held(*documents, now=NIGHT).step == 1
    assert held(*documents, now=NIGHT, phone=None).step == 2
    assert isinstance(ask(*documents, now=NIGHT, phone=None, email=None), Refusal)


def test_a_channel_has_a_window_of_its_own() -> None:
    tenant = TENANT | {"name": "acme", "windows": {"sms": "day"}}
    first_sms = scenario(validity=86_400, plan=[step(), step("email")])
    assert held(tenant, DAY, first_sms, now=NIGHT).step == 1
    assert sent(tenant, DAY, scenario(validity=3600, plan=[step(), step("email")]), now=NIGHT).delivery.step == 2
    both = sent(tenant, DAY, scenario(validity=86_400, plan=[step(), step("email", parallel=True)]), now=NIGHT)
    assert steps(both) == [2, 1], "the mail goes now; the SMS is made, and sent when its window opens"
    parked = both.beside[0]
    assert parked.delivery.closes == NIGHT
    assert parked.delivery.reopens
    assert OPENS <= parked.delivery.reopens <= OPENS + 300_000
    assert parked.deadline == parked.delivery.expires == parked.delivery.reopens + 60_000


def test_urgent_is_exempt_only_if_the_scenario_says_so() -> None:
    assert held(DAY, scenario(window="day", validity=86_400, lane="urgent"), now=NIGHT).step == 1
    exempt = scenario(window="day", validity=86_400, urgent_anytime=True)
    assert held(DAY, exempt, now=NIGHT).step == 1
    assert steps(sent(DAY, exempt, now=NIGHT, lane="urgent")) == [1]


def test_a_test_does_not_wait() -> None:
    assert steps(sent(DAY, scenario(window="day", validity=86_400), now=NIGHT, test=True)) == [1]


@pytest.mark.parametrize(
    ("lives", "phone", "opens"),
    [
        (None, PHONE, "2026-11-23T08:00+01:00"),
        (None, "+442079460000", "2026-11-23T08:00+00:00"),
        ("Asia/Tokyo", PHONE, "2026-11-24T08:00+09:00"),
        ("Mars/Olympus", PHONE, "2026-11-23T08:00+01:00"),
        (None, None, "2026-11-23T08:00+01:00"),
    ],
)
def test_the_recipients_zone_is_that_of_his_data_or_of_his_number(lives: str | None, phone: str | None, opens: str) -> None:
    document = window("day", zone="recipient", spread=0)
    user = User("acme/u1", NIGHT + 1, fields={"timezone": lives} if lives else {})
    now = at("2026-11-23T03:00") if lives != "Asia/Tokyo" else at("2026-11-23T13:00")
    decision = held(document, scenario(window="day", validity=86_400, plan=[step("email")]), now=now, user=user, phone=phone)
    assert decision.until == int(datetime.fromisoformat(opens).timestamp() * 1000)


# the page


def test_the_examples_of_the_page_fit_the_shipped_documents() -> None:
    root = Path(__file__).parents[2]
    shipped = settings.load({"INM_CONFIG": str(root / "config"), "INM_SMSC_PASSWORD": "secret", "INM_INBOX_SECRET": "secret"})
    examples = re.findall(r"^```yaml\n(.*?)^```$", (root / "docs/plans.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    documents = {parsed.path: parsed.document for parsed in read_seed(shipped) if parsed.path.startswith("acme/")}
    for example in examples:
        found, wrong = parse(example, "plans.md")
        assert not wrong
        documents |= {parsed.path: parsed.document for parsed in found}
    rows = {
        path + ("/1" if "/template/" in path else ""): Held(path, 1, document, "ada", 0, "approved" if "/template/" in path else None)
        for path, document in documents.items()
    }
    found_out = check("acme", rows, {name: route.channel for name, route in shipped.routes.items()})
    assert (found_out.faults, found_out.warnings) == ([], [])
    assert len(examples) == 6
    assert found_out.book
    assert found_out.book.scenarios["offer"].steps[0].channel == "rest"


# after a window has closed


def test_what_its_window_closed_on_is_put_off_to_the_next_opening_and_then_goes_whatever_the_time() -> None:
    delivery = sent(DAY, scenario(window="day", validity=86_400, plan=[step(after=80_000)])).delivery
    assert delivery.reopens
    became = outcome(delivery, CLOSED, False, delivery.closes or 0, delivery.closes or 0, Retries())
    assert became.retry_at == delivery.reopens
    later = again(delivery, became)
    assert later
    assert (later.id, later.attempt, later.offer, later.closes) == (delivery.id, 1, 1, None)
    brief = sent(DAY, scenario(window="day", validity=86_400)).delivery
    ended = outcome(brief, CLOSED, False, NOON, NOON, Retries())
    assert ended.retry_at is None, "its time ends before the window opens"
    assert again(brief, ended) is None


def test_of_steps_at_once_the_first_window_that_opens_is_waited_for() -> None:
    tenant = TENANT | {"name": "acme", "windows": {"sms": "late", "email": "day"}}
    documents = [tenant, DAY, window("late", start="10:00"), scenario(validity=86_400, plan=[step(), step("email", parallel=True)])]
    decision = held(*documents, now=NIGHT)
    assert OPENS <= decision.until <= OPENS + 300_000
    assert decision.step == 2
