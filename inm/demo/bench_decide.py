"""``inm bench-decide``."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import process_time_ns
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from inm.core.catalogue import Book, bind
from inm.core.decide import Send, decide
from inm.core.documents import path_of
from inm.core.freshness import consult
from inm.core.records import Notification
from inm.core.reference import Held
from inm.core.sources import Reader
from inm.core.users import Load, User
from inm.streaming.database import Database
from inm.tables.users import users

RULES = (0, 10, 50)
USERS = 100_000
"""Rows in the table that is read from."""
NOW = 1_780_000_000_000
_STRINGS = ("segment", *(f"field{number}" for number in range(8)))
_MAP = {"language": "language", "phone": "phone", "name": "name", "fields": {"segment": "segment", "age": "age"}}
_KEY = "bench/{}"

talk = Console(stderr=True)


@click.command("bench-decide")
@click.option(
    "--rounds", default=2_000, show_default=True, type=click.IntRange(10), help="Decisions a sample; the best of five samples counts."
)
def command(rounds: int) -> None:
    """Measure what a decision costs: CPU microseconds by the number of rules, and of the user's data before it.

    The last rule holds, so that all are looked at; it asks for fields of the request and of the user. ``hit`` reads the user's row from
    the table; ``miss`` asks the users stage for it, which reads the source's answer and writes the row, before ``hit``: without
    the time of Kafka and of the source.
    """
    books = {count: _book(count) for count in RULES}
    report = {
        "decide_us": {count: _cost(partial(_decide, book, None), rounds) for count, book in books.items()},
        "with_user_us": {count: _cost(partial(_decide, book, _user(1)), rounds) for count, book in books.items()},
        **_of_users(rounds),
    }
    table = Table("CPU µs each", *(f"{count} rules" for count in RULES), title="A decision with its text")
    table.add_row("without user data", *(str(report["decide_us"][count]) for count in RULES))
    table.add_row("with user data", *(str(report["with_user_us"][count]) for count in RULES))
    talk.print(table)
    talk.print(f"user data: {report['hit_us']} for a hit, {report['miss_us']} more for a miss")
    click.echo(json.dumps(report, indent=2))


def _cost(work: Callable[[int], Any], rounds: int) -> float:
    best = float("inf")
    for _ in range(5):
        began = process_time_ns()
        for number in range(rounds):
            work(number)
        best = min(best, (process_time_ns() - began) / rounds / 1000)
    return round(best, 1)


def _decide(book: Book, user: User | None, number: int) -> None:
    fields = {"code": "493817", "country": "CH", "amount": "12.50"}
    notification = Notification(f"0-{number}", _KEY.format(1), "bench", "hello", NOW, phone="+393400000001", fields=fields, lane="urgent")
    assert isinstance(decide(notification, book, user, NOW), Send)


def _of_users(rounds: int) -> dict[str, Any]:
    """The cost of user data that the table has, and of those that it has not."""
    book = _book(0)
    assert book.source is not None
    reader = Reader(book.source, book.user)
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Load).decode

    with _filled() as database:

        def hit(number: int) -> None:
            assert users.read(database.get(_key(number)), NOW)

        def miss(number: int) -> None:
            notification = Notification(f"0-{number}", _KEY.format(number), "bench", "hello", NOW, user=str(number))
            consult(notification, None, book.source, book.scenarios["hello"].document, NOW)
            decode(encode(Load(notification.key, notification)))
            database.write({_key(number): _row(reader.read(notification.key, [_columns(number)], NOW).user)}, number, NOW)

        return {"hit_us": _cost(lambda number: hit(number * 7919 % USERS), rounds), "miss_us": _cost(miss, rounds)}


@contextmanager
def _filled() -> Iterator[Database]:
    with tempfile.TemporaryDirectory(prefix="inm-") as folder:
        database = Database(Path(folder) / "users-0")
        for first in range(0, USERS, 1000):
            database.write({_key(number): _row(_user(number)) for number in range(first, first + 1000)}, first, NOW)
        yield database
        database.close()


def _key(number: int) -> bytes:
    return _KEY.format(number).encode()


def _row(user: User) -> bytes:
    return users.written(user, user.ends)


def _user(number: int) -> User:
    fields = {"segment": "gold", "age": number % 90} | {f"field{other}": f"value {other}" for other in range(8)}
    return User(
        _KEY.format(number), NOW + 86_400_000, language="it", tone="young", name="Ada", phone="+393400000001", loaded_at=NOW, fields=fields
    )


def _columns(number: int) -> dict[str, Any]:
    return {"id": str(number), "language": "it", "phone": "+393400000001", "name": "Ada", "segment": "gold", "age": str(number % 90)}


def _book(rules: int) -> Book:
    """A tenant whose scenario has so many rules; the last one holds."""
    never = [{"name": f"rule {number}", "when": f"request.country == 'X{number}' && user.age > {number}"} for number in range(rules - 1)]
    last = [{"name": "the last", "when": "request.country == 'CH'", "lane": "urgent"}] if rules else []
    step = {"channel": "sms", "template": "hello", "sender": "bench", "after": 300}
    text = "{{ code }} is your code for {{ amount | money('EUR') }}."
    documents: list[dict[str, Any]] = [
        {"kind": "tenant", "name": "bench", "title": "Bench", "language": "it", "timezone": "Europe/Rome", "routes": {"sms": "smsc-1"}},
        {"kind": "sender", "name": "bench", "channel": "sms", "address": "Bench"},
        {
            "kind": "fields",
            "name": "request",
            "fields": {name: {"type": "string"} for name in ("code", "country")} | {"amount": {"type": "decimal"}},
        },
        {"kind": "fields", "name": "user", "fields": {name: {"type": "string"} for name in _STRINGS} | {"age": {"type": "integer"}}},
        {
            "kind": "source",
            "name": "crm",
            "type": "sql",
            "url_env": "BENCH",
            "users": {"query": "SELECT * FROM users WHERE id IN :keys", "map": _MAP},
        },
        {
            "kind": "template",
            "name": "hello",
            "channel": "sms",
            "variants": {"en": {"text": text}, "it": {"text": text}, "it/young": {"text": text}},
        },
        {"kind": "scenario", "name": "hello", "validity": 3600, "plan": [step], "rules": [*never, *last]},
    ]
    held = {}
    for document in documents:
        path = path_of(document | ({} if document["kind"] == "tenant" else {"tenant": "bench"}))
        path += "/1" if document["kind"] == "template" else ""
        held[path] = Held(path, 1, document if document["kind"] == "tenant" else document | {"tenant": "bench"}, "bench", 0, "approved")
    book = bind(held)
    assert book is not None
    return book
