"""The console's settings: where browsers reach it, the secret that signs its cookies, and who else may say who somebody is."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from inm.core.records import Name
from inm.settings.routes import Secret, read_secret

SECRET = "INM_CONSOLE_SECRET"  # noqa: S105 - the name of a variable, and of no secret
SHORTEST = 32

Url = Annotated[str, Meta(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*[^\s?#/])?$(?!\n)")]


class Oidc(Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenID provider by which the people of one tenant sign in."""

    issuer: Url
    client_id: Annotated[str, Meta(min_length=1)]
    tenant: Name
    client_secret_env: Secret | None = None
    claim: Annotated[str, Meta(min_length=1)] = "email"
    """Of the ID token, which stands in ``identity`` of an account."""
    scope: str = "openid email"
    title: str = ""
    """As people know the provider."""


class ConsoleDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """``console`` in ``inm.yaml``."""

    url: Url | None = None
    oidc: list[Oidc] = []


class Console(Struct, frozen=True):
    """What the console runs with. ``secrets`` are those of the providers, by issuer."""

    secret: bytes
    url: str | None = None
    oidc: tuple[Oidc, ...] = ()
    secrets: Mapping[str, str] = {}

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it by https: then cookies go no other way."""
        return (self.url or "").startswith("https://")

    def __repr__(self) -> str:
        return f"Console(url={self.url!r})"


def read_console(document: ConsoleDocument, environ: Mapping[str, str]) -> Console | None:
    """None without a secret: then there is no console. ``ValueError`` if it is easy to guess, or what needs an address has none."""
    secret = environ.get(SECRET)
    if secret is None:
        return None
    if len(secret) < SHORTEST:
        raise ValueError(f"{SECRET}: found {len(secret)} characters, allowed: at least {SHORTEST}")
    if document.oidc and document.url is None:
        raise ValueError("/console/oidc: needs console.url, to which the provider sends people back")
    secrets = {provider.issuer: read_secret(provider.client_secret_env, environ) for provider in document.oidc}
    return Console(secret.encode(), document.url, tuple(document.oidc), {issuer: found for issuer, found in secrets.items() if found})
