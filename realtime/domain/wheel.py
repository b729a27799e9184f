"""When what is due: a wheel of whole seconds, on which thousands of things cost one timer. Pure."""

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

# Seconds that have nothing any more, and are remembered in peace.
SLACK: Final = 64
T = TypeVar("T", bound=Hashable)


class Wheel(Generic[T]):
    """Knows things that are due at one second each. To put or remove one costs the same however many there are."""

    def __init__(self) -> None:
        self._at: dict[int, dict[T, None]] = {}
        self._second_of: dict[T, int] = {}
        # Each second that has something, and some that had.
        self._seconds: list[int] = []

    def __len__(self) -> int:
        return len(self._second_of)

    def put(self, thing: T, second: int) -> None:
        """Have a thing due at a second, and no more at the one before, if it was on the wheel."""
        self.remove(thing)
        if second not in self._at:
            self._at[second] = {}
            heappush(self._seconds, second)
        self._at[second][thing] = None
        self._second_of[thing] = second

    def remove(self, thing: T) -> None:
        """Take a thing off the wheel, if it is there."""
        second = self._second_of.pop(thing, None)
        if second is not None:
            del self._at[second][thing]
            if not self._at[second]:
                del self._at[second]
                self._forget()

    def take(self, now: int, most: int) -> list[T]:
        """Take off what is due by now, the earliest first, and at most so many."""
        taken: list[T] = []
        while len(taken) < most and self._seconds and self._seconds[0] <= now:
            if due := self._at.get(self._seconds[0]):
                taken.append(next(iter(due)))
                self.remove(taken[-1])
            else:
                heappop(self._seconds)
        return taken

    def _forget(self) -> None:
        """Forget the seconds that have nothing any more, once they are most: they may lie in the far future."""
        if len(self._seconds) > 2 * len(self._at) + SLACK:
            self._seconds = list(self._at)
            heapify(self._seconds)
