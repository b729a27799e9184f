"""Copies of inboxes on a real Valkey: whole, or not there."""

from collections.abc import AsyncIterator

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persistence.errors import Unavailable
from persistence.inbox import InboxHead
from persistence.inbox_streams import Change, InboxStreams
from persistence.log import Record
from persistence.redis import Redis, connect
from tests.support.loops import Loop

STREAM, HEAD = "sw:inbox:{bob}", "sw:inbox:{bob}:head"
DAY = 86_400_000


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with connect(redis_url, connections=4, timeout=2) as made:
        yield made


@pytest.fixture
def streams(client: Redis) -> InboxStreams:
    return InboxStreams(client, 5, DAY)


def record(seq: int) -> Record:
    return Record(seq, 1000 + seq, "direct", "ann", f"key {seq}", f'{{"n": {seq}}}')


def change(first: int, last: int, *, epoch: str = "e", acked: int = 0, dropped: int = 0, anew: bool = False) -> Change:
    """Give the change that brings these entries."""
    return Change(
        member="bob",
        epoch=epoch,
        after=first - 1,
        records=[record(n) for n in range(first, last + 1)],
        acked=acked,
        dropped=dropped,
        anew=anew,
    )


def acked(upto: int, *, anew: bool = False) -> Change:
    return Change(member="bob", epoch="e", after=upto, acked=upto, anew=anew)


async def held(streams: InboxStreams, after: int = -1, limit: int = 100) -> tuple[InboxHead, list[int]] | None:
    """Give the copy's head, and the ids that it has."""
    [found] = await streams.read([("bob", after)], limit)
    return (found.head, [r.seq for r in found.records]) if found else None


async def test_what_was_written_is_read(streams: InboxStreams) -> None:
    assert await streams.write([change(1, 2), change(3, 4)]) == [True, True]
    [mine, none] = await streams.read([("bob", 1), ("eve", -1)], 2)
    assert none is None
    assert mine is not None
    assert (mine.head, mine.after, mine.sure) == (InboxHead("e", 4), 1, False)
    assert mine.records == [record(2), record(3)]
    assert await streams.write([]) == []
    assert await streams.read([], 1) == []


async def test_both_keys_of_a_user_lie_in_one_slot_and_end_after_their_lifetime(
    streams: InboxStreams, client: Redis
) -> None:
    await streams.write([change(1, 1)])
    keys = sorted(await client.keys("*"))
    assert keys == [STREAM.encode(), HEAD.encode()]
    for key in keys:
        assert 0 < await client.pttl(key) <= DAY


async def test_what_was_written_already_is_not_written_twice(streams: InboxStreams) -> None:
    await streams.write([change(1, 3)])
    assert await streams.write([change(2, 3), change(1, 1), change(2, 5)]) == [True] * 3
    assert await held(streams) == (InboxHead("e", 5), [1, 2, 3, 4, 5])


async def test_a_gap_drops_the_copy(streams: InboxStreams, client: Redis) -> None:
    assert await streams.write([change(1, 2), change(4, 4)]) == [True, False]
    assert await client.keys("*") == []
    # What lacks now comes too late.
    assert await streams.write([change(3, 3)]) == [False]
    assert await held(streams) is None


async def test_the_newest_are_kept(streams: InboxStreams, client: Redis) -> None:
    await streams.write([change(1, 4), change(5, 8)])
    assert await held(streams) == (InboxHead("e", 8, 0, 3), [4, 5, 6, 7, 8])
    assert await client.xlen(STREAM) == 5


async def test_what_is_acknowledged_is_gone(streams: InboxStreams, client: Redis) -> None:
    await streams.write([change(1, 4)])
    assert await streams.write([acked(2), acked(1)]) == [True, True]
    assert await held(streams) == (InboxHead("e", 4, 2, 0), [3, 4])
    await streams.write([acked(4), change(5, 5)])
    assert await held(streams) == (InboxHead("e", 5, 4, 0), [5])
    # An acknowledgement of what the copy has not seen makes nothing of it certain.
    assert await streams.write([acked(7)]) == [False]
    assert await client.keys("*") == []


