import asyncio
import gc
from typing import Any

import pytest

from persistence.errors import Unavailable
from realtime import tasks as module
from realtime.protocol.codes import Code, Refusal
from realtime.tasks import Tasks


async def fail(exc: Exception) -> None:
    raise exc


async def test_a_task_is_kept_until_it_is_done() -> None:
    tasks, go = Tasks(), asyncio.Event()

    async def work() -> int:
        await go.wait()
        return 5

    task = tasks.start(work())
    gc.collect()
    assert len(tasks._running) == 1
    go.set()
    assert await task == 5
    assert not tasks._running
    await tasks.stop()


@pytest.mark.parametrize("exc", [ZeroDivisionError(), Refusal(Code.NOT_FOUND, "no"), Unavailable("no")], ids=repr)
async def test_a_failure_is_seen_to_here_and_by_whoever_awaits(exc: Exception) -> None:
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    tasks = Tasks()
    with pytest.raises(type(exc)):
        await tasks.start(fail(exc))
    tasks.start(fail(exc))
    while tasks._running:  # noqa: ASYNC110 - nobody awaits that task
        await asyncio.sleep(0)
    gc.collect()
    assert unseen == []


async def test_what_goes_on_for_ever_begins_again_whatever_ended_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.001)
    tasks, enough = Tasks(), asyncio.Event()
    rounds: list[int] = []

    async def work() -> None:
        rounds.append(len(rounds))
        match rounds[-1]:
            case 0:
                raise ZeroDivisionError
            case 1:
                raise Unavailable("no")
            case 2:
                return
            case _:
                enough.set()
                await asyncio.sleep(60)

    tasks.keep(work)
    async with asyncio.timeout(5):
        await enough.wait()
    await tasks.stop()
    assert rounds == [0, 1, 2, 3]


async def test_stopping_cancels_all_and_waits_for_them() -> None:
    tasks, ended = Tasks(), []

    async def work(n: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append(n)

    for n in range(3):
        tasks.start(work(n))
    await asyncio.sleep(0)
    await tasks.stop()
    assert sorted(ended) == [0, 1, 2]


async def test_a_cancellation_that_is_swallowed_is_repeated() -> None:
    tasks, cancelled = Tasks(), 0

    async def work() -> None:
        nonlocal cancelled
        while cancelled < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled += 1

    tasks.start(work())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await tasks.stop()
    assert cancelled == 2
