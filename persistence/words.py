"""The index over the words of chats, which follows the logs: see the migration that defines `index_words`."""

from collections.abc import Sequence

from msgspec import Struct

from persistence.postgres import Postgres


class Indexed(Struct, frozen=True, gc=False):
    """How many events of a log were indexed, and how many are left."""

    events: int
    behind: int


class WordIndex:
    """Moves the index on."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def index(self, sessions: Sequence[str], most: int) -> dict[str, Indexed]:
        """Index what is not indexed yet of these sessions, `most` events in all, and the first sessions first.

        Gives what became of those that exist. What another node is indexing is left to it.

        Raises:
            Unavailable: nothing was indexed, or nobody knows; that does no harm.
        """
        rows = await self._postgres.rows(
            "SELECT session, indexed, behind FROM index_words($1::uuid[], $2)", sessions, most
        )
        return {str(session): Indexed(events, behind) for session, events, behind in rows}
