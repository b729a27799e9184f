"""Agora's notices in Postgres: which were taken, and who is in the video channel of a session by them."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from persistence.postgres import Postgres


class Seen(Struct, frozen=True):
    """What a notice says of a user: `uid` is the user's number in the session, `ts` unix seconds by Agora's clock."""

    id: str
    session: str
    uid: int
    client_seq: int
    ts: int
    event: int
    standing: str


class Taken(Struct, frozen=True):
    """What became of a notice: `applied`, `duplicate`, `stale` or `ignored`.

    The rest is known unless it was ignored: who the user is, and whether a host; the session's state; what was `told`
    of the user before, if anything, and what the user is now.
    """

    outcome: str
    user: str | None
    hosts: bool | None
    state: str | None
    told: str | None
    standing: str | None


_TAKE: Final = """
    SELECT outcome, member, hosts, state, told, standing
      FROM take_agora_notices($1::uuid[], $2, $3, $4, $5, $6, $7) ORDER BY ordinal
"""
_TOLD: Final = "UPDATE agora_presence SET told = $3 WHERE session = $1 AND uid = $2 RETURNING standing"
_SWEEP_NOTICES: Final = """
    WITH gone AS (
        DELETE FROM agora_notices WHERE (session, id) IN (
            SELECT session, id FROM agora_notices WHERE at < now_ms() - $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED
        ) RETURNING 1
    ) SELECT count(*) FROM gone
"""
# Nobody asks for more of a session that has ended, and nothing is added.
_SWEEP_PRESENCE: Final = """
    WITH gone AS (
        DELETE FROM agora_presence WHERE (session, uid) IN (
            SELECT p.session, p.uid FROM agora_presence p JOIN sessions s ON s.id = p.session
             WHERE s.state = 'ended' LIMIT $1 FOR UPDATE OF p SKIP LOCKED
        ) RETURNING 1
    ) SELECT count(*) FROM gone
"""


class AgoraNotices:
    """Takes notices, each once, and remembers the latest of each user."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def take(self, notices: Sequence[Seen]) -> list[Taken]:
        """Take a batch in one transaction, and say what became of each notice when that is durable.

        Raises:
            Unavailable: nobody knows whether the batch was taken. To take it again does no harm.
        """
        rows = await self._postgres.rows(
            _TAKE,
            [seen.session for seen in notices],
            [seen.id for seen in notices],
            [seen.uid for seen in notices],
            [seen.client_seq for seen in notices],
            [seen.ts for seen in notices],
            [seen.event for seen in notices],
            [seen.standing for seen in notices],
        )
        return [Taken(*row) for row in rows]

    async def told(self, session: str, uid: int, standing: str) -> str:
        """Remember what was told of a user; give what the user is now, which may be something else again."""
        row = await self._postgres.row(_TOLD, session, uid, standing)
        # Gone with its session.
        return str(row[0]) if row else standing

    async def sweep(self, lifetime_ms: int, limit: int) -> int:
        """Delete what is kept of notices older than the lifetime, and of sessions that have ended: some at a time.

        Gives how many rows were deleted.
        """
        notices = await self._postgres.row(_SWEEP_NOTICES, lifetime_ms, limit)
        presence = await self._postgres.row(_SWEEP_PRESENCE, limit)
        assert notices is not None
        assert presence is not None
        return int(notices[0]) + int(presence[0])
