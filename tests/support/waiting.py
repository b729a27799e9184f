"""Waits for what comes soon, and tells nobody."""

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], object], within: float = 10.0) -> None:
    """Wait until something is true.

    Raises:
        TimeoutError: it is not `within` so many seconds.
    """
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110 - as it says
            await asyncio.sleep(0.01)
