"""Documents are changed under running workers: by files, by moderation, over REST, by several people at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from inm import topics
from inm.demo.installation import Installation
from tests.acceptance.test_two_workers import shared
from tests.support.commands import done, inm
from tests.support.load import Books, Load
from tests.support.tap import Tap, until, until_async

DOCUMENTS = """\
kind: scenario
tenant: {tenant}
name: hello
validity: 60
plan:
  - {{channel: sms, template: hello-sms, sender: shop-sms, after: 50}}
---
kind: template
tenant: {tenant}
name: hello-sms
channel: sms
variants:
  en: {{text: "{text}"}}
---
{{kind: sender, tenant: {tenant}, name: shop-sms, channel: sms, address: Shop}}
---
{{kind: tenant, name: {tenant}, title: Shop, language: en, timezone: UTC, routes: {{sms: smsc-1}}}}
"""


@pytest.fixture
def tenant() -> str:
    """A name that no other test uses."""
    return f"shop-{uuid4().hex[:6]}"


@pytest.fixture
def folder(tmp_path: Path, tenant: str) -> Path:
    """Its documents, as an editor has them."""
    (tmp_path / "shop").mkdir()
    write(tmp_path / "shop", tenant, "Hello {{ name }}")
    return tmp_path / "shop"


def write(folder: Path, tenant: str, text: str) -> None:
    (folder / "all.yaml").write_text(DOCUMENTS.format(tenant=tenant, text=text))


@pytest_asyncio.fixture(loop_scope="session")
async def two(installation: Installation) -> Installation:
    """With two workers that share the load."""
    await installation.start_worker("worker-2")
    await shared(installation)
    return installation


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def key(installation: Installation, tenant: str, name: str) -> dict[str, str]:
    """The header with a new API key of a tenant, made by an operator."""
    secret = f"inm_live_{name}_{uuid4().hex}"
    document = {"kind": "key", "tenant": tenant, "name": name, "sha256": sha256(secret.encode()).hexdigest()}
    await done(installation, "apply", "-", given=msgspec.json.encode(document).decode())
    return {"Authorization": f"Bearer {secret}"}


async def greet(producer: AIOKafkaProducer, tenant: str, phone: str) -> None:
    asked = {"scenario": "hello", "to": {"phone": phone}, "fields": {"name": "Ada"}, "request_id": uuid4().hex}
    await producer.send_and_wait(topics.requests(tenant), msgspec.json.encode(asked))


async def test_what_is_applied_again_or_exported_changes_nothing(
    installation: Installation, tenant: str, folder: Path, tmp_path: Path
) -> None:
    paths = [f"{tenant}/tenant", f"{tenant}/scenario/hello", f"{tenant}/template/hello-sms/1", f"{tenant}/sender/shop-sms"]
    assert (await done(installation, "apply", folder)).lines == [f"{path} created" for path in paths]
    assert (await done(installation, "apply", folder)).lines == [f"{path} unchanged" for path in paths]
    await done(installation, "export", tmp_path / "copy", "--tenant", tenant)
    assert (await done(installation, "diff", tmp_path / "copy")).out == ""
    assert {line.split()[1] for line in (await done(installation, "apply", tmp_path / "copy")).lines} == {"unchanged"}
    write(folder, tenant, "Bye {{ name }}")
    different = await inm(installation, "diff", folder)
    assert (different.code, "+    text: Bye {{ name }}" in different.out) == (1, True), different


async def test_the_requests_of_a_new_tenant_are_taken_while_others_go_on(
    two: Installation, books: Books, tap: Tap, producer: AIOKafkaProducer, tenant: str, folder: Path, phone: str, run: str
) -> None:
    load = Load(producer, run)
    async with load.flowing(rate=50):
        await books.until(30)
        await done(two, "apply", folder, "--approved-by", "boris")
        await until_async(lambda: there(two, topics.requests(tenant)))
        await greet(producer, tenant, phone)
        await until(lambda: texts(books, phone) == ["Hello Ada"], what=lambda: (tap.dead, two.log("worker-1").read_text()[-3000:]))
    await load.ended(tap)
    assert books.doubles() == {}
    assert load.marked(tap) == []


async def there(installation: Installation, topic: str) -> bool:
    """Whether a topic has been created."""
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.bootstrap)
    await admin.start()
    try:
        return topic in await admin.list_topics()
    finally:
        await admin.close()


def texts(books: Books, phone: str) -> list[str]:
    return [part.text.decode() for part in books.parts if phone.endswith(part.destination)]


async def test_a_changed_text_serves_when_another_person_has_approved_it(
    two: Installation, http: aiohttp.ClientSession, books: Books, producer: AIOKafkaProducer, tenant: str, folder: Path,
    phones: Callable[[], str],
) -> None:  # fmt: skip
    phone = phones()
    said: list[str] = []

    async def says(text: str) -> None:
        await greet(producer, tenant, phone)
        said.append(text)
        await until(lambda: len(texts(books, phone)) == len(said), what=lambda: (said, books.parts))
        assert texts(books, phone) == said

    await done(two, "apply", folder, "--approved-by", "boris")
    mine = await key(two, tenant, "anna")
    await says("Hello Ada")
    write(folder, tenant, "Good day, {{ name }}")
    new = f"{tenant}/template/hello-sms/2"
    assert f"{new} configured" in (await done(two, "apply", folder, user="anna")).lines
    await says("Hello Ada")
    await done(two, "template", "submit", new, user="anna")
    assert new in (await done(two, "template", "list", "--tenant", tenant, "--state", "submitted")).out
    own = await inm(two, "template", "approve", new, user="Anna")
    assert (own.code, "an author does not approve his own text" in own.talk) == (1, True), own
    await says("Hello Ada")
    assert (await done(two, "template", "approve", new, user="boris")).lines == [f"{new} approved"]

    async def seen() -> bool:
        return [await state(http, two.url(worker), mine) for worker in ("worker-1", "worker-2")] == ["approved"] * 2

    await until_async(seen)
    numbers = [phones() for _ in range(12)]  # enough for partitions of both workers
    for number in numbers:
        await greet(producer, tenant, number)
    await until(lambda: all(texts(books, number) == ["Good day, Ada"] for number in numbers), what=lambda: books.parts)


async def state(http: aiohttp.ClientSession, url: str, key: dict[str, str]) -> str | None:
    """Of the newest version of the greeting, as a worker knows it."""
    async with http.get(f"{url}/v1/reference/template/hello-sms", headers=key) as answer:
        return (await answer.json()).get("state") if answer.status == 200 else None


async def test_wrong_documents_are_refused_with_file_line_and_path(installation: Installation, tenant: str, folder: Path) -> None:
    write(folder, tenant, "{{ name")
    text = (folder / "all.yaml").read_text()
    refused = await inm(installation, "apply", folder)
    line = text.splitlines().index('  en: {text: "{{ name"}') + 1
    assert (refused.code, refused.out) == (1, "")
    assert f"{folder}/all.yaml:{line}: {tenant}/template/hello-sms" in refused.talk, refused
    assert "/variants/en/text" in refused.talk

    (folder / "all.yaml").write_text(text.replace("{{ name", "x").replace("hello-sms, sender", "helo-sms, sender"))
    refused = await inm(installation, "apply", folder)
    assert f"{folder}/all.yaml:6: {tenant}/scenario/hello: /plan/0/template" in refused.talk, refused
    assert (await inm(installation, "get", f"{tenant}/tenant")).code == 1, "nothing of it was taken"


async def test_two_editors_over_rest_and_what_is_in_use(two: Installation, http: aiohttp.ClientSession, tenant: str, folder: Path) -> None:
    await done(two, "apply", folder, "--approved-by", "boris")
    mine = await key(two, tenant, "anna")
    one, other = (f"{two.url(worker)}/v1/reference/scenario/hello" for worker in ("worker-1", "worker-2"))
    tags: list[str] = []
    document: dict[str, Any] = {}
    for url in (one, other):
        async with http.get(url, headers=mine) as answer:
            assert answer.status == 200
            tags.append(answer.headers["ETag"])
            document = (await answer.json())["document"]
    puts = [
        http.put(url, json=document | {"title": url}, headers=mine | {"If-Match": tag}) for url, tag in zip((one, other), tags, strict=True)
    ]
    answers = await asyncio.gather(*puts)
    assert sorted(answer.status for answer in answers) == [200, 412]
    conflict = await next(answer for answer in answers if answer.status == 412).json()
    assert "has changed it meanwhile" in conflict["errors"][0]["message"]

    async with http.delete(f"{two.url('worker-2')}/v1/reference/sender/shop-sms", headers=mine) as answer:
        assert answer.status == 400
        assert f"in use by {tenant}/scenario/hello" in (await answer.json())["errors"][0]["message"]
    async with http.get(f"{two.url('worker-1')}/v1/reference/scenario/otp", headers=mine) as answer:
        assert answer.status == 404, "another tenant's are not there"
    kept = await inm(two, "delete", f"{tenant}/template/hello-sms")
    assert (kept.code, "is in use by" in kept.talk) == (1, True), kept


async def test_a_revoked_key_is_refused_by_every_worker(two: Installation, http: aiohttp.ClientSession, tenant: str, folder: Path) -> None:
    await done(two, "apply", folder, "--approved-by", "boris")
    mine = await key(two, tenant, "crm")

    async def statuses() -> list[int]:
        found = []
        for worker in ("worker-1", "worker-2"):
            async with http.get(f"{two.url(worker)}/v1/reference", headers=mine) as answer:
                found.append(answer.status)
        return found

    async def both(status: int) -> bool:
        return await statuses() == [status] * 2

    await until_async(lambda: both(200))
    await done(two, "delete", f"{tenant}/key/crm")
    await until_async(lambda: both(401))
