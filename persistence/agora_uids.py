"""The numbers by which Agora knows users, in Postgres: those that were given out."""

from typing import Final

from msgspec import Struct

from persistence.postgres import Postgres

_HOLDERS: Final = """
    SELECT u.session::text, u.member, u.uid, c.joins, c.joins AND is_host(u.session, u.member)
      FROM agora_uids u JOIN sessions s ON s.id = u.session,
           LATERAL (SELECT admits(u.session, u.member)
                           AND NOT EXISTS (SELECT FROM freezes f WHERE f.member = u.member AND f.frozen) AS joins) c
     WHERE s.state <> 'ended' """


class Holder(Struct, frozen=True):
    """Who has which number in a session, and what that user may do now in its channel: be there, and publish."""

    session: str
    user: str
    uid: int
    joins: bool
    publishes: bool


class AgoraUids:
    """The numbers of all sessions. `Sessions.agora_uid` gives them out."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

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
