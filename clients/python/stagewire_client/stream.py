"""What happens, one after the other, for whoever reads at a pace of their own: bounded, and never a silent hole."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Self, TypeVar
from weakref import WeakSet

from stagewire_client.messages import Event, Gap

T = TypeVar("T")
# Makes one item of what was dropped before, if anything was, and what is dropped now.
Fold = Callable[[T | None, T], T]


class Stream(Generic[T]):
    """An async iterator over up to `limit` items that wait.

    The oldest are dropped where more come: where there is a `fold`, it makes an item of them that tells so.
    """

    def __init__(self, limit: int, fold: Fold[T] | None = None) -> None:
        self._limit = limit
        self._fold = fold
        self._items: deque[T] = deque()
        self._dropped: T | None = None
        self._news = asyncio.Event()
        self._over = False
        self._error: Exception | None = None

    def put(self, item: T) -> None:
        """Add an item."""
        self._items.append(item)
        if len(self._items) > self._limit:
            oldest = self._items.popleft()
            self._dropped = self._fold(self._dropped, oldest) if self._fold else None
        self._news.set()

    def end(self, error: Exception | None = None) -> None:
        """Let the reader come to the end, and raise the error there, if there is one."""
        if not self._over:
            self._over, self._error = True, error
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            if self._dropped is not None:
                dropped, self._dropped = self._dropped, None
                return dropped
            if self._items:
                return self._items.popleft()
            if self._over:
                raise StopAsyncIteration if self._error is None else self._error.with_traceback(None)
            self._news.clear()
            await self._news.wait()


class Streams(Generic[T]):
    """All streams of the same, for as long as somebody has them."""

    def __init__(self, limit: int, fold: Fold[T] | None = None) -> None:
        self._limit = limit
        self._fold = fold
        self._open: WeakSet[Stream[T]] = WeakSet()

    def open(self) -> Stream[T]:
        """Give a stream of what comes from now on."""
        stream = Stream(self._limit, self._fold)
        self._open.add(stream)
        return stream

    def put(self, item: T) -> None:
        """Add an item to each."""
        for stream in list(self._open):
            stream.put(item)

    def end(self, error: Exception | None = None) -> None:
        """End each."""
        for stream in list(self._open):
            stream.end(error)


def folded(gap: Event | Gap | None, dropped: Event | Gap) -> Event | Gap:
    """Give the gap that takes the place of what a reader was too slow for."""
    first, last = (dropped.seq, dropped.seq) if isinstance(dropped, Event) else (dropped.first, dropped.last)
    if gap is None:
        return Gap(first, last)
    assert isinstance(gap, Gap)
    # What a log had before it began anew is counted otherwise.
    return Gap(gap.first, last) if gap.first and first else Gap()
