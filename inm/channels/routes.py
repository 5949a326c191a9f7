"""Builds the configured routes. A wrong option stops the start with a sentence that names the route and the key."""

import dataclasses
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec

from inm.channels import rest
from inm.channels.base import Channel
from inm.channels.email import Email
from inm.channels.magic import MagicEmail, MagicRest, MagicSms
from inm.channels.rest import RestRoute
from inm.channels.sms import Sms, SmsRoute
from inm.channels.smtp.route import EmailRoute
from inm.core import magic
from inm.core.faults import MisconfiguredError
from inm.core.results import Result
from inm.settings.routes import RouteSettings


def _sms(name: str, options: Mapping[str, Any]) -> Channel:
    own = dict(options)
    own["hosts"] = tuple(_host(host) for host in own.get("hosts", ()))
    if own.pop("tls", False):
        own["tls"] = ssl.create_default_context(cafile=own.pop("ca_file", None))
    own["codes"] = {int(code, 0) if isinstance(code, str) else code: Result(result) for code, result in own.get("codes", {}).items()}
    return Sms(SmsRoute(name, **_checked(SmsRoute, own)))


def _email(name: str, options: Mapping[str, Any]) -> Channel:
    return Email(EmailRoute(name, **_checked(EmailRoute, options)))


def _rest(name: str, options: Mapping[str, Any]) -> Channel:
    return rest.build(RestRoute(name, **_checked(RestRoute, options)))


_BUILD = {"sms": _sms, "email": _email, "rest": _rest}


def build(routes: Iterable[RouteSettings]) -> dict[str, Channel]:
    """One channel a route, not yet open, with the whole of its rate, and those for magic recipients.

    ``MisconfiguredError`` names every route that cannot be built.
    """
    built: dict[str, Channel] = {magic.route(kind.name): kind() for kind in (MagicSms, MagicEmail, MagicRest)}
    sentences = []
    for route in routes:
        if route.name.startswith(magic.RESERVED):
            sentences.append(f"inm.yaml: /routes/{route.name}: such names are of built-in routes, allowed: one without {magic.RESERVED}")
        try:
            built[route.name] = _BUILD[route.channel](route.name, route.options)
            built[route.name].throttle.limit(route.traffic.rate)
        except (ValueError, TypeError, OSError) as error:
            sentences.append(f"inm.yaml: /routes/{route.name}: {error}")
    if sentences:
        raise MisconfiguredError(sentences)
    return built


def _host(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isdigit()):
        raise ValueError(f"hosts: found {text!r}, allowed: host:port")
    return host, int(port)


def _checked(kind: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the route's dataclass has them. ``ValueError`` names the first that it has not, lacks, or of a wrong type."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key, value in options.items():
        if key not in fields:
            raise ValueError(f"{key}: no such option, allowed: {', '.join(name for name in fields if name != 'name')}")
        _check_type(key, value, fields[key].type)
    for key, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and key != "name" and key not in options:
            raise ValueError(f"{key}: is missing")
    return dict(options)


def _check_type(key: str, value: Any, kind: Any) -> None:
    plain = [option for option in (get_args(kind) or (kind,)) if option in (str, int, float, bool, type(None))]
    if plain and len(plain) == len(get_args(kind) or (kind,)):
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise ValueError(f"{key}: {error}") from error
