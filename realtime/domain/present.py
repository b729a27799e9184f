"""Who is there, by name, as long as they are few: what is told of it, and when.

Whoever follows a session holds a list. It is given as a whole first, and then what changes of it. Whoever leaves stays
on it for a grace, so that one who only reconnects neither leaves nor joins.
"""

from collections.abc import Collection

from msgspec import Struct


class News(Struct, frozen=True, kw_only=True):
    """What is to be told: the list as a whole, or who joined and left, or, with neither, that there is none."""

    present: list[str] | None = None
    joined: list[str] | None = None
    left: list[str] | None = None


class Present:
    """The list that clients hold. At most `limit` users are listed, besides as many who have just left.

    Times are in seconds, of any one clock.
    """

    def __init__(self, limit: int, grace: float) -> None:
        self._limit = limit
        self._grace = grace
        self._there: frozenset[str] | None = None
        self._told: set[str] | None = None
        # Who has left and is still on the list, and until when. In the order of their leaving.
        self._leaving: dict[str, float] = {}

    @property
    def told(self) -> list[str] | None:
        """Give the list as it was told, if there is one."""
        return None if self._told is None else sorted(self._told)

    def see(self, there: Collection[str] | None, now: float) -> None:
        """Take note of who is there now, or that these are too many."""
        self._there = None if there is None or len(there) > self._limit else frozenset(there)
        if self._there is None or self._told is None:
            self._leaving.clear()
            return
        for user in self._there & self._leaving.keys():
            del self._leaving[user]
        for user in sorted(self._told - self._there - self._leaving.keys()):
            self._leaving[user] = now + self._grace

    def due(self, now: float) -> bool:
        """Tell whether there is something to tell."""
        if self._there is None or self._told is None:
            return (self._there is None) is not (self._told is None)
        return not self._there <= self._told or bool(self._over(now))

    @property
    def waiting(self) -> bool:
        """Tell whether somebody has left of whom it is not told yet."""
        return bool(self._leaving)

    def tell(self, now: float) -> News:
        """Give what is to be told now, and take it as told."""
        if self._there is None:
            self._told = None
            return News()
        if self._told is None:
            self._told = set(self._there)
            return News(present=sorted(self._told))
        joined, left = sorted(self._there - self._told), self._over(now)
        for user in left:
            del self._leaving[user]
        self._told.update(joined)
        self._told.difference_update(left)
        return News(joined=joined, left=sorted(left))

    def _over(self, now: float) -> list[str]:
        """Give those whose grace has passed, and the first of those who are too many to wait."""
        excess = len(self._leaving) - self._limit
        return [user for place, (user, until) in enumerate(self._leaving.items()) if until <= now or place < excess]
