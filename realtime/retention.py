"""Partitions of the log: made before they are needed, and dropped when all that they hold is old. Notices likewise.

Every node looks after them on a beat. What one of them is doing, the others leave to it: an advisory lock in
Postgres sees to that, statement by statement, so that a node which stops in the middle keeps nobody from it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from msgspec import structs

from persistence.agora_notices import AgoraNotices
from persistence.errors import Unavailable
from persistence.log import Log
from persistence.postgres import PoolSettings, Postgres
from persistence.retention import Retention
from realtime.settings import DAY_MS, Settings
from realtime.telemetry import metrics

HOUR_MS: Final = 3_600_000
# Rows deleted at a time.
SWEEP_ROWS: Final = 5000
log = structlog.get_logger("retention")


class Caretaker:
    """Adds and drops partitions, and sweeps old notices."""

    def __init__(self, storage: Log, pool: PoolSettings, settings: Settings) -> None:
        self._log = storage
        # Of its own: it may take longer than anything that somebody waits for.
        self._pool = structs.replace(pool, connections=1, command_timeout=settings.retention_timeout)
        self._settings = settings

    async def run(self) -> None:
        """Look after the partitions, for ever."""
        while True:
            await asyncio.sleep(self._settings.retention_beat)
            await self.look()

    async def look(self) -> None:
        """Add what is needed and drop what is old, as far as that goes at the moment."""
        try:
            await self.add()
        except Exception:
            log.exception("partitions not added")
        try:
            await self.drop()
        except Unavailable as exc:
            log.warning("partition not dropped", reason=str(exc))
        except Exception:
            log.exception("partition not dropped")
        try:
            await self.sweep()
        except Unavailable as exc:
            log.warning("notices not swept", reason=str(exc))
        except Exception:
            log.exception("notices not swept")

    async def add(self) -> None:
        """Add the partitions of the present and of the time to come.

        Raises:
            StorageError
        """
        width = self._settings.partition_days * DAY_MS
        made = await self._log.add_partitions(width, 2 * width)
        if made:
            metrics.PARTITIONS.labels("added").inc(made)
            log.info("partitions added", count=made)

    async def drop(self) -> None:
        """Drop the partitions that are old; if nothing ever is, do nothing.

        Raises:
            StorageError
        """
        if not self._settings.retention_days:
            return
        async with self._opened() as postgres:
            await self._drop_all(Retention(postgres))

    async def sweep(self) -> None:
        """Delete what is too old of Agora's notices, and what they said of sessions that have ended.

        Raises:
            StorageError
        """
        if not self._settings.agora_webhook_secret:
            return
        async with self._opened() as postgres:
            notices = AgoraNotices(postgres)
            while await notices.sweep(self._settings.agora_notice_hours * HOUR_MS, SWEEP_ROWS):
                pass

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Postgres]:
        postgres = Postgres(self._pool)
        try:
            await postgres.open()
            yield postgres
        finally:
            await postgres.close()

    async def _drop_all(self, retention: Retention) -> None:
        after = 0
        while span := await retention.drop(after, self._settings.retention_days * DAY_MS):
            after = span.until
            if span.dropped:
                metrics.PARTITIONS.labels("dropped").inc()
                log.info("partition dropped", partition=span.name, sessions=span.sessions)
            else:
                log.info("partition kept", partition=span.name, sessions=span.sessions, unfinished=span.unfinished)
