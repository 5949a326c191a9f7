"""The catalogue: the shipped documents, and what is said of wrong ones."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from inm.core.decide import Refusal, Send, decide
from inm.core.faults import MisconfiguredError
from inm.core.records import Notification
from inm.core.scenarios import Catalogue, load
from inm.core.users import Invalidate, InvalidUserError, Upsert, User, parse

ROUTES = {"smsc-1": "sms", "smtp-1": "email"}
NOW = 1_795_334_400_000
CONFIG = Path(__file__).parents[2] / "config" / "tenants"

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
    return load({(path.relative_to(CONFIG).parts[0], path.name): path.read_text() for path in CONFIG.glob("*/**/*.yaml")}, ROUTES)


def ask(catalogue: Catalogue, scenario: str, *, user: User | None = None, now: int = NOW, **options: Any) -> Send | Refusal:
    tenant = "volta" if scenario == "charging-finished" else "acme"
    given: dict[str, Any] = {"phone": "+393331234567", "email": "ada@example.org", "fields": FIELDS.get(scenario, {})} | options
    return decide(Notification("3-abc", f"{tenant}/u1", tenant, scenario, NOW, **given), catalogue, user, now)


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
    user = User("acme/u1", NOW + 1, language="ru", phone="+79161234567", fields={"code": "1", "minutes": 9})
    assert sent(catalogue, "otp", user=user).delivery.to == "+393331234567"
    theirs = sent(catalogue, "otp", user=user, phone=None, fields={}).delivery
    assert (theirs.to, theirs.language, theirs.content.text[:2]) == ("+79161234567", "ru", "1 ")
    mixed = sent(catalogue, "otp", user=user, language="en-GB").delivery
    assert (mixed.language, "482913" in mixed.content.text, "9 minutes" in mixed.content.text) == ("en", True, True)
    assert sent(catalogue, "otp", language="fr").delivery.language == "it", "the tenant's language"


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
    assert refused(catalogue, "otp", fields={"code": [1]})[0] == "render-failed"
    assert refused(catalogue, "otp", fields={"code": "1" * 200})[0] == "too-many-parts"
    assert refused(catalogue, "invoice-ready", step=3)[0] == "no-address"
    assert isinstance(decide(Notification("1-a", "x/u", "x", "otp", NOW), catalogue, None, NOW), Refusal)


def test_validity_counts_from_the_later_of_received_and_at(catalogue: Catalogue) -> None:
    assert sent(catalogue, "otp", now=NOW + 300_000).delivery.expires == NOW + 300_000
    assert refused(catalogue, "otp", now=NOW + 300_001)[0] == "expired"
    later = sent(catalogue, "otp", now=NOW + 600_000, at=NOW + 600_000)
    assert (later.deadline, later.delivery.expires) == (NOW + 900_000, NOW + 900_000)
    early = sent(catalogue, "invoice-ready")
    assert early.delivery.expires == early.deadline == NOW + 3_600_000, "no attempt begins after the step's deadline"


TENANT = "{kind: tenant, name: t, title: T, language: en, timezone: UTC, routes: {sms: smsc-1}}"
SCENARIO = "{kind: scenario, name: s, validity: 60, plan: [{channel: sms, template: x, sender: Acme, after: 60}]}"
TEMPLATE = "{kind: template, name: x, version: 1, channel: sms, variants: {en: {text: hello}}}"


def wrong(*texts: str) -> str:
    with pytest.raises(MisconfiguredError) as caught:
        load({("t", f"t/{number}.yaml"): text for number, text in enumerate(texts)}, ROUTES)
    return str(caught.value)


def test_a_small_catalogue_and_the_highest_version() -> None:
    newer = TEMPLATE.replace("version: 1", "version: 3").replace("hello", "new")
    book = load({("t", str(n)): text for n, text in enumerate([TENANT, SCENARIO, newer, TEMPLATE])}, ROUTES).book("t")
    assert book
    assert book.templates["x"].version == 3


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (
            [TENANT, SCENARIO.replace("channel: sms", "channel: fax"), TEMPLATE],
            "t/1.yaml: /plan/0/channel: Invalid enum value 'fax', found 'fax', allowed: email, sms",
        ),
        (
            [TENANT, SCENARIO.replace("validity: 60", "validty: 60"), TEMPLATE],
            "t/1.yaml: /validty: no such key, found 'validty', allowed: name, plan, validity,",
        ),
        (
            [TENANT, SCENARIO, TEMPLATE.replace("name: x", "name: y")],
            "t/1.yaml: /plan/0/template: no template of channel sms, found 'x', allowed: y",
        ),
        (
            [TENANT, SCENARIO.replace("after: 60", "after: 60, route: smtp-1"), TEMPLATE],
            "t/1.yaml: /plan/0/route: no route of channel sms, found 'smtp-1', allowed: smsc-1",
        ),
        (
            [TENANT.replace("smsc-1", "smsc-9"), SCENARIO, TEMPLATE],
            "t/0.yaml: /routes/sms: no route of channel sms, found 'smsc-9', allowed: smsc-1",
        ),
        ([TENANT, SCENARIO, TEMPLATE.replace("hello", "'{{ x() }}'")], "t/2.yaml: /variants/en/text: line 1: Call is not allowed"),
        (
            [TENANT, SCENARIO, TEMPLATE.replace("text: hello", "text: hello, html: x")],
            "t/2.yaml: /variants/en/html: an SMS has no such part",
        ),
        ([TENANT, SCENARIO, TEMPLATE, TEMPLATE], "t/3.yaml: /name: found 'x', which t/2.yaml has already"),
        ([TENANT, SCENARIO.replace("Acme", "A sender too long"), TEMPLATE], "'A sender too long' is no sender of channel sms"),
        ([TENANT.replace("name: t", "name: u"), SCENARIO, TEMPLATE], "found u, allowed: t"),
        ([SCENARIO, TEMPLATE], "found none, allowed: t"),
        (["kind: thing"], "t/0.yaml: /kind: Invalid value 'thing'"),
        (["- 1"], "t/0.yaml: /: Expected `object`"),
        (["a: ["], "t/0.yaml: /: no YAML"),
        ([""], "t/0.yaml: /: Expected `object`"),
    ],
)
def test_a_wrong_document_stops_the_start_with_a_sentence(texts: list[str], sentence: str) -> None:
    assert sentence in wrong(*texts)


def test_all_faults_of_all_documents_are_told_at_once() -> None:
    assert len(wrong("{kind: tenant, name: t}", SCENARIO.replace("validity: 60", "validity: x"), "{kind: template}").splitlines()) > 5


def test_user_records() -> None:
    upsert = parse(b'{"action": "upsert", "key": "acme/u1", "ttl": 60, "language": "it", "fields": {"plan": "gold"}}')
    assert isinstance(upsert, Upsert)
    assert upsert.user(1000) == User("acme/u1", 61_000, language="it", fields={"plan": "gold"})
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
