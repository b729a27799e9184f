"""Whether a user follows a host: asked of Postgres, and remembered for a while."""

from collections import OrderedDict
from time import monotonic
from typing import Final

from persistence.followers import Followers
from realtime.bounded import keep
from realtime.settings import Settings

# Whoever has just begun to follow must not wait for long.
NEGATIVE_SECONDS: Final = 1.0


class Following:
    """Remembers a bounded number of answers: that somebody follows for longer than that somebody does not."""

    def __init__(self, followers: Followers, settings: Settings) -> None:
        self._followers = followers
        self._seconds = settings.followers_ms / 1000
        self._most = settings.followers_cache
        # The oldest answer first. Times are the monotonic clock's, in seconds.
        self._known: OrderedDict[tuple[str, str], tuple[bool, float]] = OrderedDict()

    def known(self, host: str, user: str) -> bool | None:
        """Give what is remembered."""
        follows, until = self._known.get((host, user), (None, 0.0))
        return follows if monotonic() < until else None

    async def follows(self, host: str, user: str) -> bool:
        """Tell whether a user follows a host.

        Raises:
            Unavailable
        """
        known = self.known(host, user)
        if known is None:
            known = await self._followers.follows(host, user)
            self._remember((host, user), known)
        return known

    def _remember(self, pair: tuple[str, str], follows: bool) -> None:
        until = monotonic() + (self._seconds if follows else NEGATIVE_SECONDS)
        keep(self._known, pair, (follows, until), self._most)

    async def change(self, host: str, add: list[str], remove: list[str]) -> None:
        """Add and remove followers. Other nodes learn of it when they ask again.

        Raises:
            Unavailable
        """
        await self._followers.change(host, add, remove)
        for user in (*add, *remove):
            self._known.pop((host, user), None)

    async def ask(self, host: str, user: str) -> bool:
        """Tell whether a user follows a host now, whatever is remembered.

        Raises:
            Unavailable
        """
        return await self._followers.follows(host, user)
