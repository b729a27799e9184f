"""Brings the database up to date, outside of a running server."""

import asyncio

from persistence import migrate
from persistence.postgres import PoolSettings, Postgres
from realtime.settings import Settings


def bring_up(settings: Settings) -> list[str]:
    """Apply the migrations that are missing, and give their names.

    Raises:
        StorageError
    """
    return asyncio.run(_bring_up(settings))


async def _bring_up(settings: Settings) -> list[str]:
    pool = PoolSettings(
        url=settings.database_url,
        connections=1,
        timeout=settings.database_timeout,
        command_timeout=None,
        unsafe=settings.allow_unsafe_postgres,
    )
    postgres = Postgres(pool)
    await postgres.open()
    try:
        return await migrate.migrate(postgres)
    finally:
        await postgres.close()
