"""Sessions in Postgres."""

from typing import Any
from uuid import UUID

from msgspec import Struct

from persistence.log import Head, Record, records
from persistence.postgres import Postgres


class Session(Struct, frozen=True, kw_only=True):
    """A session as stored, with the head of its log at the same moment. Times are milliseconds."""

    id: str
    host: str
    title: str
    state: str
    version: int
    created_at: int
    started_at: int | None
    ended_at: int | None
    head: Head


class Moved(Struct, frozen=True):
    """The event of a transition, and the epoch of the log that it was appended to."""

    epoch: str
    event: Record


_SELECT = """
    SELECT s.id, s.host, s.title, s.state, s.version, s.created_at, s.started_at, s.ended_at, h.epoch, h.seq
      FROM sessions s JOIN log_heads h ON h.session = s.id
"""


class Sessions:
    """Create, find and move sessions."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def create(self, host: str, title: str) -> Session:
        """Create a scheduled session; its log begins with that."""
        row = await self._postgres.row("SELECT create_session($1, $2)", host, title)
        assert row is not None
        session = await self.get(str(row[0]))
        assert session is not None
        return session

    async def get(self, session: str) -> Session | None:
        """Find a session by its id, which must be a UUID."""
        row = await self._postgres.row(f"{_SELECT} WHERE s.id = $1", UUID(session))
        return _session(row) if row else None

    async def newest(self, state: str | None, limit: int) -> list[Session]:
        """Give the newest sessions, of one state or of all."""
        rows = await self._postgres.rows(
            f"{_SELECT} WHERE $1::text IS NULL OR s.state = $1 ORDER BY s.id DESC LIMIT $2", state, limit
        )
        return [_session(row) for row in rows]

    async def move(self, session: str, version: int, to: str, kind: str, by: str) -> Moved | None:
        """Move a session of `version` to the state `to`, as an event of `kind` by the user `by`.

        Gives nothing where the session has another version by now.
        """
        rows = await self._postgres.rows(
            "SELECT epoch, seq, at, kind, sender, key, body FROM move_session($1, $2, $3, $4, $5)",
            session,
            version,
            to,
            kind,
            by,
        )
        return Moved(rows[0][0], records(row[1:] for row in rows)[0]) if rows else None

    async def agora_uid(self, session: str, user: str) -> int:
        """Give the number by which Agora knows the user in this session: 1 to 2^32-1, unique, stable."""
        row = await self._postgres.row("SELECT agora_uid($1, $2)", session, user)
        assert row is not None
        return int(row[0])


def _session(row: Any) -> Session:
    key, host, title, state, version, created_at, started_at, ended_at, epoch, seq = row
    return Session(
        id=str(key),
        host=host,
        title=title,
        state=state,
        version=version,
        created_at=created_at,
        started_at=started_at,
        ended_at=ended_at,
        head=Head(epoch, seq),
    )