async def test_an_empty_inbox_can_be_copied_without_entries(streams: InboxStreams) -> None:
    assert await streams.write([acked(7, anew=True), change(6, 7), change(8, 8)]) == [True] * 3
    assert await held(streams) == (InboxHead("e", 8, 7, 3), [8])


async def test_a_copy_begins_with_the_first_entry_or_anew(streams: InboxStreams) -> None:
    assert await streams.write([change(3, 4)]) == [False]
    assert await streams.write([change(3, 4, acked=1, dropped=2, anew=True), change(5, 5)]) == [True, True]
    assert await held(streams) == (InboxHead("e", 5, 1, 2), [3, 4, 5])
    # What is read from Postgres may be older than what has come since.
    assert await streams.write([change(3, 4, dropped=2, anew=True)]) == [True]
    assert await held(streams) == (InboxHead("e", 5, 1, 2), [3, 4, 5])


@pytest.mark.parametrize("lost", [STREAM, HEAD])
async def test_a_copy_of_which_a_part_was_evicted_is_begun_anew(
    streams: InboxStreams, client: Redis, lost: str
) -> None:
    await streams.write([change(1, 4)])
    await client.delete(lost)
    assert await streams.write([change(5, 5)]) == [False]
    await streams.write([change(1, 4)])
    await client.delete(lost)
    assert await streams.write([change(1, 5, anew=True)]) == [True]
    assert await held(streams) == (InboxHead("e", 5), [1, 2, 3, 4, 5])


async def test_another_life_begins_another_copy(streams: InboxStreams) -> None:
    await streams.write([change(1, 4)])
    assert await streams.write([change(5, 5, epoch="f")]) == [False]
    assert await held(streams) is None
    await streams.write([change(1, 4), change(1, 1, epoch="f")])
    assert await held(streams) == (InboxHead("f", 1), [1])


async def test_a_redis_that_is_away() -> None:
    async with connect("unix:///nonexistent/valkey.sock", connections=1, timeout=1) as nowhere:
        streams = InboxStreams(nowhere, 5, DAY)
        with pytest.raises(Unavailable):
            await streams.write([change(1, 1)])
        with pytest.raises(Unavailable):
            await streams.read([("bob", 0)], 1)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 3)),
        st.tuples(st.just("late"), st.integers(1, 12)),
        st.tuples(st.just("ack"), st.integers(1, 12)),
        st.tuples(st.just("anew"), st.just(0)),
        st.tuples(st.just("evict"), st.sampled_from([0, 1])),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_a_copy_is_never_more_than_a_prefix_of_the_truth(redis_url: str, steps: list[tuple[str, int]]) -> None:
    async def tell() -> None:
        async with connect(redis_url, connections=2, timeout=2) as client:
            await client.flushall()
            await follow(InboxStreams(client, 5, DAY), client, steps)

    uvloop.run(tell(), loop_factory=Loop)


async def follow(streams: InboxStreams, client: Redis, steps: list[tuple[str, int]]) -> None:
    """Write what happens to an inbox, some of it late, twice or never, and look what the copy says each time."""
    seq = gone = 0
    for step, number in steps:
        if step == "append":
            seq += number
            await streams.write([change(seq - number + 1, seq)])
        elif step == "late" and seq:
            await streams.write([change(min(number, seq), min(number, seq))])
        elif step == "ack":
            gone = max(gone, min(number, seq))
            await streams.write([acked(gone)])
        elif step == "anew" and seq:
            oldest = max(gone, seq - 5)
            await streams.write([change(oldest + 1, seq, acked=gone, dropped=seq - 5, anew=True)])
        elif step == "evict":
            await client.delete((STREAM, HEAD)[number])
        if (found := await held(streams)) is not None and await client.exists(STREAM):
            head, ids = found
            assert head.seq <= seq
            assert ids == list(range(head.gone + 1, head.seq + 1))
