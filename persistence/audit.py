"""The audit log, in Postgres: who did what to whom, when and from where. It only grows."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Raw, Struct

from persistence.postgres import Postgres


class AuditEntry(Struct, frozen=True):
    """Something that `actor` did, to the user `subject` or in a `session`, or both; `details` are JSON.

    Of two entries with one `key` only the first is kept.
    """

    key: UUID
    actor: str
    action: str
    address: str
    details: str
    subject: str | None = None
    session: str | None = None


class Audited(Struct, frozen=True, omit_defaults=True):
    """An entry as it is kept; `at` in milliseconds since the epoch."""

    id: int
    at: int
    actor: str
    action: str
    address: str
    details: Raw
    subject: str | None = None
    session: str | None = None


class AuditLog:
    """The audit log."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def append(self, entries: Sequence[tuple[AuditEntry, int]]) -> None:
        """Add entries, each with how long ago it was, in milliseconds.

        Raises:
            StorageError: nobody knows whether they were added; added again, they are there once.
        """
        columns = zip(
            *(
                (e.key, age, e.actor, e.action, e.subject, UUID(e.session) if e.session else None, e.address, e.details)
                for e, age in entries
            ),
            strict=True,
        )
        await self._postgres.rows(
            "SELECT append_audit($1, $2, $3, $4, $5, $6, $7, $8)", *(list(column) for column in columns)
        )

    async def page(self, user: str | None, action: str | None, before: int | None, limit: int) -> list[Audited]:
        """Give the newest entries below `before`: of all users or what one did or was done to, of all actions or one.

        Raises:
            Unavailable
        """
        rows = await self._postgres.rows(
            """
            SELECT id, at, actor, action, address, details::text, subject, session::text FROM audit_log
             WHERE ($1::text IS NULL OR actor = $1 OR subject = $1) AND ($2::text IS NULL OR action = $2)
               AND ($3::bigint IS NULL OR id < $3)
             ORDER BY id DESC LIMIT $4
            """,
            user,
            action,
            before,
            limit,
        )
        return [_audited(row) for row in rows]


def _audited(row: Any) -> Audited:
    number, at, actor, action, address, details, subject, session = row
    return Audited(number, at, actor, action, address, Raw(details.encode()), subject, session)
