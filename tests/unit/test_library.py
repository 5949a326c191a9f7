"""What a worker knows of the documents: whole changes, in order, and nothing lost when the topic is read again."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from inm.core.apikeys import ApiKey
from inm.core.reference import Answer, Held
from inm.streaming.mirror import Anew, Mirror
from inm.tables.library import Library

PLACE = TopicPartition("inm.reference", 0)


def row(path: str, revision: int = 1, **document: Any) -> tuple[bytes, bytes]:
    return path.encode(), msgspec.json.encode(Held(path, revision, document, "anna", 0))


def tenant(name: str, title: str = "T") -> tuple[bytes, bytes]:
    return row(f"{name}/tenant", kind="tenant", name=name, title=title, language="en", timezone="UTC", routes={})


def answer(change: str) -> tuple[bytes, bytes]:
    return f"!answer/000/{change}".encode(), msgspec.json.encode(Answer(change))


async def test_no_change_is_seen_in_part() -> None:
    library = Library()
    await library.take(dict([tenant("acme")]), False)
    assert library.empty
    assert library.catalogue.tenants == []
    await library.take(dict([answer("c1")]), False)
    assert library.catalogue.tenants == ["acme"]


async def test_who_waits_for_an_answer_sees_what_it_tells_of() -> None:
    library = Library()
    awaited = library.answer("c1")
    await library.take(dict([tenant("acme"), answer("c1")]), False)
    assert (await awaited).change == "c1"
    assert library.held("acme")


async def test_documents_go_and_what_is_not_ours_is_passed_over() -> None:
    changes: list[int] = []
    library = Library(on_change=lambda: changes.append(1))
    await library.take({**dict([tenant("acme"), tenant("volta")]), b"acme/x": b"no JSON", b"\xff": b"{}"}, True)
    assert library.tenants == ["acme", "volta"]
    await library.take({b"acme/tenant": None, b"acme/never": None}, True)
    assert (library.tenants, library.catalogue.tenants) == (["volta"], ["volta"])
    await library.take(dict([tenant("volta")]), True)
    assert len(changes) == 2, "what is as it was makes no new catalogue"


async def test_only_the_book_of_a_changed_tenant_is_made_anew() -> None:
    library = Library()
    await library.take(dict([tenant("acme"), tenant("volta")]), True)
    before = library.catalogue
    await library.take(dict([tenant("acme", "New")]), True)
    assert library.catalogue.book("volta") is before.book("volta")
    assert library.catalogue.book("acme") is not before.book("acme")


async def test_keys_of_documents_stand_beside_those_of_the_settings_and_go_with_them() -> None:
    own = ApiKey("acme", "own", "0" * 64)
    library = Library({own.sha256: own})
    key = row("acme/key/crm", kind="key", tenant="acme", name="crm", sha256="1" * 64, expires=5)
    await library.take(dict([tenant("acme"), key]), True)
    assert (library.keys["1" * 64].id, library.keys["1" * 64].expires) == ("crm", 5)
    await library.take({b"acme/key/crm": None}, True)
    assert dict(library.keys) == {own.sha256: own}


# -- the mirror -----------------------------------------------------------------------------------


class Topic:
    """A compacted topic, and a consumer of it."""

    def __init__(self) -> None:
        self.records: list[tuple[int, bytes, bytes | None]] = []
        self.end = self._position = self._answers = 0
        self._behind = asyncio.Event()

    def append(self, key: bytes, value: bytes | None) -> None:
        self.records.append((self.end, key, value))
        self.end += 1

    def compact(self) -> None:
        """Only the last record of each key, and none of what is deleted."""
        last = {key: offset for offset, key, _ in self.records}
        self.records = [record for record in self.records if last[record[1]] == record[0] and record[2] is not None]

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, places: Sequence[TopicPartition]) -> None: ...
    def pause(self, *places: TopicPartition) -> None: ...
    def resume(self, *places: TopicPartition) -> None: ...

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._position = offset

    async def position(self, place: TopicPartition) -> int:
        return self._position

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {PLACE: self.end}

    async def beginning_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {PLACE: 0}

    def highwater(self, place: TopicPartition) -> int:
        return self.end

    def last_poll_timestamp(self, place: TopicPartition) -> int:
        return self._answers

    async def getmany(self, *places: TopicPartition, timeout_ms: int = 0, max_records: int = 0) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0)
        self._answers += 1
        found = [_Record(*record) for record in self.records if record[0] >= self._position]
        self._position = self.end
        return {PLACE: found} if found else {}


class _Record(msgspec.Struct):
    offset: int
    key: bytes
    value: bytes | None


class Copy:
    """What a mirror has handed on."""

    def __init__(self, topic: Topic) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.mirror = Mirror("inm.reference", lambda: topic, self.take)

    async def take(self, rows: Any, whole: bool) -> None:
        for key, value in rows.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value


EVENTS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([b"1", b"2", None]), st.sampled_from(["", "", "compact", "away"])), max_size=30
)


@settings(deadline=None)
@given(EVENTS, st.integers(0, 30))
def test_a_mirror_is_what_the_topic_says(events: list[tuple[str, bytes | None, str]], loaded: int) -> None:
    asyncio.run(_mirrors(events, loaded))


async def _mirrors(events: list[tuple[str, bytes | None, str]], loaded: int) -> None:
    topic, expected = Topic(), dict[bytes, bytes | None]()
    copy = Copy(topic)
    follows: asyncio.Task[None] | None = None
    for number, (key, value, what) in enumerate(events):
        if number == loaded:
            await copy.mirror.load()
            follows = asyncio.create_task(copy.mirror.follow())
        topic.append(key.encode(), value)
        expected[key.encode()] = value
        if what == "away" and follows is not None:
            follows.cancel()
            await asyncio.gather(follows, return_exceptions=True)
            copy.mirror._heard = None  # for so long that deletions may be compacted away
            topic.compact()
            follows = asyncio.create_task(copy.mirror.follow())
        elif what == "compact" and follows is None:
            topic.compact()
        elif number % 3 == 0:
            await asyncio.sleep(0)
    follows = follows or asyncio.create_task(copy.mirror.follow())
    for _ in range(50):
        await asyncio.sleep(0)
    follows.cancel()
    assert copy.rows == {key: value for key, value in expected.items() if value is not None}
    assert copy.mirror.age < 60


async def test_a_topic_that_was_made_anew_is_read_anew() -> None:
    topic = Topic()
    copy = Copy(topic)
    for key in (b"a", b"b", b"c"):
        topic.append(key, b"1")
    await copy.mirror.load()
    topic.records.clear()
    topic.end = 0
    topic.append(b"d", b"1")
    with pytest.raises(Anew):
        await asyncio.wait_for(copy.mirror._follow(), 5)
    copy.mirror._heard = None
    follows = asyncio.create_task(copy.mirror.follow())
    for _ in range(20):
        await asyncio.sleep(0)
    follows.cancel()
    assert copy.rows == {b"d": b"1"}
