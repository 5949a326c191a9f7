"""The shipped documents: every text of every scenario, and whom it reaches."""

from pathlib import Path
from typing import Any

import pytest

from inm import settings
from inm.core.catalogue import Catalogue
from inm.core.decide import Decision, Refusal, Send, decide
from inm.core.records import Notification
from inm.core.users import User
from inm.documents import load_catalogue

NOW = 1_795_334_400_000
SETTINGS = settings.load(
    {"INM_CONFIG": str(Path(__file__).parents[2] / "config"), "INM_SMSC_PASSWORD": "secret", "INM_INBOX_SECRET": "secret"}
)

FIELDS: dict[str, dict[str, Any]] = {
    "otp": {"code": "482913"},
    "invoice-ready": {
        "invoice": "2026/11-0042",
        "amount": "1249.90",
        "due": "2026-12-15",
        "link": "https://acme.example/i/42",
        "lines": [{"text": "Giga <Unlimited>", "amount": 1200}, {"text": "Roaming", "amount": 49.9}],
    },
    "roaming-welcome": {"country": "Turkey", "call": 0.35, "sms": 0.12, "data": 3.5, "included": 2048},
    "charging-finished": {"station": "Milano Centrale 3", "energy": 42.37, "cost": 25.42},
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(SETTINGS)


def test_what_the_shipped_texts_need_every_request_must_bring(catalogue: Catalogue) -> None:
    for tenant in catalogue.tenants:
        book = catalogue.book(tenant)
        assert book
        for bound in book.scenarios.values():
            needed = frozenset[str]().union(*(book.templates[step.template].needed for step in bound.steps))
            assert needed == set(bound.document.requires)


def ask(catalogue: Catalogue, scenario: str, *, user: User | None = None, now: int = NOW, **options: Any) -> Decision:
    tenant = "volta" if scenario == "charging-finished" else "acme"
    given: dict[str, Any] = {"phone": "+393331234567", "email": "ada@example.org", "fields": FIELDS.get(scenario, {})} | options
    return decide(Notification("3-abc", f"{tenant}/u1", tenant, scenario, NOW, **given), catalogue.book(tenant), user, now)


def sent(catalogue: Catalogue, scenario: str, **options: Any) -> Send:
    decision = ask(catalogue, scenario, **options)
    assert isinstance(decision, Send), decision
    return decision


def refused(catalogue: Catalogue, scenario: str, **options: Any) -> tuple[str, str]:
    decision = ask(catalogue, scenario, **options)
    assert isinstance(decision, Refusal), decision
    return decision.reason, decision.detail


@pytest.mark.parametrize("language", ["it", "en", "ru"])
@pytest.mark.parametrize("scenario", FIELDS)
def test_every_shipped_text_renders_in_every_step_and_language(catalogue: Catalogue, scenario: str, language: str) -> None:
    tenant = "volta" if scenario == "charging-finished" else "acme"
    found = catalogue.scenario(tenant, scenario)
    assert found
    for step in range(1, len(found.plan) + 1):
        decision = sent(catalogue, scenario, language=language, step=step)
        delivery = decision.delivery
        assert (delivery.step, delivery.language, delivery.lane) == (step, language, found.lane)
        assert "{" not in delivery.content.text
        assert (delivery.encoding is None) == (delivery.channel == "email") == (delivery.content.subject is not None)


def test_the_shipped_texts_take_the_parts_they_are_meant_to(catalogue: Catalogue) -> None:
    def parts(scenario: str, language: str) -> tuple[int, str | None]:
        delivery = sent(catalogue, scenario, language=language, step=2 if scenario == "invoice-ready" else 1).delivery
        return delivery.parts, delivery.encoding

    assert [parts("otp", language) for language in ("en", "it", "ru")] == [(1, "gsm7"), (1, "gsm7"), (1, "ucs2")]
    assert parts("roaming-welcome", "it") == (2, "gsm7")
    assert parts("roaming-welcome", "ru")[0] > 2


def test_the_invoice_escapes_what_the_producer_writes(catalogue: Catalogue) -> None:
    content = sent(catalogue, "invoice-ready", language="it", user=User("acme/u1", NOW, name="Ada\nLovelace")).delivery.content
    assert content.html
    assert "Giga &lt;Unlimited&gt;" in content.html
    assert "Giga <Unlimited>: 1.200,00 €" in content.text
    assert content.subject == "La tua fattura 2026/11-0042 è pronta"
    injected = FIELDS["invoice-ready"] | {"invoice": "1\r\nBcc: x@y.z"}
    assert sent(catalogue, "invoice-ready", fields=injected).delivery.content.subject == "La tua fattura 1 Bcc: x@y.z è pronta"


def test_the_requests_data_win_over_the_users(catalogue: Catalogue) -> None:
    user = User("acme/u1", NOW + 1, language="ru", phone="+79161234567", fields={"plan": "Flat", "code": "1"})
    assert sent(catalogue, "otp", user=user).delivery.to == "+393331234567"
    theirs = sent(catalogue, "otp", user=user, phone=None).delivery
    assert (theirs.to, theirs.language) == ("+79161234567", "ru")
    assert sent(catalogue, "otp", user=user, language="en-GB").delivery.language == "en"
    assert sent(catalogue, "otp", language="fr").delivery.language == "it", "the tenant's language"
    assert refused(catalogue, "otp", user=user, fields={})[0] == "missing-field", "a user's field that is not declared is not read"


def test_steps_that_cannot_be_made_are_skipped_with_a_reason(catalogue: Catalogue) -> None:
    decision = sent(catalogue, "invoice-ready", email=None)
    assert (decision.delivery.step, decision.delivery.channel, decision.delivery.id, decision.steps) == (2, "sms", "3-abc.2.1", 2)
    assert [(skip.step, skip.reason) for skip in decision.skipped] == [(1, "no-address")]


def test_refusals(catalogue: Catalogue) -> None:
    assert refused(catalogue, "nothing") == ("unknown-scenario", "acme/nothing")
    assert refused(catalogue, "otp", phone=None) == ("no-address", "the plan needs phone")
    assert refused(catalogue, "invoice-ready", phone=None, email=None) == ("no-address", "the plan needs email, phone")
    assert refused(catalogue, "otp", fields={})[0] == "missing-field"
    assert "code" in refused(catalogue, "otp", fields={})[1]
    assert refused(catalogue, "otp", fields={"code": [1]})[0] == "missing-field"
    assert refused(catalogue, "otp", fields={"code": "1" * 200})[0] == "too-many-parts"
    assert refused(catalogue, "invoice-ready", step=3)[0] == "no-address"
    assert isinstance(decide(Notification("1-a", "x/u", "x", "otp", NOW), catalogue.book("x"), None, NOW), Refusal)


def test_validity_counts_from_the_later_of_received_and_at(catalogue: Catalogue) -> None:
    assert sent(catalogue, "otp", now=NOW + 300_000).delivery.expires == NOW + 300_000
    assert refused(catalogue, "otp", now=NOW + 300_001)[0] == "expired"
    later = sent(catalogue, "otp", now=NOW + 600_000, at=NOW + 600_000)
    assert (later.deadline, later.delivery.expires) == (NOW + 900_000, NOW + 900_000)
    early = sent(catalogue, "invoice-ready")
    assert early.delivery.expires == early.deadline == NOW + 3_600_000, "no attempt begins after the step's deadline"
