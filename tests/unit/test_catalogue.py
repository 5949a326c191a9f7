"""The catalogue: documents that fit each other, what is said of those that do not, and what serves."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core.books import is_template, version_of
from inm.core.catalogue import Catalogue, Checked, bind, check
from inm.core.documents import path_of, shape
from inm.core.reference import Held
from tests.support.books import TENANT, email, fields, held, plan, scenario, sms, step, window

ROUTES = {"smsc-1": "sms", "smtp-1": "email", "smsc-2": "sms"}

EVERY: dict[str, dict[str, Any]] = {
    "tenant": TENANT
    | {"windows": {"sms": "daytime"}, "fallback": {"it-CH": ["de", "it"]}, "tones": {"young": ["plain"]}, "moderation": True},
    "fields": {
        "kind": "fields",
        "tenant": "acme",
        "name": "request",
        "fields": {
            "text": {"type": "string", "description": "x", "required": True},
            "plan": {"type": "enum", "values": ["a"], "default": "a"},
            "tags": {"type": "list", "of": "string"},
        },
    },
    "sender": {"kind": "sender", "tenant": "acme", "name": "by-sms", "channel": "sms", "address": "Acme"},
    "template": {
        "kind": "template",
        "tenant": "acme",
        "name": "text",
        "channel": "sms",
        "variants": {"it": {"text": "{{ text }}"}, "it/young": {"text": "x"}},
        "flash": True,
    },
    "scenario": {
        "kind": "scenario",
        "tenant": "acme",
        "name": "hello",
        "title": "Hello",
        "lane": "urgent",
        "validity": 60,
        "requires": ["text"],
        "rules": [
            {
                "name": "x",
                "when": "request.text == 'x'",
                "plan": [step()],
                "template": "text",
                "sender": "by-sms",
                "lane": "bulk",
                "send": False,
            }
        ],
        "plan": [step(route="smsc-2", until="submitted")],
        "on_unknown": "resend",
        "max_parts": 2,
        "critical": True,
        "window": "daytime",
        "urgent_anytime": True,
        "preference": "user",
        "destinations": "all",
        "user_data": "fresh",
        "choose": {"name": "best", "limit": 10, "otherwise": "refuse"},
        "enrich": {"name": "more"},
    },
    "source": {
        "kind": "source",
        "tenant": "acme",
        "name": "crm",
        "type": "sql",
        "url_env": "ACME_CRM_URL",
        "users": {"query": "SELECT * FROM users WHERE id IN :keys", "map": {"language": "lang"}},
        "ttl": 60,
    },
    "plan": {
        "kind": "plan",
        "tenant": "acme",
        "name": "sms-first",
        "title": "x",
        "steps": [step(), step(parallel=True, unless="user.id == 'x'")],
    },
    "window": {
        "kind": "window",
        "tenant": "acme",
        "name": "daytime",
        "title": "x",
        "zone": "recipient",
        "open": [{"days": ["mon", "holiday"], "from": "08:00", "to": "21:00"}],
        "holidays": "italy",
        "spread": 60,
    },
    "holidays": {"kind": "holidays", "tenant": "acme", "name": "italy", "title": "x", "dates": ["12-25", "2027-03-29"]},
    "key": {"kind": "key", "tenant": "acme", "name": "crm", "sha256": "0" * 64, "expires": 1, "test": True},
    "account": {"kind": "account", "tenant": "acme", "name": "ada", "roles": ["editor"], "title": "Ada", "password": "x"},
}


def with_(kind: str, document: Any) -> dict[str, Held]:
    """All documents, one of them replaced."""
    found: dict[str, Held] = {}
    for name, other in EVERY.items():
        path = path_of(other) + ("/1" if name == "template" else "")
        found[path] = Held(path, 1, document if name == kind else other, "ada", 0, "approved" if name == "template" else None)
    return found


def checked(*documents: dict[str, Any], **options: Any) -> Checked:
    return check("acme", held(*documents), ROUTES, **options)


def faults(*documents: dict[str, Any]) -> list[tuple[str, str]]:
    found = checked(*documents)
    assert found.book is None
    return [(path, fault.pointer) for path, fault in found.faults]


def apart() -> list[dict[str, Any]]:
    """Two windows that are never open together."""
    return [window("d", start="08:00", end="20:00"), window("n", start="20:00", end="08:00")]


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of every key and item, but ``kind``."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if key != "kind":
            yield (*place, key)
            yield from places(item, (*place, key))


def changed(document: dict[str, Any], place: tuple[Any, ...], *value: Any) -> dict[str, Any]:
    """A copy with another value there, or without it."""
    document = copy.deepcopy(document)
    inner: Any = document
    for key in place[:-1]:
        inner = inner[key]
    if value:
        inner[place[-1]] = value[0]
    else:
        del inner[place[-1]]
    return document


def test_documents_that_fit_have_no_faults() -> None:
    found = check("acme", with_("", None), ROUTES)
    assert (found.faults, found.warnings) == ([], [])
    assert found.book
    assert found.book.keys["crm"].test
    assert found.book.accounts["ada"].roles == ["editor"]
    assert found.book.source
    assert found.book.fallback.languages("it-CH")[:2] == ("it-CH", "de")


@pytest.mark.parametrize("kind", EVERY)
def test_every_document_with_every_part_missing_of_another_type_or_unknown_is_judged_and_never_raises(kind: str) -> None:
    document = EVERY[kind]
    refused = 0
    for place in places(document):
        for wrong in ((), (None,), (17,), (["x"],), ({"x": 1},), ("",), ("\ud800\n",), (True,), (1.5,)):
            found = check("acme", with_(kind, changed(document, place, *wrong)), ROUTES)
            assert (found.book is None) == bool(found.faults)
            for _, fault in found.faults:
                assert fault.pointer == "" or fault.pointer.startswith("/"), (place, wrong)
            refused += bool(found.faults)
    assert refused > len([*places(document)])
    for place in [(), *(place for place in places(document) if isinstance(inner(document, place), dict))]:
        [first, *_] = check("acme", with_(kind, changed(document, (*place, "no-such-key"), 1)), ROUTES).faults
        assert first[1].pointer.startswith("/" + "/".join(str(part).replace("/", "~1") for part in place).rstrip("/"))


def inner(document: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        document = document[key]
    return document


@pytest.mark.parametrize("document", [None, [], "x", 1, {}, {"kind": None}, {"kind": "x"}, {"kind": ["tenant"]}, {"kind": "tenant"}])
@pytest.mark.parametrize("kind", EVERY)
def test_what_is_no_document_at_all_is_a_fault(kind: str, document: Any) -> None:
    assert shape(document)
    assert check("acme", with_(kind, document), ROUTES).faults


@pytest.mark.parametrize(
    ("documents", "path", "pointer"),
    [
        ([TENANT | {"timezone": "Mars/Olympus"}], "acme/tenant", "/timezone"),
        ([TENANT | {"timezone": "../etc"}], "acme/tenant", "/timezone"),
        ([TENANT | {"routes": {"sms": "smtp-1"}}], "acme/tenant", "/routes/sms"),
        ([sms(), scenario(plan=[step(template="none")])], "acme/scenario/hello", "/plan/0/template"),
        ([sms(), email(), scenario(plan=[step(template="mail")])], "acme/scenario/hello", "/plan/0/template"),
        ([sms(), scenario(plan=[step(sender="nobody")])], "acme/scenario/hello", "/plan/0/sender"),
        ([sms(), scenario(plan=[step(sender="by-email")])], "acme/scenario/hello", "/plan/0/sender"),
        ([sms(), scenario(plan=[step(route="smtp-1")])], "acme/scenario/hello", "/plan/0/route"),
        ([TENANT | {"routes": {}}, sms(), scenario()], "acme/scenario/hello", "/plan/0/route"),
        ([sms(), scenario(rules=[{"template": "none"}])], "acme/scenario/hello", "/rules/0/template"),
        ([sms(), scenario(rules=[{"sender": "by-email"}])], "acme/scenario/hello", "/rules/0/sender"),
        ([sms(), scenario(rules=[{"plan": [step(template="none")]}])], "acme/scenario/hello", "/rules/0/plan/0/template"),
        ([sms(), scenario(rules=[{"when": "request.x"}])], "acme/scenario/hello", "/rules/0/when"),
        ([sms(), scenario(requires=["x"]), fields(text="string")], "acme/scenario/hello", "/requires/0"),
        ([sms(it="{{ nope }}"), fields(text="string")], "acme/template/text/1", "/variants/it"),
        ([sms(it="{{ x() }}")], "acme/template/text/1", "/variants/it/text"),
        ([fields(user={"type": "enum"})], "acme/fields/request", "/fields/user/values"),
        ([{"kind": "sender", "name": "long", "channel": "sms", "address": "A sender too long"}], "acme/sender/long", "/address"),
        ([{"kind": "sender", "name": "bad", "channel": "email", "address": "Acme <x>"}], "acme/sender/bad", "/address"),
        ([EVERY["source"], EVERY["source"] | {"name": "other"}], "acme/source/other", "/name"),
        ([scenario(plan="none")], "acme/scenario/hello", "/plan"),
        ([sms(), scenario(rules=[{"plan": "none"}])], "acme/scenario/hello", "/rules/0/plan"),
        ([sms(), plan("p", step(template="none"))], "acme/plan/p", "/steps/0/template"),
        ([sms(), plan("p", step(parallel=True))], "acme/plan/p", "/steps/0/parallel"),
        ([sms(), plan("p", step(until="read"))], "acme/plan/p", "/steps/0/until"),
        ([sms(), plan("p", step(unless="user.nope"))], "acme/plan/p", "/steps/0/unless"),
        ([sms(), plan("p", step(unless="1 == 2"))], "acme/plan/p", "/steps/0/unless"),
        ([sms(), scenario(rules=[{"when": "last.state == 'failed'"}])], "acme/scenario/hello", "/rules/0/when"),
        ([sms(), email(), plan("p", step()), scenario(plan="p", rules=[{"template": "mail"}])], "acme/scenario/hello", "/rules/0/template"),
        ([sms(), scenario(window="none")], "acme/scenario/hello", "/window"),
        ([TENANT | {"windows": {"sms": "none"}}], "acme/tenant", "/windows/sms"),
        ([window("w", zone="Mars/Olympus")], "acme/window/w", "/zone"),
        ([window("w", holidays="none")], "acme/window/w", "/holidays"),
        ([window("w", days=["holiday"])], "acme/window/w", "/open"),
        ([{"kind": "holidays", "name": "h", "dates": ["02-29", "2027-02-29"]}], "acme/holidays/h", "/dates/1"),
        ([TENANT | {"windows": {"sms": "n"}}, sms(), *apart(), scenario(window="d")], "acme/scenario/hello", "/window"),
    ],
)
def test_references_that_lead_nowhere(documents: list[dict[str, Any]], path: str, pointer: str) -> None:
    assert faults(*documents) == [(path, pointer)]


def test_a_fault_says_what_there_is() -> None:
    [(_, fault)] = checked(sms(), sms("other"), scenario(plan=[step(template="none")])).faults
    assert str(fault) == "/plan/0/template: no template of channel sms, found 'none', allowed: other, text"


def test_without_a_tenant_there_is_no_book() -> None:
    lonely = {path: item for path, item in held(sms()).items() if path != "acme/tenant"}
    assert [(path, fault.message) for path, fault in check("acme", lonely, ROUTES).faults] == [("acme/tenant", "there is no such tenant")]
    assert bind(lonely) is None


def test_fields_of_requests_and_users_and_the_users_name_can_be_read() -> None:
    assert checked(sms(it="{{ a }}{{ b }}{{ name }}"), fields(a="string"), fields("user", b="string")).faults == []
    assert checked(sms(it="{{ anything }}")).faults == []


def test_what_hardly_does_what_is_meant_is_a_warning() -> None:
    draft = check("acme", held(sms(), scenario(), state="draft"), ROUTES)
    assert draft.warnings == [("acme/scenario/hello", "template text has no approved version yet: steps with it are skipped")]
    declared = [
        sms(it="{{ a }}{{ b }}{{ c }}{{ d|default(1) }}"),
        fields(a="string", b={"type": "string", "required": True}, c="string", d="string"),
    ]
    found = checked(*declared, scenario(requires=["c"]))
    words = "scenario hello: template text needs a, which no request must bring: name it in requires"
    assert found.warnings == [("acme/scenario/hello", words), ("acme/template/text/1", words)]
    assert checked(*declared, scenario(requires=["a", "c"])).warnings == []


def test_a_plan_that_is_longer_than_the_validity_is_a_warning() -> None:
    long = scenario(plan="p", validity=100)
    steps = [step(after=60), step(after=60), step(after=60, parallel=True), step(after=60)]
    words = "step 4 begins only when the validity of 100 s has ended, if the steps before it take their time"
    assert checked(sms(), plan("p", *steps), long).warnings == [("acme/scenario/hello", words)]
    assert checked(sms(), plan("p", *steps[:3]), long).warnings == []


def test_a_new_version_that_needs_more_is_told_before_it_serves() -> None:
    documents = held(sms(it="x"), sms(it="{{ a }}"), scenario(), fields(a="string"))
    newest = "acme/template/text/2"
    documents[newest] = Held(newest, 1, documents[newest].document, "ada", 0, "draft")
    found = check("acme", documents, ROUTES, [newest])
    assert [path for path, _ in found.warnings] == [newest]
    assert found.book
    assert found.book.templates["text"].version == 1


def test_only_the_newest_approved_version_serves() -> None:
    documents = held(*(sms(it=str(number)) for number in range(1, 13)))
    states = {12: "draft", 11: "rejected", 10: "approved", 9: "submitted"}
    for number, state in states.items():
        path = f"acme/template/text/{number}"
        documents[path] = Held(path, 1, documents[path].document, "ada", 0, state)  # type: ignore[arg-type]
    book = bind(documents)
    assert book
    assert book.templates["text"].version == 10
    assert (is_template("acme/template/x/3"), is_template("acme/template/x"), version_of("acme/template/x/3")) == (True, False, 3)


def test_texts_that_were_not_changed_are_not_looked_at_again_unless_the_fields_are() -> None:
    documents = held(sms(it="{{ x() }}"), scenario(rules=[{"when": "request.gone"}]), fields(text="string"))
    assert check("acme", documents, ROUTES, ["acme/sender/by-sms"]).faults == []
    both = [("acme/scenario/hello", "/rules/0/when"), ("acme/template/text/1", "/variants/it/text")]
    assert [(path, fault.pointer) for path, fault in check("acme", documents, ROUTES, ["acme/fields/request"]).faults] == both
    assert [path for path, _ in check("acme", documents, ROUTES, ["acme/template/text/1"]).faults] == ["acme/template/text/1"]


def test_a_worker_serves_what_it_can_of_documents_that_are_wrong() -> None:
    documents = held(sms(), scenario(), scenario("other", rules=[{"when": "request.x"}]))
    documents["acme/scenario/broken"] = Held("acme/scenario/broken", 1, {"kind": "scenario"}, "ada", 0)
    book = bind(documents)
    assert book
    assert sorted(book.scenarios) == ["hello", "other"]
    assert book.scenarios["other"].rules.choose({}, {}, "acme", 0).index is None


def test_what_has_not_changed_is_taken_over_compiled() -> None:
    documents = held(sms(), sms("other"), scenario(), scenario("second"), fields(text="string"))
    before = bind(documents)
    assert before
    path = "acme/template/other/2"
    documents[path] = Held(path, 1, sms("other", it="new") | {"tenant": "acme"}, "ada", 0, "approved")
    after = bind(documents, before)
    assert after
    assert (after.request, after.templates["text"], after.scenarios["hello"]) == (
        before.request,
        before.templates["text"],
        before.scenarios["hello"],
    )
    assert after.templates["other"].version == 2
    documents |= {path: item for path, item in held(fields(text="integer")).items() if "/fields/" in path}
    changed_fields = bind(documents, after)
    assert changed_fields
    assert changed_fields.scenarios["hello"] is not after.scenarios["hello"]


def test_a_plan_that_has_changed_changes_the_scenarios_that_name_it() -> None:
    documents = [sms(), plan("p", step()), scenario(plan="p"), scenario("other")]
    before = bind(held(*documents))
    assert before
    documents[1] = plan("p", step(after=5))
    after = bind(held(*documents), before)
    assert after
    assert [bound.steps[0].after for bound in after.scenarios.values()] == [5, 60]
    assert after.scenarios["other"] is before.scenarios["other"]
    assert after.scenarios["hello"] is not before.scenarios["hello"]


def test_the_catalogue_of_several_tenants() -> None:
    one, two = bind(held(sms(), scenario())), bind(held(tenant="volta"))
    assert one
    assert two
    catalogue = Catalogue({"acme": one}).with_book("volta", two)
    assert catalogue.tenants == ["acme", "volta"]
    names = {tenant: catalogue.scenario_names(tenant) for tenant in ("acme", "volta", "none")}
    assert {tenant: found and [*found] for tenant, found in names.items()} == {"acme": ["hello"], "volta": {}, "none": None}
    assert catalogue.scenario("acme", "hello") == one.scenarios["hello"].document
    assert catalogue.scenario("volta", "hello") is None
    assert catalogue.book("volta") is two
    assert catalogue.with_book("acme", None).tenants == ["volta"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["kind", "name", "tenant", "plan", "rules", "variants", "fields", "text", "x"]), inner, max_size=4
            )
        ),
    )
)
def test_no_document_makes_a_check_raise(document: Any) -> None:
    for kind in ("scenario", "template", "fields"):
        value = document | {"kind": kind} if isinstance(document, dict) else document
        assert check("acme", with_(kind, value), ROUTES).faults


def test_ten_thousand_templates_are_bound_without_compiling_one() -> None:
    documents = held()
    for number in range(10_000):
        path = f"acme/template/t{number}/1"
        broken = sms(f"t{number}", it="{{ (") | {"tenant": "acme"}
        documents[path] = Held(path, 1, broken, "ada", 0, "approved")
    book = bind(documents)
    assert book
    assert len(book.templates) == 10_000
