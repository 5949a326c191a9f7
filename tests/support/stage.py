"""A tenant of its own for walks through the console, with an account of each role and people to sign in with them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.core.edr import Edr
from inm.core.users import Upsert
from inm.demo import accounts
from inm.demo.installation import Installation
from tests.support.asks import Asker
from tests.support.chromium import People, Person
from tests.support.commands import done
from tests.support.tap import Tap

DOCUMENTS = """\
{{kind: tenant, name: {tenant}, title: Walk, language: en, timezone: UTC, routes: {{sms: smsc-1, email: smtp-1}}}}
---
{{kind: sender, tenant: {tenant}, name: by-sms, channel: sms, address: Walk}}
---
{{kind: sender, tenant: {tenant}, name: by-mail, channel: email, address: walk@walk.example}}
---
kind: fields
tenant: {tenant}
name: request
fields:
  text: {{type: string, description: Who is greeted}}
---
kind: template
tenant: {tenant}
name: hello
channel: sms
variants:
  en: {{text: "Hello {{{{ text }}}}"}}
  it: {{text: "Ciao {{{{ text }}}}"}}
---
kind: template
tenant: {tenant}
name: letter
channel: email
variants:
  en: {{subject: "Hello {{{{ text }}}}", text: "Hello {{{{ text }}}}", html: "<p>Hello {{{{ text }}}}</p>"}}
---
kind: scenario
tenant: {tenant}
name: hello
title: A greeting
validity: 172800
rules:
  - {{name: master, when: request.role == 'master', lane: urgent}}
plan: [{{channel: sms, template: hello, sender: by-sms, after: 50}}]
---
kind: scenario
tenant: {tenant}
name: letter
title: A letter
validity: 3600
plan: [{{channel: email, template: letter, sender: by-mail, until: submitted, after: 50}}]
"""


class Stage:
    """``tenant``, its ``passwords`` by role, and whom it gives a browser to."""

    def __init__(self, installation: Installation, people: People, tenant: str, passwords: dict[str, str]) -> None:
        self.installation = installation
        self.people = people
        self.tenant = tenant
        self.passwords = passwords

    @asynccontextmanager
    async def person(self, role: str, **browser: Any) -> AsyncIterator[Person]:
        """Somebody who has signed in."""
        async with self.people.person(**browser) as person:
            await person.enter(self.tenant, role, self.passwords[role])
            yield person


async def build(installation: Installation, people: People, folder: Path) -> Stage:
    """The tenant, its documents and accounts."""
    tenant = f"walk-{uuid4().hex[:6]}"
    (folder / "all.yaml").write_text(DOCUMENTS.format(tenant=tenant))
    await done(installation, "apply", folder, "--approved-by", "boris")
    return Stage(installation, people, tenant, await accounts.create(installation, tenant))


class Traffic:
    """Requests to the tenant, and its users."""

    def __init__(self, stage: Stage, tap: Tap, producer: AIOKafkaProducer) -> None:
        self.tenant = stage.tenant
        self._asker = Asker(tap, producer)
        self._producer = producer

    async def ask(self, phone: str, text: str = "Ada", scenario: str = "hello", **more: Any) -> Edr:
        """The final EDR of a new request."""
        return await self._asker.ask(phone, scenario, text, tenant=self.tenant, **more)

    async def send(self, phone: str, text: str = "Ada", scenario: str = "hello", **more: Any) -> str:
        """The id of a request that is sent and not waited for."""
        return await self._asker.send(phone, scenario, text, self.tenant, **more)

    async def user(self, key: str, /, **known: Any) -> None:
        """Tell INM of a user."""
        upsert = Upsert(key=f"{self.tenant}/{key}", ttl=3600, **known)
        await self._producer.send_and_wait(topics.USERS, msgspec.json.encode(upsert), upsert.key.encode())

    async def nonsense(self, phone: str) -> None:
        """A request in a scenario that there is not."""
        asked = {"scenario": "helo", "to": {"phone": phone}, "fields": {"text": "Ada"}}
        await self._producer.send_and_wait(topics.requests(self.tenant), msgspec.json.encode(asked), phone.encode())
