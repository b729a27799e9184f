"""The numbers by which Agora knows users, in Postgres."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from persistence.postgres import Postgres

_HOLDERS: Final = """
    SELECT u.session::text, u.uid, c.joins, c.joins AND is_host(u.session, u.member)
      FROM agora_uids u JOIN sessions s ON s.id = u.session,
           LATERAL (SELECT admits(u.session, u.member)
                           AND NOT EXISTS (SELECT FROM freezes f WHERE f.member = u.member AND f.frozen) AS joins) c
     WHERE s.state <> 'ended' """


class Holder(Struct, frozen=True):
    """A number in a session, and what its user may do now in the channel: be there, and publish."""

    session: str
    uid: int
    joins: bool
    publishes: bool


class AgoraUids:
    """The numbers of all sessions: 1 to 2^32-1, unique in a session, and a user's for good."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def give(self, of: Sequence[tuple[str, str]]) -> list[int]:
        """Give the numbers of users in sessions, in order, and make those that are new, in one transaction.

        Callers have them ascending: two that draw for the same users in different orders would wait for each other.

        Raises:
            StorageError: Rejected, where a session does not exist.
        """
        rows = await self._postgres.rows(
            "SELECT agora_uid(i.session, i.member) FROM unnest($1::uuid[], $2::text[]) AS i (session, member)",
            [session for session, _ in of],
            [user for _, user in of],
        )
        return [int(uid) for (uid,) in rows]

    async def any(self, session: str) -> bool:
        """Tell whether anybody has a number in a session.

        Raises:
            Unavailable
        """
        row = await self._postgres.row("SELECT EXISTS (SELECT FROM agora_uids WHERE session = $1)", session)
        return bool(row and row[0])

    async def holders(self, user: str, session: str | None = None) -> list[Holder]:
        """Give what a user who has a number may do, in one session or in all, where these have not ended.

        Raises:
            Unavailable
        """
        own = "AND u.member = $1 AND ($2::uuid IS NULL OR u.session = $2) ORDER BY u.session"
        return [Holder(*row) for row in await self._postgres.rows(_HOLDERS + own, user, session)]

    async def holder(self, session: str, uid: int) -> Holder | None:
        """Give whose number that is, unless it is nobody's or the session has ended.

        Raises:
            Unavailable
        """
        row = await self._postgres.row(_HOLDERS + "AND u.session = $1 AND u.uid = $2", session, uid)
        return Holder(*row) if row else None
