"""Tasks that belong to the node: none is lost to the garbage collector, none fails unseen."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from persistence.errors import StorageError
from persistence.tasks import end
from realtime.protocol.codes import Refusal

# Seconds until something begins again that was to go on for ever.
PAUSE: Final = 1.0
T = TypeVar("T")
log = structlog.get_logger("tasks")


class Tasks:
    """Starts tasks, keeps them, and stops them all."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task. If it fails in a way that nobody expects, the log tells."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def keep(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run what is to go on for ever. If it ends all the same, the log tells why, and it begins again soon."""
        self.start(_for_ever(work))

    async def stop(self) -> None:
        """Cancel all and wait until they are gone."""
        # A task that ends may start another.
        while running := [task for task in self._running if not task.done()]:
            await end(running)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        # Those two are told to whoever awaits the task.
        expected = (Refusal, StorageError)
        if not task.cancelled() and (exc := task.exception()) and not isinstance(exc, expected):
            log.error("task failed", exc_info=exc)


async def _for_ever(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            # A defect in one round must not cost all the rounds to come: nobody would notice for long.
            log.exception("task failed")
        await asyncio.sleep(PAUSE)
