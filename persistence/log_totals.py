"""What a log comes to once it is closed, kept in Postgres for as long as its session."""

from uuid import UUID

from msgspec import Struct

from persistence.postgres import Postgres


class LogTotals(Struct, frozen=True):
    """How many messages were posted in a session, and by how many users."""

    messages: int
    chatters: int


class LogsTotalled:
    """Counts logs that are closed, each once."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def of(self, session: str) -> LogTotals | None:
        """Give what a session's log comes to; nothing while it is open, or where there is no such session.

        Raises:
            Unavailable
        """
        rows = await self._postgres.rows("SELECT messages, chatters FROM total_log($1)", UUID(session))
        return LogTotals(*rows[0]) if rows else None
