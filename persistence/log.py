"""The log in Postgres: append batches, read ranges and heads."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

from msgspec import Struct

from persistence.postgres import Postgres


class Entry(Struct, frozen=True, gc=False):
    """An event to append. `body` is JSON; `age` says how many milliseconds ago it happened."""

    session: str
    sender: str
    key: UUID
    kind: str
    body: str
    age: int = 0


class Outcome(StrEnum):
    """What became of an entry; the migration that defines `append_events` explains each."""

    NEW = "new"
    REPEAT = "repeat"
    CONFLICT = "conflict"
    CLOSED = "closed"
    MISSING = "missing"


class Appended(Struct, frozen=True, gc=False):
    """The answer to one entry. `seq` and `at` are 0 where the log has no such event."""

    outcome: Outcome
    seq: int
    at: int


class Record(Struct, frozen=True, gc=False):
    """An event as stored. `body` is JSON, `at` milliseconds."""

    seq: int
    at: int
    kind: str
    sender: str
    key: str | None
    body: str


class Head(Struct, frozen=True, gc=False):
    """The newest position of a log."""

    epoch: str
    seq: int


_APPEND = "SELECT outcome, seq, at FROM append_events($1::uuid[], $2, $3::uuid[], $4, $5, $6)"
_COLUMNS = "SELECT seq, at, kind, sender, key, body FROM events WHERE session = $1"
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}


class Log:
    """Every session's log."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        """Append a batch in one transaction, and answer each entry when it is durable.

        No two entries may have session, sender and key in common.

        Raises:
            Unavailable: nobody knows whether the batch was appended.
            Rejected: nothing was appended, because of the data of one entry or more.
        """
        rows = await self._postgres.rows(
            _APPEND,
            [entry.session for entry in entries],
            [entry.sender for entry in entries],
            [entry.key for entry in entries],
            [entry.kind for entry in entries],
            [entry.age for entry in entries],
            [entry.body for entry in entries],
        )
        return [Appended(_OUTCOMES[outcome], seq or 0, at or 0) for outcome, seq, at in rows]

    async def after(self, session: str, seq: int, limit: int) -> list[Record]:
        """Give the first `limit` events above `seq`, ascending."""
        rows = await self._postgres.rows(f"{_COLUMNS} AND seq > $2 ORDER BY seq LIMIT $3", session, seq, limit)
        return records(rows)

    async def before(self, session: str, seq: int, limit: int) -> list[Record]:
        """Give the last `limit` events below `seq`, ascending."""
        rows = await self._postgres.rows(f"{_COLUMNS} AND seq < $2 ORDER BY seq DESC LIMIT $3", session, seq, limit)
        return records(reversed(rows))

    async def heads(self, sessions: Sequence[str]) -> dict[str, Head]:
        """Give the heads of those sessions that exist."""
        rows = await self._postgres.rows(
            "SELECT session, epoch, seq FROM log_heads WHERE session = ANY ($1::uuid[])", sessions
        )
        return {str(session): Head(epoch, seq) for session, epoch, seq in rows}

    async def add_partitions(self, width_ms: int, ahead_ms: int) -> int:
        """Make the partitions from now to `ahead_ms` later, each `width_ms` wide; give how many were made."""
        row = await self._postgres.row("SELECT add_partitions($1, $2)", width_ms, ahead_ms)
        return int(row[0]) if row else 0


def records(rows: Iterable[Any]) -> list[Record]:
    """Read rows of seq, at, kind, sender, key, body."""
    return [Record(seq, at, kind, sender, str(key) if key else None, body) for seq, at, kind, sender, key, body in rows]
