"""The example tenants: everything in them is valid, reached and rendered, in every language and tone."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache

import pytest
from msgspec import structs

from inm.core import sms
from inm.core.decide import Decision, Refusal, Send
from inm.core.records import Delivery
from inm.core.sources import Reader
from inm.core.users import User
from inm.demo import examples
from tests.support.examples import TENANTS, Example, Sample

MOMENTS = (1_795_521_600_000, 1_795_489_200_000)
"""Noon and three o'clock at night, UTC, of 24 November 2026: rules may look at the hour."""
LANGUAGES = ("en", "it", "ru")
TONES = {"telco": "young", "bank": "friendly", "ev": "friendly"}
"""Beside a tenant's own voice, which has no name."""
MEANT = {"suppressed", "opted-out"}
"""Reasons to send nothing that a sample may be there for."""

example = cache(Example)
every = pytest.mark.parametrize("folder", TENANTS)


def decisions(folder: str, sample: Sample, moment: int, **wanted: str | None) -> Iterator[Decision]:
    """All steps of all notifications of a sample; with a language and tone in place of those of its users."""
    found = example(folder)
    for notification, user in found.notifications(sample):
        yield from found.decided(notification, structs.replace(user, **wanted) if user else user, moment)


@cache
def rendered(folder: str) -> list[tuple[Sample, str, Delivery]]:
    """Each message of each sample with the variant that was wanted."""
    return [
        (sample, f"{language}/{tone}" if tone else language, decision.delivery)
        for sample in example(folder).samples
        for language in LANGUAGES
        for tone in (None, TONES[folder])
        for decision in decisions(folder, sample, MOMENTS[0], language=language, tone=tone)
        if isinstance(decision, Send)
    ]


@every
def test_a_tenant_has_twenty_scenarios_and_each_text_three_languages_in_two_tones(folder: str) -> None:
    found = example(folder)
    assert found.checked.warnings == []
    assert len(found.book.scenarios) == 20
    variants = {language + tone for language in LANGUAGES for tone in ("", f"/{TONES[folder]}")}
    assert {name: set(template.keys) for name, template in found.book.templates.items()} == dict.fromkeys(found.book.templates, variants)


@every
def test_no_two_variants_of_a_template_say_the_same(folder: str) -> None:
    for template in example(folder).book.templates.values():
        told = [(variant.subject, variant.text, variant.html) for variant in template.document.variants.values()]
        assert len(set(told)) == len(told), template.name


@every
def test_every_scenario_has_samples_and_the_first_one_reaches_somebody(folder: str) -> None:
    found = example(folder)
    first: dict[str, Sample] = {}
    for sample in found.samples:
        first.setdefault(sample.scenario, sample)
    assert first.keys() == found.book.scenarios.keys()
    for sample in first.values():
        assert any(isinstance(decision, Send) for decision in decisions(folder, sample, MOMENTS[0])), sample.name


@every
def test_what_is_not_sent_is_not_meant_to_be(folder: str) -> None:
    for sample in example(folder).samples:
        for notification, user in example(folder).notifications(sample):
            first, *further = example(folder).decided(notification, user, MOMENTS[0])
            meant = {*MEANT, "no-address"} if notification.only else MEANT
            assert isinstance(first, Send) or (isinstance(first, Refusal) and first.reason in meant), (sample.name, first)
            assert all(isinstance(step, Send) or (isinstance(step, Refusal) and step.reason == "no-address") for step in further), (
                sample.name,
                further,
            )


@every
def test_every_text_is_made_in_the_language_and_tone_that_are_wanted(folder: str) -> None:
    for sample, variant, delivery in rendered(folder):
        made = f"{delivery.language}/{delivery.tone}" if delivery.tone else delivery.language
        assert made == variant, (sample.name, delivery.template)


@every
def test_every_rule_and_every_template_is_reached(folder: str) -> None:
    found = example(folder)
    rules: set[tuple[str, int]] = set()
    templates: set[str] = set()
    for moment in MOMENTS:
        for sample in found.samples:
            for decision in decisions(folder, sample, moment):
                rules |= {(sample.scenario, decision.grounds.rule)} if decision.grounds.rule else set()
                templates |= {decision.delivery.template} if isinstance(decision, Send) else set()
    expected = {(name, number) for name, bound in found.book.scenarios.items() for number, _ in enumerate(bound.document.rules, 1)}
    assert rules == expected
    assert templates == set(found.book.templates)


@every
def test_an_sms_keeps_to_its_parts_and_only_russian_needs_ucs_2(folder: str) -> None:
    messages = [(sample, delivery) for sample, _, delivery in rendered(folder) if delivery.channel == "sms"]
    assert len(messages) > 20 * 6
    for sample, delivery in messages:
        assert delivery.parts <= example(folder).book.scenarios[sample.scenario].document.max_parts
        own = set(sms.foreign(delivery.content.text)) - set(sample.line.decode()) - {letter for user in users(folder) for letter in user}
        assert not own or delivery.language == "ru", (delivery.template, delivery.content.text, own)


def users(folder: str) -> Iterator[str]:
    """What the texts may take of user data."""
    for user in example(folder).users.values():
        yield from (str(value) for value in (user.name, *user.fields.values()))


