import asyncio
import gc

import pytest

from persistence.tasks import end, first


async def after(seconds: float, answer: str | Exception, heard: list[str] | None = None) -> str:
    """Give an answer, or fail, after some time."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if heard is not None:
            heard.append("cancelled")
        raise
    if isinstance(answer, Exception):
        raise answer
    return answer


async def test_the_first_success_counts_and_ends_the_others() -> None:
    heard: list[str] = []
    attempts = [after(60, "late", heard), after(0, KeyError("at once")), after(0.01, "soon"), after(60, "late", heard)]
    async with asyncio.timeout(5):
        assert await first(attempts) == "soon"
        await asyncio.sleep(0)
    assert heard == ["cancelled", "cancelled"]


async def test_where_all_fail_the_last_failure_counts() -> None:
    with pytest.raises(ValueError, match="late"):
        await first([after(0.01, ValueError("late")), after(0, KeyError("early"))])


async def test_two_at_the_same_time() -> None:
    assert await first([after(0, "one"), after(0, "one")]) == "one"


async def test_nobody_to_ask() -> None:
    with pytest.raises(ValueError, match="nobody"):
        await first([])


async def test_who_asks_may_be_interrupted() -> None:
    heard: list[str] = []
    asking = asyncio.create_task(first([after(60, "late", heard)]))
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0)
    assert heard == ["cancelled"]


async def test_what_fails_when_nobody_looks_any_more_is_not_complained_of(caplog: pytest.LogCaptureFixture) -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise KeyError("too late") from None
        return "never"

    assert await first([stubborn(), after(0, "soon")]) == "soon"
    await asyncio.sleep(0.01)
    gc.collect()
    assert caplog.records == []


async def test_the_end_is_insisted_on() -> None:
    cancelled = 0

    async def deaf() -> None:
        nonlocal cancelled
        while cancelled < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled += 1

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end([task])
        await end([task])
    assert task.done()
    assert cancelled == 2
