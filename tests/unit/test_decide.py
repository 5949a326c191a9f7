"""The decision: which step is made, by which rule, in which language, and why not the others."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inm.core import magic
from inm.core.algorithms import Candidate, Context
from inm.core.decide import Decision, Refusal, Send, decide
from inm.core.grounds import Report
from inm.core.journey import begin, resume
from inm.core.records import Notification
from inm.core.scenarios import Algorithm
from inm.core.users import User
from tests.support.books import book, email, fields, scenario, sms, step

NOW = 1_795_334_400_000
PHONE, EMAIL = "+393331234567", "ada@example.org"
BOTH = [step(), step("email")]


def asked(**given: Any) -> Notification:
    known: dict[str, Any] = {"id": "3-abc", "key": "acme/u1", "tenant": "acme", "scenario": "hello", "received": NOW}
    return Notification(**known | given)


def known(**given: Any) -> User:
    return User("acme/u1", NOW + 1, **given)


def ask(documents: Sequence[dict[str, Any]], user: User | None = None, algorithms: Any = None, **given: Any) -> Decision:
    given = {"phone": PHONE, "email": EMAIL, "fields": {"text": "x"}} | given
    options = {"algorithms": algorithms} if algorithms else {}
    return decide(asked(**given), book(sms(), email(), *documents), user, NOW, **options)


def sent(documents: Sequence[dict[str, Any]], user: User | None = None, **given: Any) -> Send:
    decision = ask(documents, user, **given)
    assert isinstance(decision, Send), decision
    return decision


def refused(documents: Sequence[dict[str, Any]], user: User | None = None, **given: Any) -> Refusal:
    decision = ask(documents, user, **given)
    assert isinstance(decision, Refusal), decision
    return decision


# rules


DECLARED = (fields(text="string", amount="decimal"), fields("user", segment="string"))


def test_the_first_rule_that_holds_replaces_what_it_names() -> None:
    rules = [
        {"when": "request.amount > 1000.0", "send": False},
        {"name": "vip", "when": "user.segment == 'vip'", "lane": "urgent", "template": "other", "sender": "special"},
        {"when": "user.segment != ''", "lane": "bulk"},
    ]
    special = {"kind": "sender", "name": "special", "channel": "sms", "address": "Special"}
    documents = [scenario(plan=BOTH, rules=rules), *DECLARED, sms("other", en="other"), special]
    decision = sent(documents, known(fields={"segment": "vip"}), fields={"text": "x", "amount": "12.50"})
    delivery = decision.delivery
    assert (delivery.lane, delivery.template, delivery.sender, delivery.content.text) == ("urgent", "other", "Special", "other")
    assert [one.template for one in decision.plan] == ["other", "mail"], "only the steps of its channel"
    assert (decision.grounds.rule, decision.grounds.rule_name, decision.grounds.rules) == (2, "vip", 3)
    suppressed = refused(documents, known(fields={"segment": "vip"}), fields={"text": "x", "amount": 2000})
    assert (suppressed.reason, suppressed.grounds.rule) == ("suppressed", 1)
    assert sent(documents, known(fields={"segment": "new"})).delivery.lane == "bulk"
    assert sent(documents, lane="urgent", user=known(fields={"segment": "new"})).delivery.lane == "urgent", "the request's lane wins"
    unknown = sent(documents)
    assert (unknown.delivery.lane, unknown.grounds.rule) == ("normal", None)
    assert any("user.segment" in miss for miss in unknown.grounds.misses)


def test_a_rules_plan_takes_the_place_of_the_scenarios() -> None:
    rules = [{"when": "request.role == 'slave'", "plan": [step("email", after=5)]}]
    decision = sent([scenario(rules=rules), *DECLARED], role="slave")
    assert (decision.delivery.channel, decision.deadline) == ("email", NOW + 5000)
    assert sent([scenario(rules=rules), *DECLARED], role="master").delivery.channel == "sms"


def test_a_rule_whose_template_has_no_approved_version_sends_nothing_else_instead() -> None:
    decision = refused([scenario(plan=BOTH, rules=[{"template": "unwritten"}])])
    assert decision.reason == "unknown-template"
    assert {skip.reason for skip in decision.skipped} == {"unknown-template"}


@settings(deadline=None)  # documents are compiled in each
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["urgent", "normal", "bulk", None])), min_size=1, max_size=8))
def test_rules_hold_in_their_order(rules: list[tuple[bool, str | None]]) -> None:
    # a segment that makes every rule marked True hold, and no other
    documents: list[dict[str, Any]] = [
        {"when": f"user.segment {'==' if holds else '!='} 'a' && user.segment.size() < {100 + number}"}
        for number, (holds, _) in enumerate(rules)
    ]
    for document, (_, lane) in zip(documents, rules, strict=True):
        document |= {"lane": lane} if lane else {}
    decision = sent([scenario(rules=documents, lane="bulk"), *DECLARED], known(fields={"segment": "a"}))
    first = next((number for number, (holds, _) in enumerate(rules) if holds), None)
    assert decision.grounds.rule == (None if first is None else first + 1)
    assert decision.delivery.lane == ("bulk" if first is None else rules[first][1] or "bulk")


# language and tone

TEXTS = ("it", "it/young", "en", "en/senior", "ru")


@settings(deadline=None)  # documents are compiled in each
@given(
    st.sets(st.sampled_from(TEXTS), min_size=1),
    st.none() | st.sampled_from(["it", "it-CH", "en", "ru", "fr"]),
    st.none() | st.sampled_from(["it-CH", "en", "ru"]),
    st.none() | st.sampled_from(["young", "senior"]),
    st.none() | st.sampled_from(["young", "senior"]),
)
def test_language_and_tone_fall_back_in_their_order(
    there: set[str], wanted: str | None, users: str | None, tone: str | None, users_tone: str | None
) -> None:
    template = sms("text", **{key.replace("/", "__"): key for key in there})
    user = known(language=users, tone=users_tone)
    delivery = decide(asked(phone=PHONE, language=wanted, tone=tone), book(template, scenario()), user, NOW).delivery  # type: ignore[union-attr]
    language = (wanted or users or "it").partition("-")[0]
    order = [f"{one}{of}" for one in (language, "it", "en") for of in ([f"/{tone or users_tone}"] if tone or users_tone else []) + [""]]
    expected = next((key for key in order if key in there), min(there))
    assert delivery.content.text == expected
    assert (delivery.language, delivery.tone or "") == (expected.partition("/")[0], expected.partition("/")[2])


# consent and addresses

ENTRIES = ("*", "sms", "email", "hello", "hello/sms", "hello/email", "other", "other/sms")


@settings(deadline=None)  # documents are compiled in each
@given(st.sets(st.sampled_from(ENTRIES)), st.booleans(), st.permutations(["sms", "email"]), st.booleans())
def test_nothing_goes_where_the_user_has_opted_out_unless_it_is_critical(
    opt_out: set[str], critical: bool, channels: list[str], preference: bool
) -> None:
    more = {"preference": "user"} if preference else {}
    document = scenario(plan=[step(channel) for channel in channels], critical=critical, **more)
    decision = ask([document], known(opt_out=sorted(opt_out), channel="email"))
    refused_channels = {channel for channel in channels if opt_out & {"*", "hello", channel, f"hello/{channel}"}}
    if critical or refused_channels != {"sms", "email"}:
        assert isinstance(decision, Send)
        assert critical or decision.delivery.channel not in refused_channels
        assert critical or {skip.channel for skip in decision.skipped} <= refused_channels
    else:
        assert isinstance(decision, Refusal)
        assert decision.reason == "opted-out"
        final = begin(asked(), decision, NOW)[1].edrs[-1]
        assert (final.event, final.reason, final.final) == ("suppressed", "opted-out", True)


def test_whoever_wants_nothing_of_it_is_asked_no_further() -> None:
    plugin = Plugin([1])
    document = scenario(rules=[{"send": False}], choose={"name": "best"}, enrich={"name": "best"})
    decision = refused([document], known(opt_out=["hello"]), algorithms=plugin)
    assert (decision.reason, decision.detail, decision.grounds.rule) == ("opted-out", "the user has opted out of hello", None)
    assert plugin.seen == []


def test_the_users_channel_comes_first_if_the_scenario_says_so() -> None:
    user = known(channel="email")
    assert sent([scenario(plan=BOTH)], user).delivery.channel == "sms"
    preferred = sent([scenario(plan=BOTH, preference="user")], user)
    assert (preferred.delivery.channel, preferred.grounds.preferred) == ("email", "email")
    without = sent([scenario(plan=BOTH, preference="user")], user, email=None)
    assert (without.delivery.channel, without.delivery.step, [skip.reason for skip in without.skipped]) == ("sms", 2, ["no-address"])


def test_further_steps_go_on_with_the_plan_that_was_decided() -> None:
    first = sent([scenario(plan=BOTH, preference="user")], known(channel="email"))
    journey, _ = begin(asked(), first, NOW)
    assert journey.plan == first.plan
    assert journey.notification
    changed_mind = known(channel="sms")
    again = msgspec.structs.replace(journey.notification, step=2, phone=PHONE, email=EMAIL, fields={"text": "x"})
    second = decide(again, book(sms(), email(), scenario(plan=[step("email")])), changed_mind, NOW, plan=journey.plan)
    assert isinstance(second, Send)
    assert (second.delivery.channel, second.delivery.step, second.steps) == ("sms", 2, 2)
    pending = msgspec.structs.replace(journey, pending=("failed", "undelivered", 1), open=[])
    assert resume(pending, again, second, NOW)[0].plan == [], "no further step follows"


def test_of_a_test_only_its_own_addresses_count_and_magic_ones_have_their_route() -> None:
    user = known(phone=PHONE, email=EMAIL)
    number = next(iter(magic.ADDRESSES["sms"]))
    test = sent([scenario(plan=[step("email"), step()])], user, test=True, phone=number, email=None)
    assert (test.delivery.channel, test.delivery.to, test.delivery.route) == ("sms", number, "magic-sms")
    assert sent([scenario()], user, test=True).delivery.route == "smsc-1", "a trial, sent for real"
    assert sent([scenario()], user, phone=number).delivery.route == "smsc-1", "no test: a number as any other"
    edrs = begin(asked(test=True), test, NOW)[1].edrs
    assert all(edr.test for edr in edrs)


# user data


@pytest.mark.parametrize(
    ("user", "loaded", "state"),
    [
        (None, None, "none"),
        (User("acme/u1", NOW + 1, absent=True), "unknown", "unknown"),
        (User("acme/u1", NOW + 1), None, "fresh"),
        (User("acme/u1", NOW - 1), None, "stale"),
        (User("acme/u1", NOW + 1), "known", "loaded"),
    ],
)
def test_the_grounds_say_what_was_known_of_the_user(user: User | None, loaded: Any, state: str) -> None:
    assert sent([scenario()], user, loaded=loaded).grounds.user == state


def test_values_that_are_not_what_is_declared_now_are_left_out_and_told_without_the_value() -> None:
    decision = sent([scenario(), fields(text="string"), fields("user", age="integer")], known(fields={"age": "secret"}))
    assert decision.grounds.misses == ["user.age: is no integer"]
    assert "secret" not in str(decision.grounds)


# plug-ins


class Plugin:
    """Answers as told."""

    def __init__(self, steps: list[int] | None = None, added: dict[str, Any] | None = None) -> None:
        self.steps, self.added = steps, added
        self.seen: list[Any] = []

    def choose(self, algorithm: Algorithm, candidates: Sequence[Candidate], context: Context) -> tuple[list[int] | None, Report]:
        self.seen.append((list(candidates), context))
        return self.steps, Report(algorithm.name, "choose", "late" if self.steps is None else "used")

    def enrich(self, algorithm: Algorithm, context: Context) -> tuple[dict[str, Any] | None, Report]:
        self.seen.append(context)
        return self.added, Report(algorithm.name, "enrich", "failed" if self.added is None else "used")


def test_a_plug_in_chooses_among_the_steps() -> None:
    plugin = Plugin([2])
    decision = sent([scenario(plan=BOTH, choose={"name": "best"})], known(opt_out=["email"]), algorithms=Plugin([1, 2]))
    assert decision.delivery.channel == "sms"
    decision = sent([scenario(plan=BOTH, choose={"name": "best"})], algorithms=plugin)
    assert (decision.delivery.channel, decision.delivery.step, decision.steps) == ("email", 1, 1)
    assert [(skip.step, skip.channel, skip.reason) for skip in decision.skipped] == [(2, "sms", "not-chosen")]
    candidates, context = plugin.seen[0]
    assert [(one.step, one.channel, one.reachable) for one in candidates] == [(1, "sms", True), (2, "email", True)]
    assert (context.tenant, context.request["scenario"], context.user["email"]) == ("acme", "hello", EMAIL)
    assert refused([scenario(plan=BOTH, choose={"name": "best"})], algorithms=Plugin([])).reason == "suppressed"


def test_a_plug_in_adds_fields_over_the_users_and_under_the_requests() -> None:
    documents = [sms("text", it="{{ a }}{{ b }}{{ c }}"), scenario(enrich={"name": "more"})]
    decision = ask(documents, known(fields={"a": "u", "b": "u", "c": "u"}), Plugin(added={"b": "p", "c": "p"}), fields={"c": "r"})
    assert isinstance(decision, Send)
    assert decision.delivery.content.text == "upr"


@pytest.mark.parametrize("hook", ["choose", "enrich"])
def test_a_plug_in_that_fails_has_no_say_or_ends_it_as_declared(hook: str) -> None:
    going_on = sent([scenario() | {hook: {"name": "bad"}}], algorithms=Plugin())
    assert [(report.name, report.hook) for report in going_on.grounds.reports] == [("bad", hook)]
    assert begin(asked(), going_on, NOW)[1].edrs[0].decision.algorithms.keys() == {"bad"}  # type: ignore[union-attr]
    ended = refused([scenario() | {hook: {"name": "bad", "otherwise": "refuse"}}], algorithms=Plugin())
    assert ended.reason == "algorithm-failed"
    assert (
        sent([scenario() | {hook: {"name": "good", "otherwise": "refuse"}}], algorithms=Plugin([1], {})).grounds.reports[0].result == "used"
    )
    missing = refused([scenario() | {hook: {"name": "bad", "otherwise": "refuse"}}])
    assert (missing.reason, missing.grounds.reports[0].result) == ("algorithm-failed", "missing")


# laws of the whole

users = st.none() | st.builds(
    User,
    st.just("acme/u1"),
    st.sampled_from([NOW - 1, NOW + 1]),
    language=st.none() | st.sampled_from(["it", "ru"]),
    phone=st.none() | st.just("+4915112345678"),
    email=st.none() | st.just("user@acme.example"),
    channel=st.none() | st.sampled_from(["sms", "email"]),
    opt_out=st.lists(st.sampled_from(ENTRIES), max_size=2),
    absent=st.booleans(),
)


@settings(deadline=None)  # documents are compiled in each
@given(users, st.none() | st.just(PHONE), st.dictionaries(st.sampled_from(["text", "other"]), st.text(max_size=300), max_size=2))
def test_the_same_case_has_the_same_decision_and_a_compact_record(user: User | None, phone: str | None, values: Mapping[str, str]) -> None:
    documents = [scenario(plan=BOTH, preference="user", rules=[{"when": "has(request.role)", "lane": "bulk"}])]
    first, second = (ask(documents, user, phone=phone, email=None, fields=dict(values)) for _ in range(2))
    assert first == second
    edr = begin(asked(), first, NOW)[1].edrs[0]
    assert edr.decision is not None
    assert len(msgspec.json.encode(edr.decision)) <= 400
    told = msgspec.json.encode(edr.decision).decode()
    assert not any(value and value in told for value in (PHONE, "+4915112345678", "user@acme.example"))


@settings(deadline=None)  # documents are compiled in each
@given(users)
def test_no_decision_has_anything_of_another_tenant(user: User | None) -> None:
    """Two tenants with the same names; each word of a decision comes from the one that was asked."""
    theirs = [sms("text", it="VOLTA {{ text }}", en="VOLTA {{ text }}"), email("mail", en="VOLTA"), scenario(plan=BOTH, lane="bulk")]
    ours = [sms("text", it="ACME {{ text }}"), email("mail", en="ACME"), scenario(plan=BOTH, lane="urgent")]
    books = {"volta": book(*theirs, tenant="volta"), "acme": book(*ours)}
    for tenant, other in (("acme", "volta"), ("volta", "acme")):
        row = msgspec.structs.replace(user, key=f"{tenant}/u1") if user else None
        notification = asked(tenant=tenant, key=f"{tenant}/u1", phone=PHONE, fields={"text": "x"})
        decision = decide(notification, books[tenant], row, NOW)
        words = msgspec.json.encode(decision.delivery if isinstance(decision, Send) else decision.detail).decode().lower()
        assert other not in words.replace("user@acme.example", "")


json = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20), st.lists, max_leaves=5)
RULES = [
    {"when": "request.amount > 1.0 || user.age > 3"},
    {"when": "has(request.due) && request.due < now"},
    {"when": "user.tags.exists(tag, tag == 'a')", "lane": "bulk"},
    {"when": "request.amount / 0.0 > 1.0 && user.age / (user.age - user.age) > 1"},
]
WIDE = book(
    sms("text", en="{{ text }} {{ amount|default(1) }} {{ due|default('') }}"),
    scenario(rules=RULES, user_data="optional"),
    fields(text="string", amount="decimal", due="date-time"),
    fields("user", age="integer", tags="list"),
)
LOOSE = book(sms("text", en="{{ text }} {{ amount|default(1) }}"), scenario())


@settings(deadline=None)  # documents are compiled in each
@given(
    st.dictionaries(st.sampled_from(["text", "amount", "due", "other"]), json),
    st.dictionaries(st.sampled_from(["age", "tags", "text", "other"]), json),
    st.sampled_from([WIDE, LOOSE]),
)
def test_whatever_the_values_are_there_is_a_decision(values: dict[str, Any], users_values: dict[str, Any], documents: Any) -> None:
    """What is in the tables may be of another time, with other declarations: it must not stop anything."""
    decision = decide(asked(phone=PHONE, fields=values), documents, known(fields=users_values), NOW)
    assert msgspec.json.encode(begin(asked(), decision, NOW)[1].edrs)


def test_a_channel_without_a_route_is_left_out() -> None:
    documents = book(sms(), email(), scenario(plan=BOTH))
    tenant = msgspec.structs.replace(documents.tenant, routes={"email": "smtp-1"})
    decision = decide(asked(phone=PHONE, email=EMAIL, fields={"text": "x"}), msgspec.structs.replace(documents, tenant=tenant), None, NOW)
    assert isinstance(decision, Send)
    assert (decision.delivery.channel, decision.skipped[0].reason) == ("email", "route-down")
