"""Limits by rate that were changed, in Postgres."""

from msgspec import Struct

from persistence.postgres import Postgres


class StoredLimit(Struct, frozen=True):
    """A limit that was changed: `rate` a second for long, `burst` at once; when, and by whom."""

    action: str
    role: str
    rate: float
    burst: int
    changed_at: int
    changed_by: str


class RateLimits:
    """Reads all of them, and changes one."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def all(self) -> list[StoredLimit]:
        """Give all that were changed.

        Raises:
            Unavailable
        """
        rows = await self._postgres.rows("SELECT action, role, rate, burst, changed_at, changed_by FROM rate_limits")
        return [StoredLimit(*row) for row in rows]

    async def change(self, action: str, role: str, rate: float, burst: int, by: str) -> StoredLimit:
        """Change one, in the name of `by`, and give it.

        Raises:
            Unavailable
            Rejected: a number is out of bounds.
        """
        rows = await self._postgres.rows(
            "INSERT INTO rate_limits (action, role, rate, burst, changed_by) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (action, role) DO UPDATE SET rate = excluded.rate, burst = excluded.burst,"
            " changed_at = excluded.changed_at, changed_by = excluded.changed_by"
            " RETURNING action, role, rate, burst, changed_at, changed_by",
            action,
            role,
            rate,
            burst,
            by,
        )
        return StoredLimit(*rows[0])
