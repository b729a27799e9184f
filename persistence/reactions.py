"""Reactions in Postgres: how often each kind was sent in each session."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from persistence.postgres import Postgres

# Kinds of one session, over all of its life: who invents new ones without end shall not fill the table.
MOST_KINDS: Final = 1000


class ReactionTotals:
    """Adds up the reactions of all nodes; `node` is the name of the one that adds some."""

    def __init__(self, postgres: Postgres, node: str = "") -> None:
        self._postgres = postgres
        self._node = node

    async def add(self, batch: int, counts: Mapping[tuple[str, str], int]) -> None:
        """Add counts by session and kind, as the batch of that number: once, however often it is sent.

        Numbers ascend.

        Raises:
            Unavailable: nobody knows whether they were added.
            Rejected: a session was deleted at that moment, and nothing was added.
        """
        await self._postgres.rows(
            "SELECT add_reactions($1, $2, $3::uuid[], $4, $5, $6)",
            self._node,
            batch,
            [session for session, _ in counts],
            [kind for _, kind in counts],
            list(counts.values()),
            MOST_KINDS,
        )

    async def of(self, session: str) -> dict[str, int]:
        """Give how often each kind was sent in a session."""
        rows = await self._postgres.rows("SELECT kind, total FROM reactions WHERE session = $1", UUID(session))
        return {str(kind): int(total) for kind, total in rows}
