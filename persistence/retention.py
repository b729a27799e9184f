"""What is dropped of the logs in the course of time, and how logs begin anew after a restore."""

from msgspec import Struct

from persistence.postgres import Postgres


class Span(Struct, frozen=True):
    """A partition of the log: it ended at `until`, in milliseconds; `unfinished` of its `sessions` kept it."""

    name: str
    until: int
    sessions: int
    unfinished: int

    @property
    def dropped(self) -> bool:
        """Tell whether it is gone."""
        return not self.unfinished


class Retention:
    """Drops what is old. The migration that defines `drop_partition` explains how."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def drop(self, after: int, keep_ms: int) -> Span | None:
        """Drop the oldest partition whose span ended after `after`, if all its sessions ended `keep_ms` ago or earlier.

        Gives that partition, dropped or not; nothing where none is old enough, or another node is at it.

        Raises:
            Unavailable: the log was too busy to be locked, or Postgres is away.
        """
        rows = await self._postgres.rows(
            "SELECT name, until, sessions, unfinished FROM drop_partition($1, now_ms() - $2)", after, keep_ms
        )
        return Span(*rows[0]) if rows else None

    async def begin_anew(self) -> int:
        """Give every open log another epoch, after a restore; give how many there are."""
        [row] = await self._postgres.rows("SELECT new_epochs()")
        return int(row[0])
