import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from persistence.embedded import Servers
from persistence.log import Log
from persistence.migrate import migrate
from persistence.postgres import PoolSettings, Postgres
from persistence.sessions import Sessions
from tests.support.databases import fresh_database

DAY_MS = 86_400_000


@asynccontextmanager
async def opened(url: str, connections: int = 4, patience: float = 5.0) -> AsyncIterator[Postgres]:
    """Open a pool, and close it."""
    pool = Postgres(PoolSettings(url, connections, patience, patience))
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


async def prepare(url: str) -> None:
    """Bring a database up to date, with partitions for the days to come."""
    async with opened(url) as pool:
        await migrate(pool)
        await Log(pool).add_partitions(DAY_MS, DAY_MS)


async def until(done: Callable[[], Awaitable[bool]], within: float = 5.0) -> None:
    """Wait for something that comes soon, and that tells nobody."""
    async with asyncio.timeout(within):
        while not await done():  # noqa: ASYNC110 - as the name says
            await asyncio.sleep(0.005)


@pytest.fixture(scope="module")
def migrated(database_url: str) -> str:
    """Give a database with its schema to each module."""
    asyncio.run(prepare(database_url))
    return database_url


@pytest.fixture
def empty_url(servers: Servers) -> Iterator[str]:
    """Give an empty database to each test."""
    with fresh_database(servers.database_url) as url:
        yield url


@pytest.fixture
async def postgres(migrated: str) -> AsyncIterator[Postgres]:
    async with opened(migrated) as pool:
        yield pool


@pytest.fixture
async def session(postgres: Postgres) -> str:
    return (await Sessions(postgres).create("alice", "A show")).id
