"""Settings: the shipped file, the environment above it, and what stops the start."""

import shutil
from pathlib import Path

import pytest

from inm import documents, settings
from inm.core import apikeys
from inm.core.faults import MisconfiguredError

CONFIG = Path(__file__).parents[2] / "config"
KEY = "inm_live_demo_" + "k" * 43
BASE = {"INM_CONFIG": str(CONFIG), "INM_SMSC_PASSWORD": "s3cret", "INM_INBOX_SECRET": "secret"}


def test_the_shipped_file_is_right() -> None:
    found = settings.load(BASE)
    assert (found.partitions, found.http.port, found.broker.servers) == (6, 6066, ["127.0.0.1:9092"])
    assert found.worker_id
    assert documents.load_catalogue(found).tenants == ["acme", "volta"]


def test_the_environment_wins_and_keeps_types() -> None:
    own = {
        "INM_BROKER": "a:1, b:2",
        "INM_PARTITIONS": "12",
        "INM_HTTP_PORT": "0",
        "INM_WORKER_ID": "inm-0",
        "INM_ROUTE_SMSC_1_HOSTS": "c:3",
        "INM_ROUTE_SMSC_1_WINDOW": "7",
        "INM_ROUTE_SMTP_1_HOST": "mail",
    }
    found = settings.load(BASE | own)
    assert (found.broker.servers, found.partitions, found.http.port, found.worker_id) == (["a:1", "b:2"], 12, 0, "inm-0")
    assert (found.routes["smsc-1"].options["hosts"], found.routes["smsc-1"].options["window"]) == (["c:3"], 7)
    assert found.routes["smtp-1"].options["host"] == "mail"


def test_secrets_come_from_the_environment_and_show_nowhere() -> None:
    found = settings.load(BASE | {"INM_API_KEYS": f"acme={KEY}"})
    assert found.routes["smsc-1"].options["password"] == "s3cret"
    assert "password_env" not in found.routes["smsc-1"].options
    assert "s3cret" not in repr(found) + repr(found.routes)
    assert KEY not in repr(found.api_keys)
    key = apikeys.find(found.api_keys, KEY, 0)
    assert key
    assert (key.tenant, key.id) == ("acme", "demo")
    for other in (KEY[:-1], KEY + "x", KEY.upper(), "", "é" * 300):
        assert apikeys.find(found.api_keys, other, 0) is None


def test_the_links_of_e_mails_need_an_address_and_a_key() -> None:
    found = settings.load(BASE | {"INM_LINKS_URL": "https://inm.example/r", "INM_LINK_KEY": "k" * 16})
    assert found.links
    assert (found.links.url, found.links.key) == ("https://inm.example/r", b"k" * 16)
    assert "kkkk" not in repr(found) + repr(found.links)
    assert settings.load(BASE | {"INM_LINK_KEY": "k" * 16}).links is None
    for own, sentence in (
        ({"INM_LINKS_URL": "https://x.y"}, "INM_LINK_KEY: found 0 characters"),
        ({"INM_LINKS_URL": "https://x.y", "INM_LINK_KEY": "short"}, "INM_LINK_KEY: found 5 characters"),
        ({"INM_LINKS_URL": "https://x.y/", "INM_LINK_KEY": "k" * 16}, "INM_LINKS_URL: /links/url"),
        ({"INM_LINKS_URL": "ftp://x.y", "INM_LINK_KEY": "k" * 16}, "INM_LINKS_URL: /links/url"),
    ):
        with pytest.raises(MisconfiguredError) as caught:
            settings.load(BASE | own)
        assert sentence in str(caught.value)


