"""Works on the database outside of a running server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from persistence import migrate
from persistence.postgres import PoolSettings, Postgres
from persistence.retention import Retention
from realtime.settings import Settings

T = TypeVar("T")


def bring_up(settings: Settings) -> list[str]:
    """Apply the migrations that are missing, and give their names.

    Raises:
        StorageError
    """
    return asyncio.run(_with(settings, migrate.migrate))


def begin_anew(settings: Settings) -> int:
    """Give every open log another epoch, after a restore to an older state; give how many there are.

    Raises:
        StorageError
    """
    return asyncio.run(_with(settings, _begin_anew))


async def _begin_anew(postgres: Postgres) -> int:
    await migrate.check(postgres)
    return await Retention(postgres).begin_anew()


async def _with(settings: Settings, work: Callable[[Postgres], Awaitable[T]]) -> T:
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
        return await work(postgres)
    finally:
        await postgres.close()
