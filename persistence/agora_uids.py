"""The numbers by which Agora knows users, in Postgres: those that were given out."""

from persistence.postgres import Postgres


class AgoraUids:
    """The numbers of all sessions. `Sessions.agora_uid` gives them out."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def find(self, session: str, user: str) -> int | None:
        """Give a user's number in a session, if there is one: without it, no token can have been issued.

        Raises:
            Unavailable
        """
        row = await self._postgres.row("SELECT uid FROM agora_uids WHERE session = $1 AND member = $2", session, user)
        return int(row[0]) if row else None

    async def hosts(self, session: str, user: str) -> bool:
        """Tell whether a user is a host of a session now, or a co-host, and so may publish.

        Raises:
            Unavailable
        """
        row = await self._postgres.row("SELECT is_host($1, $2)", session, user)
        return bool(row and row[0])

    async def any(self, session: str) -> bool:
        """Tell whether anybody has a number in a session.

        Raises:
            Unavailable
        """
        row = await self._postgres.row("SELECT EXISTS (SELECT FROM agora_uids WHERE session = $1)", session)
        return bool(row and row[0])

    async def of_user(self, user: str) -> list[tuple[str, int]]:
        """Give the sessions that have not ended in which a user has a number, and which.

        Raises:
            Unavailable
        """
        rows = await self._postgres.rows(
            "SELECT u.session, u.uid FROM agora_uids u JOIN sessions s ON s.id = u.session"
            " WHERE u.member = $1 AND s.state <> 'ended' ORDER BY u.session",
            user,
        )
        return [(str(session), int(uid)) for session, uid in rows]
