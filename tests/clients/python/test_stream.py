import asyncio
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagewire_client.messages import Event, Gap
from stagewire_client.stream import Stream, Streams, folded


def event(seq: int) -> Event:
    return Event(seq=seq, at=0, kind="chat.posted", by="bob")


async def test_items_come_in_order_and_then_the_end() -> None:
    stream: Stream[int] = Stream(10)
    reading = asyncio.create_task(collect(stream))
    for number in range(3):
        stream.put(number)
        await asyncio.sleep(0)
    stream.end()
    assert await reading == [0, 1, 2]


async def collect(stream: Stream[int]) -> list[int]:
    return [item async for item in stream]


async def test_an_error_is_raised_after_what_came_before_it_again_and_again() -> None:
    stream: Stream[int] = Stream(10)
    stream.put(1)
    stream.end(KeyError("x"))
    stream.end()
    assert await anext(stream) == 1
    for _ in range(2):
        with pytest.raises(KeyError):
            await anext(stream)


async def test_of_too_much_the_oldest_is_dropped() -> None:
    stream: Stream[int] = Stream(2)
    for number in range(5):
        stream.put(number)
    stream.end()
    assert [item async for item in stream] == [3, 4]


async def test_what_was_dropped_of_events_is_told() -> None:
    stream: Stream[Event | Gap] = Stream(2, folded)
    for seq in range(1, 6):
        stream.put(event(seq))
    assert await anext(stream) == Gap(1, 3)
    assert await anext(stream) == event(4)
    stream.put(event(6))
    stream.put(event(7))
    assert [await anext(stream) for _ in range(3)] == [Gap(5, 5), event(6), event(7)]


def test_gaps_are_folded_as_long_as_one_log_lasts() -> None:
    assert folded(Gap(1, 3), Gap(4, 9)) == Gap(1, 9)
    assert folded(Gap(1, 3), Gap()) == Gap()
    assert folded(Gap(), event(4)) == Gap()


@given(st.lists(st.sampled_from(["put", "read"]), max_size=60), st.integers(1, 5))
def test_whatever_the_pace_every_event_is_given_or_told_as_missing(acts: list[str], limit: int) -> None:
    async def act() -> None:
        stream: Stream[Event | Gap] = Stream(limit, folded)
        put = 0
        got: list[Event | Gap] = []
        for what in acts:
            if what == "put":
                put += 1
                stream.put(event(put))
            elif covered(got) < put:
                got.append(await anext(stream))
        stream.end()
        got.extend([item async for item in stream])
        assert covered(got) == put

    asyncio.run(act())


def covered(got: list[Event | Gap]) -> int:
    reached = 0
    for one in got:
        first, last = (one.seq, one.seq) if isinstance(one, Event) else (one.first, one.last)
        assert first == reached + 1
        reached = last
    return reached


async def test_streams_reach_all_who_are_there_and_remember_nobody_else() -> None:
    streams: Streams[int] = Streams(10)
    one, other = streams.open(), streams.open()
    streams.put(1)
    del other
    gc.collect()
    late = streams.open()
    streams.put(2)
    streams.end()
    assert [item async for item in one] == [1, 2]
    assert [item async for item in late] == [2]
    assert len(streams._open) == 2
