"""Fresh databases, and folders that servers of any account can use."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Connect to a database, and see to it that nothing is left of that: an event loop might wait for it for ever."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


def query(url: str, sql: str) -> Any:
    """Run one statement outside of any event loop, and give its first value."""

    async def run() -> Any:
        async with connected(url) as connection:
            return await connection.fetchval(sql)

    return asyncio.run(run())


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """Make an empty database on the server (a tenth of a second), and drop it at the end."""
    name = f"test_{uuid4().hex}"
    query(server_url, f"CREATE DATABASE {name}")
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        query(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that fits sockets, and that the account `nobody` can enter: as it Postgres runs for root."""
    folder = Path(tempfile.mkdtemp(prefix="stagewire-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
