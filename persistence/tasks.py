"""Tasks: several attempts of which one is enough, and an end that is one."""

import asyncio
from collections.abc import Collection, Coroutine, Iterable
from typing import Any, Final, TypeVar

T = TypeVar("T")

# Seconds that a cancelled task has to end before it is cancelled again.
AGAIN: Final = 0.1


async def first(attempts: Iterable[Coroutine[Any, Any, T]]) -> T:
    """Give what the first attempt to succeed gives, and cancel the others.

    Raises:
        what the last of them raised, where none succeeds.
    """
    running = {asyncio.create_task(attempt) for attempt in attempts}
    failed: BaseException = ValueError("there is nobody to ask")
    try:
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            failures = {task: task.exception() for task in done}
            for task, failure in failures.items():
                if failure is None:
                    return task.result()
                failed = failure
    finally:
        for task in running:
            # What it still raises concerns nobody, and asyncio complains of what nobody has looked at.
            task.add_done_callback(_look)
            task.cancel()
    raise failed


def _look(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they end.

    Before Python 3.12 `wait_for`, which redis-py uses, may swallow a cancellation (python/cpython#86296).
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN)
