"""Accounts for the demo's console: one of each role, whose passwords are made at the start and end with the demo."""

import secrets

import msgspec

from inm.console import passwords
from inm.demo.installation import Installation

TENANT = "acme"
TITLES = {
    "viewer": "Vera Conti",
    "editor": "Elena Galli",
    "moderator": "Marco Riva",
    "operator": "Olga Petrova",
    "admin": "Ada Clarke",
}


async def create(installation: Installation, tenant: str = TENANT) -> dict[str, str]:
    """Each account is called as its role; their passwords by name. ``RuntimeError`` if ``inm apply`` refuses them."""
    made = {role: secrets.token_urlsafe(12) for role in TITLES}
    documents = [
        {"kind": "account", "tenant": tenant, "name": role, "title": TITLES[role], "roles": [role], "password": passwords.hashed(password)}
        for role, password in made.items()
    ]
    file = installation.folder / "accounts.yaml"
    file.write_bytes(b"\n---\n".join(map(msgspec.json.encode, documents)))
    await installation.command("apply", str(file), "--author", "demo")
    file.unlink()
    return made