@every
def test_texts_are_whole(folder: str) -> None:
    for _, _, delivery in rendered(folder):
        for text in filter(None, (delivery.content.subject, delivery.content.text)):
            assert not re.search(r"[{}<>]|  | [,.;:!?](?!\w)|None|\$\d", text), (delivery.template, text)


@every
def test_every_mail_has_a_text_and_html_without_a_style_element(folder: str) -> None:
    mails = [delivery for _, _, delivery in rendered(folder) if delivery.channel == "email"]
    assert any(mail.content.html and "<table>" in mail.content.html for mail in mails)
    for mail in mails:
        assert mail.content.subject
        assert len(mail.content.text) > 40
        assert "<style" not in (mail.content.html or "")


def test_the_demo_sends_the_samples_of_all_tenants_in_turn_and_nobody_the_same_twice() -> None:
    asked = list(examples._requests())
    assert len(asked) > 100
    assert {tenant for tenant, _ in asked[:3]} == set(TENANTS.values())
    whom = [(tenant, str(request["to"]), request["scenario"], str(request["fields"])) for tenant, request in asked]
    assert len(set(whom)) == len(whom)


def test_samples_are_of_their_own_users() -> None:
    numbers = [user.phone for folder in TENANTS for user in example(folder).users.values() if user.phone]
    assert len(set(numbers)) == len(numbers)


def test_a_decision_is_what_an_editor_would_expect() -> None:
    """Some of them by hand, so that the laws above cannot all be true of nonsense."""
    said = {
        (sample.name, variant): delivery.content.text
        for folder in TENANTS
        for sample, variant, delivery in rendered(folder)
        if delivery.channel == "sms"
    }
    assert said["missed-calls-1", "ru"] == "Lumo: 22 пропущенных звонка, последний с номера +393400000999 в 13:10."  # noqa: RUF001
    assert said["card-sent-1", "it/friendly"] == (
        "La tua nuova carta 5521 è in viaggio: al massimo 3 giorni lavorativi. Stesso PIN di prima."
    )
    assert said["reservation-expiring-1", "en"] == "Wattora: your reservation of Trento Sud 3 ends in 1 minute."
    assert said["balance-low-2", "it"] == "Corvia: il Suo conto è scoperto: -41,20 CHF. Fino al rientro maturano interessi."
    assert said["birthday-gift-2", "en/young"].endswith("10 GB for 7 days!")


def test_the_banks_source_finds_its_users_in_a_database() -> None:
    found = example("bank")
    assert found.book.source
    known = {key.partition("/")[2]: user for key, user in found.users.items() if not user.members}
    columns = "id, language, tone, full_name, mobile, mail, segment, home, alert_from, paperless, marketing, adviser"
    query = str(found.book.source.users.query).replace(":keys", f"({','.join('?' * len(known))})")
    with closing(sqlite3.connect(":memory:")) as database:
        database.row_factory = sqlite3.Row
        database.execute(f"CREATE TABLE customers ({columns})")
        for name, user in known.items():
            own = (user.fields.get(column) for column in ("segment", "home", "alert_from", "paperless", "marketing", "adviser"))
            row = (name, user.language, user.tone, user.name, user.phone, user.email, *own)
            database.execute(f"INSERT INTO customers VALUES ({','.join('?' * len(row))})", row)
        rows = {row["id"]: dict(row) for row in database.execute(query, [*known])}
    reader = Reader(found.book.source, found.book.user)
    for name, user in known.items():
        answer = reader.read(f"corvia/{name}", [rows[name]], 0)
        assert not answer.faults
        wanted = structs.replace(user, fields=answer.user.fields, emails=[])
        assert structs.replace(answer.user, expires_at=wanted.expires_at, stale_until=0) == wanted
        assert found.book.user.convert(user.fields)[0] == found.book.user.convert(answer.user.fields)[0]


def test_who_has_opted_out_or_not_agreed_gets_no_offers() -> None:
    found = example("telco")
    refused = {
        (sample.name, decision.reason)
        for sample in found.samples
        if sample.scenario == "tariff-offer"
        for decision in decisions("telco", sample, MOMENTS[0])
        if isinstance(decision, Refusal)
    }
    assert refused == {("tariff-offer-3", "suppressed"), ("tariff-offer-6", "opted-out")}


@pytest.mark.parametrize(("language", "expected"), [("it-CH", "it"), ("rm", "it"), ("be", "ru"), ("ja", "it")])
def test_other_languages_fall_back_as_declared(language: str, expected: str) -> None:
    found = example("telco")
    sample = next(sample for sample in found.samples if sample.scenario == "top-up")
    [(notification, user)] = found.notifications(sample)
    assert user
    [decision] = found.decided(notification, stranger(user, language), MOMENTS[0])
    assert isinstance(decision, Send)
    assert (decision.delivery.language, decision.delivery.tone) == (expected, "young")


def stranger(user: User, language: str) -> User:
    """A user who speaks another language, and has a tone for which another one is declared to stand in."""
    return structs.replace(user, language=language, tone="teen")
