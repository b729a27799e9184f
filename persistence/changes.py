"""Changes of a session besides its state, in Postgres: what is set in it, and whom its host has named."""

from collections.abc import Collection
from enum import StrEnum
from typing import Any
from uuid import UUID

from msgspec import Struct

from persistence.log import Record, record_of
from persistence.postgres import Postgres


class Outcome(StrEnum):
    """What became of a change; the migration that defines `change_session` explains each."""

    NEW = "new"
    REPEAT = "repeat"
    CONFLICT = "conflict"
    STALE = "stale"
    CLOSED = "closed"
    MISSING = "missing"
    SAME = "same"
    FULL = "full"


class Changed(Struct, frozen=True):
    """What became of a change: its event, and the epoch of the log that it was appended to, where there are any."""

    outcome: Outcome
    epoch: str = ""
    event: Record | None = None


class Update(Struct, frozen=True):
    """A change of a session's title and settings, which has `version`; `changes` is what its event tells.

    Where its `limits` change, too, in milliseconds by kind of timer, `timers` are those of its state. All JSON.
    """

    session: str
    version: int
    by: str
    title: str
    settings: str
    changes: str
    key: UUID | None = None
    limits: str | None = None
    timers: Collection[str] = ()


class Changes:
    """Changes sessions of a version. `key` is the sender's own name for a change, by which a repetition is known."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def update(self, update: Update) -> Changed:
        """Store a title and settings."""
        rows = await self._postgres.rows(
            "SELECT outcome, epoch, seq, at, kind, sender, key, body"
            " FROM update_session($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            update.session,
            update.version,
            update.by,
            update.key,
            update.title,
            update.settings,
            update.changes,
            update.limits,
            list(update.timers),
        )
        return changed(rows[0])

    async def name(
        self, session: str, version: int, by: str, member: str, role: str, key: UUID | None = None
    ) -> Changed:
        """Name a member "cohost" or "moderator", or "viewer" again."""
        rows = await self._postgres.rows(
            "SELECT outcome, epoch, seq, at, kind, sender, key, body FROM name_member($1, $2, $3, $4, $5, $6)",
            session,
            version,
            by,
            key,
            member,
            role,
        )
        return changed(rows[0])


def changed(row: Any) -> Changed:
    """Read a row of outcome, epoch, and an event."""
    outcome, epoch, *event = row
    return Changed(Outcome(outcome), epoch or "", record_of(event))
