"""What a deployment sets: ``config/inm.yaml``, with ``INM_*`` environment variables above it; and the tenants' documents.

A wrong key or value stops the start: :class:`MisconfiguredError` says which, what was found and what is allowed.
"""

import os
import re
import socket
import ssl
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from inm.core import apikeys
from inm.core.apikeys import ApiKey
from inm.core.faults import MisconfiguredError, describe, find
from inm.core.links import Links
from inm.core.records import Name
from inm.core.retry import Retries
from inm.core.routing import Ported
from inm.settings.console import SECRET, Console, ConsoleDocument, read_console
from inm.settings.routes import RouteSettings, Secret, read_ported, read_route, read_secret

HostPort = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._\[\]:-]+:[0-9]{1,5}$(?!\n)")]
Port = Annotated[int, Meta(ge=0, le=65535)]


class Broker(Struct, frozen=True, forbid_unknown_fields=True):
    """The Kafka cluster. ``password`` is filled in from the environment."""

    servers: Annotated[list[HostPort], Meta(min_length=1)]
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    cafile: str | None = None
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password_env: Secret | None = None
    replication: Annotated[int, Meta(ge=1, le=9)] = 1
    """Of topics that INM creates: 3 on a cluster, so that a broker may be lost."""

    def __post_init__(self) -> None:
        if self.security.startswith("sasl") and not (self.username and self.password_env):
            raise ValueError(f"security {self.security} needs username and password_env")


