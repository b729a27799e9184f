"""Who may come to private sessions, and who has asked to, in Postgres."""

from collections.abc import Sequence

from msgspec import Struct

from persistence.changes import Changed, changed
from persistence.postgres import Postgres


class Guest(Struct, frozen=True):
    """A user's standing with a session: "allowed", "asked" or "declined", and since when, in milliseconds."""

    user: str
    standing: str
    at: int


class GuestsChanged(Struct, frozen=True):
    """What became of a change: its event; who is allowed now, who is not any more, and who of the former had asked."""

    told: Changed
    allowed: list[str]
    removed: list[str]
    asked: list[str]


class Guests:
    """The guests of all sessions."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def change(
        self, session: str, by: str, allow: Sequence[str], remove: Sequence[str], most: int
    ) -> GuestsChanged:
        """Let some in, and others not any more; `most` may be let in at all."""
        rows = await self._postgres.rows(
            "SELECT outcome, epoch, seq, at, kind, sender, key, body, allowed, removed, asked"
            " FROM change_guests($1, $2, $3, $4, $5)",
            session,
            by,
            allow,
            remove,
            most,
        )
        *told, allowed, removed, asked = rows[0]
        return GuestsChanged(changed(told), allowed or [], removed or [], asked or [])

    async def admits(self, session: str, user: str) -> bool:
        """Tell whether a session is there for a user: it is not private, or the user was named in it, or allowed."""
        row = await self._postgres.row("SELECT admits($1, $2)", session, user)
        return bool(row and row[0])

    async def ask(self, session: str, user: str, most: int) -> Guest | None:
        """Take note that a user asks to be let in, and give the user's standing; nothing where `most` wait already."""
        row = await self._postgres.row("SELECT standing, at FROM ask_in($1, $2, $3)", session, user, most)
        return Guest(user, *row) if row else None

    async def decline(self, session: str, user: str) -> None:
        """Decline a user who has asked."""
        await self._postgres.rows(
            "UPDATE guests SET standing = 'declined', at = now_ms()"
            " WHERE session = $1 AND member = $2 AND standing = 'asked'",
            session,
            user,
        )

    async def find(self, session: str, user: str) -> Guest | None:
        """Give a user's standing, if there is any."""
        row = await self._postgres.row(
            "SELECT member, standing, at FROM guests WHERE session = $1 AND member = $2", session, user
        )
        return Guest(*row) if row else None

    async def page(self, session: str, standing: str | None, after: str, limit: int) -> list[Guest]:
        """Give the first `limit` guests whose names come after `after`, of one standing or of all."""
        rows = await self._postgres.rows(
            "SELECT member, standing, at FROM guests"
            " WHERE session = $1 AND ($2::text IS NULL OR standing = $2) AND member > $3 ORDER BY member LIMIT $4",
            session,
            standing,
            after,
            limit,
        )
        return [Guest(*row) for row in rows]
