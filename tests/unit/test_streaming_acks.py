"""What may be committed, whatever finishes in whichever order."""

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from inm.streaming.chunks import AckQueue, Chunk

PARTITION = TP("inm.notifications", 0)


def chunk(*offsets: int, size: int = 1) -> Chunk:
    records: Any = [SimpleNamespace(offset=offset) for offset in offsets]
    return Chunk(PARTITION, records, generation=1, size=size)


@st.composite
def chunks_in_fetch_order(draw: st.DrawFn) -> list[Chunk]:
    """Chunks with holes within and between them, as compaction and transactions leave."""
    offsets = sorted(draw(st.sets(st.integers(0, 200), min_size=1, max_size=40)))
    cuts = sorted(draw(st.sets(st.integers(1, len(offsets)), max_size=10)) | {len(offsets)})
    starts = [0, *cuts[:-1]]
    return [chunk(*offsets[start:end]) for start, end in zip(starts, cuts, strict=True) if start < end]


@given(chunks_in_fetch_order(), st.randoms(use_true_random=False))
def test_nothing_is_committed_past_the_first_unfinished_chunk(chunks: list[Chunk], chance: Any) -> None:
    queue = AckQueue()
    for each in chunks:
        queue.add(each)
    order = [*chunks]
    chance.shuffle(order)
    for finished in order:
        finished.done = True
        at = queue.committable()
        queue.committed = at if at is not None else queue.committed
        unfinished = [each for each in chunks if not each.done]
        limit = unfinished[0].first if unfinished else chunks[-1].next_offset
        assert (queue.committed or 0) <= limit
        done_prefix = chunks[: chunks.index(unfinished[0])] if unfinished else chunks
        assert queue.committed == (done_prefix[-1].next_offset if done_prefix else None)
    assert queue.pending == 0


def test_a_commit_is_asked_for_once() -> None:
    queue = AckQueue(committed=5)
    first = chunk(5, 6)
    queue.add(first)
    assert queue.committable() is None
    first.done = True
    assert queue.committable() == 7
    queue.committed = 7
    assert queue.committable() is None


def test_what_is_no_record_is_stepped_over_when_all_before_it_is_finished() -> None:
    queue = AckQueue(committed=5, suspect_until=9)
    queue.add(last := chunk(5, 6))
    queue.skip(9)
    assert queue.committable() is None
    last.done = True
    assert (queue.committable(), queue.replaying) == (7, True)
    queue.skip(9)
    assert (queue.committable(), queue.replaying) == (9, False)
    queue.skip(8)  # the position was sought back
    assert queue.committable() == 9


def test_a_failed_commit_is_asked_for_again() -> None:
    queue = AckQueue(committed=0)
    first = chunk(0)
    queue.add(first)
    first.done = True
    assert queue.committable() == 1
    assert queue.committable() == 1


def test_outstanding_is_what_is_fetched_and_not_finished() -> None:
    queue = AckQueue()
    first, second = chunk(1, size=10), chunk(2, size=7)
    queue.add(first)
    queue.add(second)
    assert queue.outstanding == 17
    second.done = True
    assert queue.outstanding == 10
    assert queue.pending == 2


def test_only_a_begun_chunk_holds_up_a_rebalance() -> None:
    queue = AckQueue()
    first = chunk(1)
    queue.add(first)
    seen = [queue.started]
    first.begun_at = 1_000
    seen.append(queue.started)
    first.done = True
    seen.append(queue.started)
    assert seen == [False, True, False]


def test_a_record_fetched_twice_is_a_defect() -> None:
    queue = AckQueue()
    queue.add(chunk(3, 4))
    with pytest.raises(ValueError, match="twice"):
        queue.add(chunk(4, 5))


def test_what_a_dead_owner_began_stays_doubtful_until_its_repetitions_are_over() -> None:
    """A takeover that is itself interrupted, or that has just repeated something, must not leave clean: its successor still has to ask."""
    queue = AckQueue(committed=5, suspect_until=7, suspect_since=1_000)
    seen = [(queue.replaying, queue.begun_since(9_000), queue.clean)]
    first, second = chunk(5), chunk(6)
    for each in (first, second):
        each.begun_at = 8_000
        queue.add(each)
    first.done = True
    queue.committed = queue.committable()
    seen.append((queue.replaying, queue.begun_since(9_000), queue.clean))
    second.done = True
    queue.committed = queue.committable()
    seen.append((queue.replaying, queue.begun_since(9_000), queue.clean))
    queue.suspect_since = 0
    seen.append((queue.replaying, queue.begun_since(9_000), queue.clean))
    assert seen == [(True, 1_000, False), (True, 1_000, False), (False, 1_000, False), (False, 9_000, True)]