class Http(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the doors listen; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: Port = 6066
    url: str | None = None
    """Where other workers reach this one, ``http://host:port``; by host and port if absent."""


class _Links(Struct, frozen=True, forbid_unknown_fields=True):
    """Where readers of e-mails reach a worker, so that it is known what they read. The key that signs is in ``INM_LINK_KEY``."""

    url: Annotated[str, Meta(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*[^\s?#/])?$(?!\n)")]


class _KeyDocument(Struct, frozen=True, forbid_unknown_fields=True):
    tenant: Name
    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{1,32}$(?!\n)")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
    test: bool = False


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    """``inm.yaml``."""

    broker: Broker
    routes: dict[Name, dict[str, Any]]
    partitions: Annotated[int, Meta(ge=1, le=256)] = 6
    data_dir: Annotated[str, Meta(min_length=1)] = ".data"
    worker_id: Name | None = None
    http: Http = Http()
    api_keys: list[_KeyDocument] = []
    links: _Links | None = None
    console: ConsoleDocument = ConsoleDocument()
    retries: Retries = Retries()
    ported: str | None = None
    """A file of numbers that have moved to another network, in the folder of this one unless its path is absolute."""


class Settings(Struct, frozen=True):
    """All of it, checked. ``api_keys`` are by hash, for ``apikeys.find``."""

    broker: Broker
    broker_password: str | None
    partitions: int
    data_dir: Path
    worker_id: str
    http: Http
    config_dir: Path
    routes: Mapping[str, RouteSettings]
    retries: Retries
    ported: Ported
    api_keys: Mapping[str, ApiKey]
    links: Links | None = None
    console: Console | None = None

    @property
    def prices(self) -> dict[str, float]:
        """What a part costs, of the routes that say so."""
        return {name: route.options["price"] for name, route in self.routes.items() if route.options.get("price") is not None}

    @property
    def addresses(self) -> dict[str, str]:
        """Which address of the recipient routes want, where their channel does not say it: ``phone``, ``email`` or ``user``."""
        return {name: str(route.options.get("address", "phone")) for name, route in self.routes.items() if route.channel == "rest"}

    def rates(self, channels: Collection[str]) -> dict[str, float]:
        """Parts a second, of the routes of some channels that say so."""
        return {name: route.traffic.rate for name, route in self.routes.items() if route.channel in channels and route.traffic.rate}

    def __repr__(self) -> str:
        return f"Settings(worker_id={self.worker_id!r}, broker={self.broker.servers}, routes={list(self.routes)})"


VARIABLES: dict[str, tuple[str, ...]] = {
    "INM_BROKER": ("broker", "servers"),
    "INM_BROKER_SECURITY": ("broker", "security"),
    "INM_BROKER_CAFILE": ("broker", "cafile"),
    "INM_BROKER_MECHANISM": ("broker", "mechanism"),
    "INM_BROKER_USERNAME": ("broker", "username"),
    "INM_BROKER_PASSWORD_ENV": ("broker", "password_env"),
    "INM_BROKER_REPLICATION": ("broker", "replication"),
    "INM_PARTITIONS": ("partitions",),
    "INM_DATA_DIR": ("data_dir",),
    "INM_WORKER_ID": ("worker_id",),
    "INM_HTTP_HOST": ("http", "host"),
    "INM_HTTP_PORT": ("http", "port"),
    "INM_HTTP_URL": ("http", "url"),
    "INM_LINKS_URL": ("links", "url"),
    "INM_CONSOLE_URL": ("console", "url"),
}
"""The environment variable of each setting. ``INM_CONFIG`` (the folder) and ``INM_API_KEYS`` stand beside them."""

LINK_KEY = "INM_LINK_KEY"
SHORTEST_KEY = 16
_ROUTE = "INM_ROUTE_"
_INJECTED = re.compile(r"INM(_\w+)?_(SERVICE_(HOST|PORT)\w*|PORT|PORT_\d+_(TCP|UDP)\w*)")
"""What Kubernetes sets for a service whose name begins with ``inm``: it means nothing to us."""


def load(environ: Mapping[str, str], *, also: Collection[str] = ()) -> Settings:
    """The settings by ``inm.yaml`` in the folder ``INM_CONFIG`` (default ``config``) and these environment variables.

    ``also`` names variables beginning with ``INM_`` that somebody else reads.
    """
    folder = Path(environ.get("INM_CONFIG", "config"))
    path = folder / "inm.yaml"
    value = _mapping(path)
    sources = _overlay(value, environ)
    known = {"INM_CONFIG", "INM_API_KEYS", LINK_KEY, SECRET, *VARIABLES, *also, *sources.values(), *_references(value)}
    unknown = [name for name in environ if name.startswith("INM_") and name not in known and not _INJECTED.fullmatch(name)]
    sentences = [f"environment: no such variable, found {name}, allowed: {', '.join(sorted(known))}" for name in unknown]
    try:
        document = msgspec.convert(value, _Document)
    except msgspec.ValidationError as error:
        faults = find(value, _Document)
        sentences += [f"{sources.get(fault.pointer, path)}: {fault}" for fault in faults] or [f"{path}: {error}"]
        raise MisconfiguredError(sentences) from error
    routes: dict[str, RouteSettings] = {}
    for name, options in document.routes.items():
        try:
            routes[name] = read_route(name, options, environ)
        except ValueError as error:
            sentences.append(f"{path}: /routes/{name}/{error}")
    try:
        keys = apikeys.index([*(ApiKey(key.tenant, key.id, key.sha256, test=key.test) for key in document.api_keys), *_keys(environ)])
        password = read_secret(document.broker.password_env, environ)
        ported = read_ported(folder / document.ported) if document.ported else Ported()
        links = _links(document, environ)
        console = read_console(document.console, environ)
    except ValueError as error:
        sentences.append(str(error))
    if sentences:
        raise MisconfiguredError(sentences)
    return Settings(
        broker=document.broker,
        broker_password=password,
        partitions=document.partitions,
        data_dir=Path(document.data_dir),
        worker_id=document.worker_id or socket.gethostname(),
        http=document.http,
        config_dir=folder,
        routes=routes,
        retries=document.retries,
        ported=ported,
        api_keys=keys,
        links=links,
        console=console,
    )


OTHERS = ("INM_CACHE", "INM_ANY_VERSIONS")
"""Variables of the demo and of the worker's start, which are no settings."""


def from_environment() -> Settings:
    """The settings of this process."""
    return load(os.environ, also=OTHERS)


def kafka_client(settings: Settings) -> dict[str, Any]:
    """Aiokafka's options for the broker's TLS and SASL. ``OSError`` if the file of authorities cannot be read."""
    broker = settings.broker
    tls = {"ssl_context": ssl.create_default_context(cafile=broker.cafile)} if broker.security.endswith("ssl") else {}
    names = {"sasl_mechanism": broker.mechanism, "sasl_plain_username": broker.username, "sasl_plain_password": settings.broker_password}
    return {"security_protocol": broker.security.upper()} | tls | (names if broker.security.startswith("sasl") else {})


def read_text(path: Path) -> str:
    """A file's text. ``MisconfiguredError`` if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MisconfiguredError([f"{path}: cannot be read: {error}"]) from error


def _mapping(path: Path) -> dict[str, Any]:
    try:
        value = msgspec.yaml.decode(read_text(path))
    except msgspec.DecodeError as error:
        raise MisconfiguredError([f"{path}: no YAML: {error}"]) from error
    if not isinstance(value, dict):
        raise MisconfiguredError([f"{path}: found {type(value).__name__}, allowed: a mapping"])
    return value


def _overlay(value: dict[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Put the environment's values over the document's; the variable by JSON pointer, for messages."""
    sources: dict[str, str] = {}
    for name, keys in VARIABLES.items():
        if name in environ:
            _put(value, keys, environ[name])
            sources["/" + "/".join(keys)] = name
    for route, options in value["routes"].items() if isinstance(value.get("routes"), dict) else ():
        for option in list(options) if isinstance(options, dict) else ():
            name = re.sub(r"\W", "_", f"{_ROUTE}{route}_{option}").upper()
            if name in environ:
                kind = type(options[option])
                _put(value, ("routes", route, option), environ[name])
                if type(options[option]) is not kind:
                    raise MisconfiguredError([f"{name}: found {environ[name]!r}, allowed: {describe(kind)}"])
                sources[f"/routes/{route}/{option}"] = name
    return sources


def _put(value: dict[str, Any], keys: tuple[str, ...], text: str) -> None:
    """Set a key to what the text says in the type that stands there; text if it does not fit, for the check to refuse."""
    *folders, last = keys
    for folder in folders:
        inner = value.setdefault(folder, {})
        if not isinstance(inner, dict):
            return
        value = inner
    if keys == VARIABLES["INM_BROKER"] or isinstance(value.get(last), list):
        value[last] = [item.strip() for item in text.split(",")]
        return
    kind = int if last in ("partitions", "port", "replication") else type(value.get(last) or "")
    try:
        value[last] = msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        value[last] = text


def _references(value: Any) -> Iterator[str]:
    """The variables that the document refers to by ``…_env``."""
    if isinstance(value, dict):
        for key, item in value.items():
            if str(key).endswith("_env") and isinstance(item, str):
                yield item
            else:
                yield from _references(item)


def _links(document: _Document, environ: Mapping[str, str]) -> Links | None:
    """``ValueError`` without a key that is hard to guess."""
    if document.links is None:
        return None
    key = environ.get(LINK_KEY, "")
    if len(key) < SHORTEST_KEY:
        raise ValueError(f"{LINK_KEY}: found {len(key)} characters, allowed: at least {SHORTEST_KEY}, to sign the links of links/url with")
    return Links(document.links.url, key.encode())


def _keys(environ: Mapping[str, str]) -> Iterator[ApiKey]:
    for item in filter(None, re.split(r"[,\s]+", environ.get("INM_API_KEYS", ""))):
        tenant, equals, key = item.partition("=")
        if not equals:
            raise ValueError(f"INM_API_KEYS: an item has no =, allowed: tenant={apikeys.FORM}")
        try:
            yield apikeys.hashed(tenant, key)
        except ValueError as error:
            raise ValueError(f"INM_API_KEYS: {error}") from error
