"""The settings of routes: what they lead to, how much they take and which numbers, and where their secrets come from."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from inm.core.faults import find
from inm.core.records import ChannelName
from inm.core.routing import Ported

Secret = Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9_]*$(?!\n)", description="a variable of the environment, as SMSC_PASSWORD")]
"""The name of an environment variable that holds a secret."""
Prefix = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{0,14}$(?!\n)", description="the first digits of numbers, as +39333")]


class Traffic(Struct, frozen=True):
    """The options that routes of all channels have."""

    rate: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    """Parts (messages, where the channel has no parts) a second of all workers together; ``None`` is no limit."""
    weight: Annotated[float, Meta(ge=0, le=1000)] = 1.0
    """Its share, beside other routes that a tenant may use; 0: only when no other can."""
    prefixes: Annotated[tuple[Prefix, ...], Meta(max_length=10_000)] = ()
    """Numbers that it takes begin with one of these; without any it takes all."""
    slow_receipt: Annotated[float, Meta(gt=0)] = 60.0
    """Seconds from submit to receipt above which a receipt speaks against the route."""
    receipt_timeout: Annotated[float, Meta(gt=0, le=7 * 86400)] | None = None
    """Seconds from submit after which a message without a receipt ends its step; ``None``: it has as long as the step has."""


class RouteSettings(Struct, frozen=True):
    """A connection to a provider. ``options`` are the channel's own, with secrets filled in under their plain names."""

    name: str
    channel: ChannelName
    options: Mapping[str, Any]
    traffic: Traffic = Traffic()

    def __repr__(self) -> str:
        return f"RouteSettings(name={self.name!r}, channel={self.channel!r})"


_NUMBER = re.compile(r"\+[1-9][0-9]{0,14}")


def read_route(name: str, options: dict[str, Any], environ: Mapping[str, str]) -> RouteSettings:
    """A route with its secrets. ``ValueError`` begins with the key that is wrong."""
    channel = options.get("channel")
    try:
        channel = msgspec.convert(channel, ChannelName)
    except msgspec.ValidationError as error:
        raise ValueError("; ".join(str(fault) for fault in find(channel, ChannelName, "channel"))) from error
    general = {key: options[key] for key in Traffic.__struct_fields__ if key in options}
    try:
        traffic = msgspec.convert(general, Traffic)
    except msgspec.ValidationError as error:
        raise ValueError("; ".join(str(fault).removeprefix("/") for fault in find(general, Traffic)) or str(error)) from error
    own = {key: item for key, item in options.items() if key not in ("channel", *general) and not key.endswith("_env")}
    for key, variable in options.items():
        if key.endswith("_env"):
            try:
                own[key.removesuffix("_env")] = read_secret(variable, environ)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from error
    return RouteSettings(name, channel, own, traffic)


def read_ported(path: Path) -> Ported:
    """Lines of number and prefix, separated by a comma: ``+393331234567,+39320``. ``ValueError`` names the first wrong line."""

    def rows() -> Iterator[tuple[str, str]]:
        with path.open(encoding="utf-8") as lines:
            for count, line in enumerate(lines, 1):
                number, _, prefix = line.strip().partition(",")
                if not (_NUMBER.fullmatch(number) and _NUMBER.fullmatch(prefix)):
                    raise ValueError(f"{path}:{count}: allowed: a number, a comma and a prefix, both with + and at most 15 digits")
                yield number, prefix

    try:
        return Ported.of(rows())
    except (OSError, OverflowError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error


def read_secret(variable: str | None, environ: Mapping[str, str]) -> str | None:
    """What the variable of this name holds. ``ValueError`` if it holds nothing."""
    if variable is None:
        return None
    if not environ.get(variable):
        raise ValueError(f"the environment variable {variable} is not set, and it must hold the secret")
    return environ[variable]
