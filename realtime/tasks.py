"""Tasks that belong to the node: none is lost to the garbage collector, none fails unseen."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from realtime.protocol.codes import Refusal

T = TypeVar("T")
log = structlog.get_logger("tasks")


class Tasks:
    """Starts tasks, keeps them, and stops them all."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task. If it fails and nobody awaits it, the log tells."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    async def stop(self) -> None:
        """Cancel all and wait until they are gone."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (exc := task.exception()) and not isinstance(exc, Refusal):
            log.error("task failed", exc_info=exc)
