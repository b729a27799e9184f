"""Asking several at once, where one answer is enough."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def first(attempts: Iterable[Coroutine[Any, Any, T]]) -> T:
    """Give what the first attempt to succeed gives, and cancel the others.

    Raises:
        what the last of them raised, where none succeeds.
    """
    running = {asyncio.create_task(attempt) for attempt in attempts}
    failed: BaseException | None = None
    try:
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            # Every exception is looked at: asyncio complains of the others.
            failures = {task: task.exception() for task in done}
            for task, failure in failures.items():
                if failure is None:
                    return task.result()
                failed = failure
    finally:
        for task in running:
            task.cancel()
    if failed is None:
        raise ValueError("there is nobody to ask")
    raise failed
