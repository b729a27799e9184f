"""Lists of sessions, the newest first."""

import re
from collections.abc import Collection
from typing import Final
from uuid import UUID

from msgspec import Struct

from persistence.postgres import Postgres
from persistence.sessions import SELECT, Session, session_of

_SPECIAL: Final = re.compile(r"([\\%_])")


class Wanted(Struct, frozen=True, kw_only=True):
    """Which sessions: in one of these states, of this host, with all these parts in their titles, whatever the case.

    No host is any host. Of private sessions those that are there for the viewer; for no viewer all are. Only sessions
    below the id `before` count, if there is one.
    """

    states: Collection[str]
    host: str | None = None
    viewer: str | None = None
    parts: Collection[str] = ()
    before: str | None = None


class Listing:
    """Finds sessions."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def find(self, wanted: Wanted, limit: int) -> list[Session]:
        """Give the newest sessions, by their ids, which are by the time of their creation.

        Raises:
            Unavailable
        """
        rows = await self._postgres.rows(
            f"{SELECT} WHERE s.id IN (SELECT find_sessions($1, $2, $3, $4, $5, $6)) ORDER BY s.id DESC",
            list(wanted.states),
            wanted.host,
            [f"%{_SPECIAL.sub(_escaped, part)}%" for part in wanted.parts],
            UUID(wanted.before) if wanted.before else None,
            limit,
            wanted.viewer,
        )
        return [session_of(row) for row in rows]


def _escaped(found: re.Match[str]) -> str:
    return f"\\{found[1]}"
