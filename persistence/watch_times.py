"""Who was ever in a session, how long each has watched, and the greatest audience, in Postgres."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from persistence.postgres import Postgres


class Watched(Struct, frozen=True, gc=False):
    """What a node has seen of a user in a session. Times are in milliseconds, and say how long ago that was.

    The user was there from `since` to `until`, and watched for `watched` milliseconds between `began` and `ended`.
    """

    session: str
    member: str
    since: int
    until: int
    began: int
    ended: int
    watched: int


class Peak(Struct, frozen=True, gc=False):
    """How many users a session had, and how many milliseconds ago."""

    session: str
    users: int
    age: int


class Totals(Struct, frozen=True):
    """What a session's audience comes to.

    Distinct users who were ever there, milliseconds that they watched, all together, the most users who were there
    at the same time, and when that was, in milliseconds since the epoch.
    """

    users: int = 0
    watched_ms: int = 0
    peak: int = 0
    peak_at: int | None = None


_ADD: Final = "SELECT add_watch_times($1::uuid[], $2, $3, $4, $5, $6, $7)"
_PEAKS: Final = "SELECT add_peaks($1::uuid[], $2, $3)"
_OF: Final = """
    SELECT w.users, w.watched_ms, coalesce(p.users, 0), p.at
      FROM (SELECT count(*) AS users, coalesce(sum(watched_ms), 0)::bigint AS watched_ms
              FROM watch_times WHERE session = $1::uuid) w
      LEFT JOIN audience_peaks p ON p.session = $1::uuid
"""


class WatchTimes:
    """Adds what nodes have seen, and gives what it comes to."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def add(self, watched: Sequence[Watched]) -> None:
        """Add to what is known, in one statement. To add the same again changes nothing.

        No two may have session and member in common.

        Raises:
            Unavailable: nobody knows whether it was added.
        """
        await self._postgres.row(
            _ADD,
            [item.session for item in watched],
            [item.member for item in watched],
            [item.since for item in watched],
            [item.until for item in watched],
            [item.began for item in watched],
            [item.ended for item in watched],
            [item.watched for item in watched],
        )

    async def add_peaks(self, peaks: Sequence[Peak]) -> None:
        """Keep those that are greater than what is known. No two may have the session in common.

        Raises:
            Unavailable
        """
        await self._postgres.row(
            _PEAKS, [peak.session for peak in peaks], [peak.users for peak in peaks], [peak.age for peak in peaks]
        )

    async def of(self, session: str) -> Totals:
        """Give what a session's audience comes to.

        Raises:
            Unavailable
        """
        row = await self._postgres.row(_OF, session)
        assert row is not None
        return Totals(*row)
