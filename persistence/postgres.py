"""The connection pool to Postgres, and its errors in our words."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from msgspec import Struct

from persistence.errors import Misconfigured, Rejected, Unavailable

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"


class PoolSettings(Struct, frozen=True):
    """How many connections; and how long to wait, in seconds, for one and for an answer (None: for ever)."""

    url: str
    connections: int = 8
    timeout: float = 5.0
    command_timeout: float | None = 5.0


class Postgres:
    """A pool of connections. `on_wait` is told, in seconds, how long each caller waited for one."""

    def __init__(self, settings: PoolSettings, on_wait: Callable[[float], None] = lambda _: None) -> None:
        self._settings = settings
        self._on_wait = on_wait
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        """Connect.

        Raises:
            Unavailable, Misconfigured
        """
        try:
            with translated():
                self._pool = await self._connect()
        except Unavailable as exc:
            raise Unavailable(f"Postgres cannot be reached: {exc}") from exc
        except ValueError:
            # What cannot be read may hold a part of the password.
            raise Misconfigured("the URL of the database cannot be read") from None

    async def _connect(self) -> "asyncpg.Pool[asyncpg.Record]":
        return await asyncpg.create_pool(
            self._settings.url,
            min_size=1,
            max_size=self._settings.connections,
            timeout=self._settings.timeout,
            command_timeout=self._settings.command_timeout,
            server_settings={"application_name": "stagewire"},
        )

    async def close(self) -> None:
        """Give every connection back, by force if the database doesn't answer."""
        if self._pool is not None:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Borrow a connection.

        Raises:
            Unavailable: none became free, or the database went away.
            Rejected: the database refused the data.
        """
        if self._pool is None:
            raise Unavailable("the pool is not open")
        with translated():
            asked = perf_counter()
            async with self._pool.acquire(timeout=self._settings.timeout) as connection:
                self._on_wait(perf_counter() - asked)
                yield connection

    async def rows(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run one query and give its rows."""
        async with self.connection() as connection:
            return list(await connection.fetch(query, *arguments))

    async def row(self, query: str, *arguments: Any) -> asyncpg.Record | None:
        """Run one query and give its first row."""
        async with self.connection() as connection:
            return await connection.fetchrow(query, *arguments)


@contextmanager
def translated() -> Iterator[None]:
    """Turn asyncpg's errors into this package's."""
    try:
        yield
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as exc:
        raise Rejected(str(exc)) from exc
    except (
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.ClientConfigurationError,
    ) as exc:
        raise Misconfigured(str(exc)) from exc
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError) as exc:
        raise Misconfigured(f"the database is not migrated: {exc}") from exc
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as exc:
        raise Unavailable(f"{type(exc).__name__}: {exc}") from exc
