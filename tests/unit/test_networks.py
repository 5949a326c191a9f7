"""Which hosts may be called: no private address in any spelling, and each by the list that allows it."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.core import networks
from inm.core.networks import is_public, literal, objection, parse, permitted

PRIVATE = ("127.0.0.1", "10.1.2.3", "172.16.9.9", "192.168.0.7", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255")
ANY = st.sampled_from([IPv4Address(text) for text in PRIVATE]) | st.ip_addresses(v=4, network="10.0.0.0/8")


def disguises(address: IPv4Address) -> list[IPv6Address]:
    """IPv6 addresses that lead to it."""
    number = int(address)
    upper = "".join(f"{number:08x}"[place : place + 4] + ":" for place in (0, 4))
    return [
        IPv6Address(f"::ffff:{address}"),
        IPv6Address(f"::{address}"),
        IPv6Address(f"64:ff9b::{address}"),
        IPv6Address(f"2002:{upper}:"),
        IPv6Address(int(IPv6Address("2001:0:808:808::")) | (number ^ 0xFFFF_FFFF)),  # Teredo, the client
        IPv6Address(int(IPv6Address("2001::")) | number << 64 | (0x0808_0808 ^ 0xFFFF_FFFF)),  # Teredo, the server
        IPv6Address(f"2a00:1450::5efe:{address}"),
        IPv6Address(f"2a00:1450::200:5efe:{address}"),
    ]


def spellings(address: IPv4Address) -> list[str]:
    """Texts that a resolver takes for it."""
    number, parts = int(address), address.packed
    wide = str(address).translate({**{ord(digit): 0xFF10 + int(digit) for digit in "0123456789"}, ord("."): "\u3002"})
    return [
        str(number),
        hex(number),
        f"0{number:o}",
        ".".join(f"0{part:o}" for part in parts),
        ".".join(map(hex, parts)),
        f"{parts[0]}.{number & 0xFFFFFF}",
        f"{address}.",
        wide,
    ]


@given(ANY)
def test_a_private_address_is_private_in_every_disguise(address: IPv4Address) -> None:
    assert not is_public(address)
    assert not [str(disguised) for disguised in disguises(address) if is_public(disguised)]


def test_a_public_address_is_public_in_those_that_lead_to_it() -> None:
    assert [is_public(one) for one in disguises(IPv4Address("8.8.8.8"))][2:4] == [True, True], "NAT64 and 6to4"
    assert is_public(ip_address("2606:4700::1111"))


@pytest.mark.parametrize(
    "text", ["192.0.0.8", "224.0.1.1", "ff0e::1", "::", "::1", "fd00::1", "fe80::1", "2001:db8::1", "64:ff9b:1::808:808"]
)
def test_what_is_nobodys_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@given(ANY)
def test_every_spelling_is_the_address(address: IPv4Address) -> None:
    for text in spellings(address):
        assert literal(text) == address, text
        assert objection(f"https://{text}/hook"), text


def test_names_are_no_addresses() -> None:
    assert literal("example.org") is None
    assert literal("") is None
    assert literal("1.2.3.4.5") is None
    assert literal("10.0.0.1 example.org") is None or not permitted(literal("10.0.0.1 example.org"))  # type: ignore[arg-type]


def test_a_list_allows_what_is_on_it_and_nothing_else() -> None:
    listed = parse(["10.20.0.0/16", "127.0.0.1", "fd00:1::/32"])
    assert permitted(ip_address("10.20.3.4"), listed)
    assert permitted(ip_address("::ffff:10.20.3.4"), listed)
    assert permitted(ip_address("fd00:1::7"), listed)
    assert not permitted(ip_address("10.21.0.1"), listed)
    assert not permitted(ip_address("64:ff9b::10.20.3.4"), listed), "only by its own name"
    assert permitted(ip_address("8.8.8.8"), listed)
    assert objection("http://127.0.0.1:8080/x", listed) is None


@pytest.mark.parametrize("text", ["10.0.0.1/8", "example.org", "10.0.0.0/33", ""])
def test_a_list_has_networks(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: a network"):
        parse([text])


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.org/", "https://"),
        ("//example.org/", "https://"),
        ("https://", "a host"),
        ("https://example.org:99999/", "no URL"),
        ("https://user:secret@example.org/", "user name or password"),
        ("https://localhost/", "a name of private networks"),
        ("https://db.internal./", "a name of private networks"),
        ("http://[::1]/", "private network"),
        ("http://[::1%25eth0]/", "private network"),
        ("http://[fe80::1%eth0]/", "private network"),
    ],
)
def test_urls_that_may_not_be_called(url: str, words: str) -> None:
    assert words in (objection(url) or "")


def test_urls_that_may_be_called() -> None:
    assert objection("https://hooks.example.org/x?y=z") is None
    assert objection("https://8.8.8.8/") is None
    assert objection("https://crm.internal/", parse(["10.0.0.0/8"])) is None, "where it leads is seen when it is connected to"


@given(st.text(max_size=30))
def test_nothing_breaks_it(text: str) -> None:
    literal(text)
    objection(f"https://{text}/")
    objection(f"https://{quote(text)}/")
    assert networks.objection(text) is not None or text.lower().startswith("http")
