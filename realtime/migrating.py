"""Brings the database up to date, outside of a running server."""

import asyncio

import structlog

from persistence import migrate
from persistence.postgres import PoolSettings, Postgres
from realtime.settings import Settings

log = structlog.get_logger("migrate")


def bring_up(settings: Settings) -> list[str]:
    """Apply the migrations that are missing, and give their names.

    Raises:
        StorageError
    """
    applied = asyncio.run(_bring_up(settings))
    for name in applied:
        log.debug("migrated", migration=name)
    return applied


async def _bring_up(settings: Settings) -> list[str]:
    postgres = Postgres(PoolSettings(settings.database_url, 1, settings.database_timeout))
    await postgres.open()
    try:
        return await migrate.migrate(postgres)
    finally:
        await postgres.close()
