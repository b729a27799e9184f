"""Something that is there at times, and waited for."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Latch(Generic[T]):
    """Holds a value, or an error in its place, or nothing yet."""

    def __init__(self) -> None:
        self._future: asyncio.Future[T] | None = None

    @property
    def value(self) -> T | None:
        """Give the value, if there is one."""
        future = self._future
        return future.result() if future is not None and future.done() and future.exception() is None else None

    def open(self, value: T) -> None:
        """Let everyone through who waits, or will."""
        self.shut()
        self._waited_for().set_result(value)

    def fail(self, error: Exception) -> None:
        """Raise an error to everyone who waits, or will."""
        self.shut()
        future = self._waited_for()
        future.set_exception(error)
        # It counts as seen, also where nobody waits.
        future.exception()

    def shut(self) -> None:
        """Have everyone wait who comes from now on."""
        if self._future is not None and self._future.done():
            self._future = None

    async def wait(self) -> T:
        """Give the value, as soon as there is one."""
        # Others wait for the same.
        return await asyncio.shield(self._waited_for())

    def _waited_for(self) -> "asyncio.Future[T]":
        if self._future is None:
            self._future = asyncio.get_running_loop().create_future()
        return self._future