def test_kubernetes_service_variables_are_no_settings() -> None:
    injected = {
        "INM_PORT": "tcp://10.0.0.1:80",
        "INM_SERVICE_HOST": "10.0.0.1",
        "INM_PORT_80_TCP_ADDR": "10.0.0.1",
        "INM_DOOR_SERVICE_PORT_HTTP": "80",
    }
    assert settings.load(BASE | injected) == settings.load(BASE)
    assert settings.load(BASE | {"INM_DEMO": "1"}, also=["INM_DEMO"]) == settings.load(BASE)


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        ({"INM_SMSC_PASSWORD": ""}, "/routes/smsc-1/password_env: the environment variable INM_SMSC_PASSWORD is not set"),
        ({"INM_PARTITION": "6"}, "found INM_PARTITION, allowed: INM_API_KEYS, "),
        (
            {"INM_PARTITIONS": "many"},
            "INM_PARTITIONS: /partitions: Expected `int`, got `str`, found 'many', allowed: a whole number, at least 1",
        ),
        ({"INM_HTTP_PORT": "70000"}, "INM_HTTP_PORT: /http/port: "),
        ({"INM_BROKER": "nowhere"}, "/broker/servers/0: "),
        ({"INM_BROKER_SECURITY": "sasl_ssl"}, "security sasl_ssl needs username and password_env"),
        (
            {"INM_BROKER_SECURITY": "tls"},
            "INM_BROKER_SECURITY: /broker/security: Invalid enum value 'tls', found 'tls', allowed: plaintext, sasl_plaintext",
        ),
        ({"INM_BROKER_SECURITY": "sasl_ssl", "INM_BROKER_USERNAME": "u", "INM_BROKER_PASSWORD_ENV": "INM_KAFKA"}, "INM_KAFKA is not set"),
        ({"INM_ROUTE_SMTP_1_PORT": "abc"}, "INM_ROUTE_SMTP_1_PORT: found 'abc', allowed: a whole number"),
        ({"INM_CONFIG": "/nowhere"}, "/nowhere/inm.yaml: cannot be read"),
        ({"INM_API_KEYS": "acme=short"}, "INM_API_KEYS: an API key of tenant acme is not of the form inm_live_"),
        ({"INM_API_KEYS": KEY}, "INM_API_KEYS: an item has no ="),
    ],
)
def test_what_is_wrong_stops_the_start(own: dict[str, str], sentence: str) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        settings.load(BASE | own)
    assert sentence in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("partitions: 6", "partitons: 6", "inm.yaml: /partitons: no such key, found 'partitons', allowed: broker, routes, partitions"),
        ("channel: sms", "channel: fax", "/routes/smsc-1/channel: Invalid enum value 'fax', found 'fax', allowed: email, rest, sms"),
        ("api_keys: []", "api_keys: [{tenant: acme, id: x, sha256: abc}]", "/api_keys/0/sha256: "),
        ("window: 50", "window: 50\n    rate: 0", "/routes/smsc-1/rate: Expected `float` > 0.0, found 0, allowed: a number, above 0"),
        ("window: 50", "window: 50\n    weight: -1", "/routes/smsc-1/weight: Expected `float` >= 0.0, found -1, allowed: a number"),
        ("window: 50", "window: 50\n    prefixes: [39]", "/routes/smsc-1/prefixes/0: Expected `str`, got `int`, found 39, allowed: "),
        ("api_keys: []", "retries: {temporary: [0]}", "/retries/temporary/0: Expected `float` > 0.0"),
        ("api_keys: []", "retries: {throttled: []}", "/retries/throttled: "),
        ("api_keys: []", "ported: nowhere.csv", "nowhere.csv: cannot be read"),
        ("broker:", "broken:", "/broker: is missing"),
        ("broker:", "- x", "no YAML"),
    ],
)
def test_a_wrong_file_stops_the_start(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    text = (CONFIG / "inm.yaml").read_text()
    (tmp_path / "inm.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(MisconfiguredError) as caught:
        settings.load(BASE | {"INM_CONFIG": str(tmp_path)})
    assert sentence in str(caught.value)


def test_wrong_documents_stop_the_start(tmp_path: Path) -> None:
    shutil.copytree(CONFIG, tmp_path, dirs_exist_ok=True)
    tenant = tmp_path / "tenants" / "acme" / "tenant.yaml"
    tenant.write_text(tenant.read_text().replace("Europe/Rome", "Europe/Atlantis"))
    mine = BASE | {"INM_CONFIG": str(tmp_path)}
    with pytest.raises(MisconfiguredError, match="Europe/Atlantis"):
        documents.load_catalogue(settings.load(mine))
    with pytest.raises(MisconfiguredError, match="no such tenant, found nobody, allowed: acme, volta"):
        documents.load_catalogue(settings.load(BASE | {"INM_API_KEYS": f"nobody={KEY}"}))
    shutil.rmtree(tmp_path / "tenants")
    with pytest.raises(MisconfiguredError, match="no documents"):
        documents.load_catalogue(settings.load(mine))


def test_ported_numbers_are_read_and_a_wrong_line_is_named(tmp_path: Path) -> None:
    text = (CONFIG / "inm.yaml").read_text()
    (tmp_path / "inm.yaml").write_text(f"{text}\nported: ported.csv\n")
    (tmp_path / "ported.csv").write_text("+393331234567,+39320\n+39333,+39340\n")
    found = settings.load(BASE | {"INM_CONFIG": str(tmp_path)})
    assert found.ported.network("+393331234567") == "+39320"
    (tmp_path / "ported.csv").write_text("+393331234567,+39320\nnumber,prefix\n")
    with pytest.raises(MisconfiguredError, match=r"ported\.csv:2: allowed: a number, a comma and a prefix"):
        settings.load(BASE | {"INM_CONFIG": str(tmp_path)})


def test_options_that_all_routes_have_are_no_options_of_their_channel(tmp_path: Path) -> None:
    text = (CONFIG / "inm.yaml").read_text()
    (tmp_path / "inm.yaml").write_text(text.replace("window: 50", "window: 50\n    rate: 500\n    prefixes: ['+39']"))
    route = settings.load(BASE | {"INM_CONFIG": str(tmp_path), "INM_ROUTE_SMSC_1_RATE": "200"}).routes["smsc-1"]
    assert (route.traffic.rate, route.traffic.prefixes, route.traffic.weight) == (200.0, ("+39",), 1.0)
    assert not {"rate", "prefixes"} & route.options.keys()
