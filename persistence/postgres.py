"""The connection pool to Postgres, and its errors in our words."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from time import monotonic
from typing import Any, Final, TypeAlias

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy
from msgspec import Struct

from persistence.breaker import Breaker
from persistence.errors import Misconfigured, Rejected, StorageError, Unavailable
from persistence.seldom import Seldom

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

# How soon the server notices that whoever waits for a statement has gone, and ends it.
_NOTICE_MS: Final = 500
# With one of them off, Postgres calls durable what a crash can take back. `synchronous_commit` may also be
# `local` or `remote_write`: both flush to this server's disk before a commit is told.
_UNSAFE: Final = """
    SELECT name FROM unnest('{fsync,synchronous_commit,full_page_writes}'::text[]) AS name
     WHERE current_setting(name) = 'off'
"""
# The answers of a database that can't serve anybody at the moment. Any other error answers one statement.
_GONE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
log = structlog.get_logger("postgres")


class PoolSettings(Struct, frozen=True):
    """How a database is used; times are in seconds.

    A connection is waited for `timeout` at most, and `command_timeout` bounds the waiting and everything that
    is done with it, together (None: nothing does). After `failures` in a row that say that the database is
    away, it is left alone, but for a probe every `pause`. `unsafe` takes one that may lose what it committed.
    """

    url: str
    connections: int = 8
    timeout: float = 5.0
    command_timeout: float | None = 5.0
    failures: int = 3
    pause: float = 1.0
    unsafe: bool = False


class Observer:
    """Is told what happens to a pool. This one does nothing."""

    def waited(self, seconds: float) -> None:
        """Somebody has waited so long for a connection."""

    def refused(self) -> None:
        """Somebody was refused because the database is away."""

    def away(self, is_away: bool) -> None:
        """The database is left alone from now on; or used again."""


class Postgres:
    """A pool of connections, and a circuit breaker before it."""

    def __init__(self, settings: PoolSettings, observer: Observer | None = None) -> None:
        self._settings = settings
        self._observer = observer or Observer()
        self._breaker = Breaker(settings.failures, settings.pause)
        self._pool: Pool | None = None
        self._acquiring: set[asyncio.Timeout] = set()
        self._probing: asyncio.Task[None] | None = None
        self._answered = 0.0
        self._seldom_log = Seldom(log)

    async def open(self) -> None:
        """Connect.

        Raises:
            Unavailable, Misconfigured
        """
        try:
            with translated():
                self._pool = await self._connected()
        except Unavailable as exc:
            raise Unavailable(f"Postgres cannot be reached: {exc}") from exc
        except ValueError:
            # What cannot be read may hold a part of the password.
            raise Misconfigured("the URL of the database cannot be read") from None

    async def close(self) -> None:
        """Give every connection back, by force if the database doesn't answer."""
        pool, self._pool = self._pool, None
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])
        if pool is not None:
            self._abandon(pool)

    @asynccontextmanager
    async def connection(self, patience: float | None = None) -> AsyncIterator[Connection]:
        """Borrow a connection, for `patience` seconds at most, and never for longer than the settings allow.

        Raises:
            Unavailable: none became free, or the database went away, or did not answer in time.
            Rejected: the database refused the data.
            Misconfigured
        """
        pool, asked = self._admit(), monotonic()
        limits = [limit for limit in (patience, self._settings.command_timeout) if limit is not None]
        try:
            with translated():
                async with self._borrowed(pool, min(limits, default=None)) as connection:
                    yield connection
        except StorageError as exc:
            self._note(exc, asked)
            raise
        self._succeed()

    async def rows(self, query: str, *arguments: Any, patience: float | None = None) -> list[asyncpg.Record]:
        """Run one query and give its rows."""
        async with self.connection(patience) as connection:
            return list(await connection.fetch(query, *arguments))

    async def row(self, query: str, *arguments: Any) -> asyncpg.Record | None:
        """Run one query and give its first row."""
        async with self.connection() as connection:
            return await connection.fetchrow(query, *arguments)

    # The pool

    async def _connected(self) -> Pool:
        pool = await self._make_pool()
        try:
            async with self._borrowed(pool, self._settings.timeout):
                pass
        except BaseException:
            pool.terminate()
            raise
        return pool

    async def _make_pool(self) -> Pool:
        """Make a pool, which connects when it is used."""
        limit = self._settings.command_timeout
        return await asyncpg.create_pool(
            self._settings.url,
            # No floor: asyncpg would rebuild it behind the breaker's back.
            min_size=0,
            max_size=self._settings.connections,
            timeout=self._settings.timeout,
            init=self._inspect,
            reset=_leave_as_it_is,
            server_settings={
                "application_name": "stagewire",
                # What nobody waits for any more must not go on for long, nor hold its locks.
                "statement_timeout": str(round(limit * 1000) if limit else 0),
                "client_connection_check_interval": str(_NOTICE_MS),
            },
        )

    async def _inspect(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Refuse a new connection to a server that may lose what it calls committed."""
        try:
            unsafe = [row[0] for row in await connection.fetch(_UNSAFE)]
        except BaseException:
            # Else asyncpg takes leave politely, and waits for that as long as the server is silent.
            connection.terminate()
            raise
        if unsafe and not self._settings.unsafe:
            raise Misconfigured(
                f"Postgres runs with {' and '.join(unsafe)} off, and may lose what it has acknowledged:"
                " switch that on, or set STAGEWIRE_ALLOW_UNSAFE_POSTGRES"
            )
        if unsafe:
            self._seldom_log.warning("postgres unsafe", off=unsafe)

    @asynccontextmanager
    async def _borrowed(self, pool: Pool, patience: float | None) -> AsyncIterator[Connection]:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        connection = await self._acquire(pool, patience)
        self._observer.waited(loop.time() - asked)
        deadline = _Deadline(connection, None if patience is None else asked + patience)
        try:
            yield connection
        except Exception as exc:
            if deadline.passed:
                raise Unavailable(f"no answer within {patience:.3g} s") from exc
            raise
        except BaseException:
            # Something is still under way. To cancel it takes a second connection, and a server that answers.
            _cut(connection)
            raise
        finally:
            await pool.release(connection)
            deadline.cancel()

    async def _acquire(self, pool: Pool, patience: float | None) -> Connection:
        limit = self._settings.timeout if patience is None else min(self._settings.timeout, patience)
        waiting = asyncio.timeout(limit)
        try:
            async with waiting:
                self._acquiring.add(waiting)
                return await pool.acquire()
        except TimeoutError as exc:
            raise _NoneFree(f"no connection within {limit:.3g} s") from exc
        finally:
            self._acquiring.discard(waiting)

    def _abandon(self, pool: Pool) -> None:
        """End all connections, also those that are only being made: whoever uses or awaits one gets an error."""
        pool.terminate()
        now = asyncio.get_running_loop().time()
        for waiting in self._acquiring:
            if not waiting.expired():
                waiting.reschedule(now)

    # The breaker

    def _admit(self) -> Pool:
        if self._pool is None:
            raise Unavailable("the pool is not open")
        if not self._breaker.closed:
            self._observer.refused()
            raise Unavailable("Postgres is away", self._breaker.wait(monotonic()))
        return self._pool

    def _note(self, exc: StorageError, asked: float) -> None:
        """Learn from an error of a call that began at `asked`. One about the data says nothing of the database."""
        if isinstance(exc, Rejected) or self._pool is None:
            return
        # Nor does the crowd before a pool whose connections are answered: it is busy, not away.
        if isinstance(exc, _NoneFree) and self._answered > asked:
            return
        if _is_answer(exc.__cause__):
            self._succeed()
        elif self._breaker.failed(monotonic()):
            self._leave_alone(self._pool, exc)

    def _succeed(self) -> None:
        self._answered = monotonic()
        self._breaker.succeeded()

    def _leave_alone(self, pool: Pool, exc: StorageError) -> None:
        log.error("postgres away", reason=str(exc))
        self._observer.away(True)
        # What else is under way would wait in vain, and the probes shall not meet connections that are dead
        # without knowing it, one after the other.
        self._abandon(pool)
        self._probing = asyncio.create_task(self._probe_until_it_is_back())

    async def _probe_until_it_is_back(self) -> None:
        since = monotonic()
        pool = self._pool = await self._make_pool()
        while not self._breaker.closed:
            await asyncio.sleep(self._breaker.wait(monotonic()))
            self._breaker.probe()
            well = await self._answers(pool)
            self._breaker.probed(monotonic(), well=well)
        self._observer.away(False)
        log.info("postgres back", seconds=round(monotonic() - since, 3))

    async def _answers(self, pool: Pool) -> bool:
        try:
            with translated():
                async with self._borrowed(pool, self._settings.timeout) as connection:
                    await connection.fetchval("SELECT 1")
        except Exception as exc:  # noqa: BLE001 - whatever it is, the next probe may go well
            self._seldom_log.warning("postgres still away", reason=str(exc))
            return False
        return True


class _NoneFree(Unavailable):
    """No connection became free in time."""


class _Deadline:
    """Cuts a connection at a moment of the loop's clock, if any: whatever awaits an answer then gets an error.

    A cancelled task could not promise that: on its way out, a transaction would wait for its rollback.
    """

    def __init__(self, connection: Connection, at: float | None) -> None:
        self.passed = False
        self._connection = connection
        self._timer = None if at is None else asyncio.get_running_loop().call_at(at, self._pass)

    def cancel(self) -> None:
        """Leave the connection alone from now on."""
        if self._timer is not None:
            self._timer.cancel()

    def _pass(self) -> None:
        self.passed = True
        _cut(self._connection)


def _cut(connection: Connection) -> None:
    with suppress(asyncpg.InterfaceError):  # it is gone already
        connection.terminate()


async def _leave_as_it_is(connection: Any) -> None:
    """Spare the round trip by which asyncpg undoes changes to a session: nothing here makes any that stay."""


def _is_answer(exc: BaseException | None) -> bool:
    return isinstance(exc, asyncpg.PostgresError) and not isinstance(exc, _GONE)


@contextmanager
def translated() -> Iterator[None]:
    """Turn asyncpg's errors into this package's."""
    try:
        yield
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError) as exc:
        raise Rejected(str(exc)) from exc
    except (
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.ClientConfigurationError,
    ) as exc:
        raise Misconfigured(str(exc)) from exc
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError) as exc:
        raise Misconfigured(f"the database is not migrated: {exc}") from exc
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as exc:
        raise Unavailable(f"{type(exc).__name__}: {exc}") from exc
