"""Which hosts may be called: none on a private network, in whatever spelling, unless it is on a list of those that may."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import inet_aton
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_EMBEDDING = (
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (IPv6Network("::/96"), 0),  # IPv4-compatible, RFC 4291 section 2.5.5.1
    (IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056
)
"""Networks whose addresses lead to the IPv4 address in them, and how many bits stand behind it."""
_NOBODYS = (IPv4Network("192.0.0.0/24"), IPv6Network("64:ff9b:1::/48"))
"""Of the IETF's protocols (RFC 6890), and local NAT64 (RFC 8215): Python calls some of it global, by its version."""
_ISATAP = 0x0000_5EFE
"""Before the IPv4 address in the lower half; or with the bit of universal ones set (RFC 5214, section 6.1)."""
_UNIVERSAL = 0x0200_0000
_LOCAL_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa")
"""Names that are never public (RFC 6761, RFC 6762, RFC 8375, and what ICANN keeps free)."""
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")


def is_public(address: Address) -> bool:
    """Whether it is reachable from everywhere, and what it stands for too."""
    if not address.is_global or address.is_multicast or any(address in network for network in _NOBODYS):
        return False
    return all(map(is_public, _embedded(address)))


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """IPv4 addresses that packets to it may come to."""
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.teredo:
        yield from address.teredo
    for network, behind in _EMBEDDING:
        if address in network:
            yield IPv4Address(number >> behind & 0xFFFF_FFFF)
    if (number >> 32 & 0xFFFF_FFFF) & ~_UNIVERSAL == _ISATAP:
        yield IPv4Address(number & 0xFFFF_FFFF)


def permitted(address: Address, networks: Iterable[Network] = ()) -> bool:
    """Whether it may be called: it is public, or in one of these networks. A mapped address is the one that it maps."""
    plain = address.ipv4_mapped if isinstance(address, IPv6Address) and address.ipv4_mapped else address
    return is_public(address) or any(plain in network for network in networks)


def parse(networks: Sequence[str]) -> tuple[Network, ...]:
    """Networks as they are written: ``10.0.0.0/8``, ``fd00::/8``, ``127.0.0.1``. ``ValueError`` names the first that is none."""
    found = []
    for text in networks:
        try:
            found.append(ip_network(text))
        except ValueError as error:
            raise ValueError(f"found {text!r}, allowed: a network such as 10.20.0.0/16 or an address: {error}") from error
    return tuple(found)


def literal(host: str) -> Address | None:
    """The address that a host names without asking anybody, in any spelling that a resolver takes for one: ``0x7f.1``, ``017700000001``."""
    plain = unicodedata.normalize("NFKC", host.translate(_DOTS)).strip("[]").rstrip(".").partition("%")[0]
    try:
        return ip_address(plain)
    except ValueError:
        pass
    try:
        return IPv4Address(inet_aton(plain)) if plain and not plain[-1:].isspace() else None
    except (OSError, ValueError):
        return None


def objection(url: str, networks: Iterable[Network] = ()) -> str | None:
    """What is to be said against calling a URL, as far as that can be told without asking for its name; None if nothing."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"is no URL: {error}"
    if parts.scheme not in ("http", "https") or not host:
        return "is no URL that begins with https:// or http:// and a host"
    if parts.username is not None or parts.password is not None:
        return "has a user name or password in it"
    address = literal(host)
    if address is not None and not permitted(address, networks):
        return f"leads to {address}, which is on a private network that is not allowed"
    name = host.rstrip(".").lower()
    if address is None and not any(networks) and any(name == local or name.endswith(f".{local}") for local in _LOCAL_NAMES):
        return f"leads to {host}, which is a name of private networks"
    return None
