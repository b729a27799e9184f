import asyncio

import pytest

from stagewire_client.latch import Latch


async def test_whoever_waits_gets_the_value_as_soon_as_there_is_one() -> None:
    latch: Latch[int] = Latch()
    assert latch.value is None
    waiting = [asyncio.create_task(latch.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    latch.open(5)
    assert await asyncio.gather(*waiting) == [5, 5]
    assert await latch.wait() == latch.value == 5


async def test_whoever_waits_is_told_the_error_and_so_is_everyone_after() -> None:
    latch: Latch[int] = Latch()
    waiting = asyncio.create_task(latch.wait())
    await asyncio.sleep(0)
    latch.fail(KeyError("x"))
    with pytest.raises(KeyError):
        await waiting
    with pytest.raises(KeyError):
        await latch.wait()
    assert latch.value is None


async def test_a_latch_that_was_shut_waits_again() -> None:
    latch: Latch[int] = Latch()
    latch.open(5)
    latch.shut()
    waiting = asyncio.create_task(latch.wait())
    await asyncio.sleep(0)
    # Who waits already goes on to do so.
    latch.shut()
    assert latch.value is None
    latch.open(6)
    assert await waiting == 6


async def test_one_who_stops_to_wait_stops_no_other() -> None:
    latch: Latch[int] = Latch()
    one, other = asyncio.create_task(latch.wait()), asyncio.create_task(latch.wait())
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.sleep(0)
    latch.open(7)
    assert await other == 7
    assert one.cancelled()
