import asyncio
import time

import asyncpg
import pytest

from persistence.errors import Misconfigured, Rejected, StorageError, Unavailable
from persistence.postgres import Observer, PoolSettings, Postgres, translated
from tests.persistence.conftest import opened
from tests.support.processes import free_port
from tests.support.relay import relayed


async def pid(postgres: Postgres) -> int:
    """Give the server's process behind a pool of one connection."""
    row = await postgres.row("SELECT pg_backend_pid()")
    assert row is not None
    return int(row[0])


async def test_queries(postgres: Postgres) -> None:
    assert [row[0] for row in await postgres.rows("SELECT generate_series(1, $1)", 3)] == [1, 2, 3]
    assert await postgres.row("SELECT 1 WHERE false") is None
    async with postgres.connection() as connection:
        assert await connection.fetchval("SHOW application_name") == "stagewire"


class Ear(Observer):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.refusals = 0
        self.aways: list[bool] = []

    def waited(self, seconds: float) -> None:
        """Remember."""
        self.waits.append(seconds)

    def refused(self) -> None:
        """Remember."""
        self.refusals += 1

    def away(self, is_away: bool) -> None:
        """Remember."""
        self.aways.append(is_away)


async def test_the_waiting_for_a_connection_is_told(migrated: str) -> None:
    ear = Ear()
    postgres = Postgres(PoolSettings(migrated, connections=1), ear)
    await postgres.open()
    ear.waits.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(postgres.row("SELECT pg_sleep(0.1)"))
        group.create_task(postgres.row("SELECT 1"))
    await postgres.close()
    [at_once, after_the_other] = ear.waits
    # The loop's clock counts whole milliseconds, and Postgres's is another one.
    assert after_the_other - at_once > 0.09


async def test_a_pool_that_was_never_opened() -> None:
    postgres = Postgres(PoolSettings("postgresql://nowhere/x"))
    with pytest.raises(Unavailable, match="not open"):
        await postgres.rows("SELECT 1")
    await postgres.close()


async def test_nobody_listens() -> None:
    with pytest.raises(Unavailable):
        await Postgres(PoolSettings(f"postgresql://x@127.0.0.1:{free_port()}/x")).open()


async def test_nobody_answers(migrated: str) -> None:
    async with relayed(migrated) as relay:
        relay.freeze()
        with pytest.raises(Unavailable):
            await Postgres(PoolSettings(relay.url, timeout=0.2)).open()


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql://[", "postgresql://user:pass#word@x/y"])
async def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        await Postgres(PoolSettings(url)).open()
    assert "pass" not in str(raised.value)


async def test_an_unknown_database_or_user(migrated: str) -> None:
    for url in (migrated.replace("/test_", "/no_"), migrated.replace("//stagewire@", "//nobody_here@")):
        with pytest.raises(Misconfigured):
            await Postgres(PoolSettings(url)).open()


@pytest.mark.parametrize(
    ("query", "arguments", "expected"),
    [
        ("SELECT 1 / 0", [], Rejected),
        ("SELECT $1::text::jsonb", ["{"], Rejected),
        ("SELECT $1::text::jsonb", ['"\\u0000"'], Rejected),
        ("SELECT $1::text", ["a\x00b"], Rejected),
        ("SELECT $1::text", ["\ud800"], Rejected),
        ("SELECT $1::int", ["x"], Rejected),
        ("SELECT $1::int", [2**31], Rejected),
        ("SELECT $1::uuid", ["x"], Rejected),
        ("INSERT INTO agora_uids VALUES (uuidv7(), 'x', 1)", [], Rejected),
        ("INSERT INTO sessions (host) VALUES ('x')", [], Rejected),
        ("SELECT * FROM no_such_table", [], Misconfigured),
        ("SELECT no_such_function()", [], Misconfigured),
        ("SELECT pg_sleep(5)", [], Unavailable),
        ("SELECT pg_terminate_backend(pg_backend_pid())", [], Unavailable),
    ],
    ids=str,
)
async def test_errors_in_our_words(
    migrated: str, query: str, arguments: list[object], expected: type[StorageError]
) -> None:
    async with opened(migrated, connections=1, patience=2.0) as postgres:
        with pytest.raises(expected) as raised:
            await postgres.rows(query, *arguments)
        assert str(raised.value)
        assert [row[0] for row in await postgres.rows("SELECT 1")] == [1]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (asyncpg.DataError("x"), Rejected),
        (asyncpg.UniqueViolationError("x"), Rejected),
        (asyncpg.InvalidPasswordError("x"), Misconfigured),
        (asyncpg.InvalidCatalogNameError("x"), Misconfigured),
        (asyncpg.UndefinedTableError("x"), Misconfigured),
        (asyncpg.UndefinedFunctionError("x"), Misconfigured),
        (asyncpg.ClientConfigurationError("x"), Misconfigured),
        (asyncpg.TooManyConnectionsError("x"), Unavailable),
        (asyncpg.CannotConnectNowError("x"), Unavailable),
        (asyncpg.DeadlockDetectedError("x"), Unavailable),
        (asyncpg.DiskFullError("x"), Unavailable),
        (asyncpg.ReadOnlySQLTransactionError("x"), Unavailable),
        (asyncpg.ConnectionDoesNotExistError("x"), Unavailable),
        (asyncpg.InterfaceError("x"), Unavailable),
        (ConnectionRefusedError("x"), Unavailable),
        (TimeoutError("x"), Unavailable),
        (ZeroDivisionError("x"), ZeroDivisionError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_the_drivers_errors_are_mapped(error: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected, match="x"), translated():
        raise error


async def test_a_connection_that_somebody_keeps_is_not_waited_for_long(migrated: str) -> None:
    async with opened(migrated, connections=1, patience=0.2) as postgres:
        async with postgres.connection():
            with pytest.raises(Unavailable):
                await postgres.rows("SELECT 1")
        await postgres.rows("SELECT 1")


async def test_a_connection_that_was_ended_is_replaced(migrated: str, postgres: Postgres) -> None:
    async with opened(migrated, connections=1) as victim:
        before = await pid(victim)
        await postgres.rows("SELECT pg_terminate_backend($1, 5000)", before)
        assert await pid(victim) != before


async def test_what_fails_within_a_transaction_leaves_nothing(postgres: Postgres) -> None:
    async def fail() -> None:
        async with postgres.connection() as connection, connection.transaction():
            await connection.execute("CREATE TABLE left_over ()")
            await connection.execute("SELECT 1 / 0")

    with pytest.raises(Rejected):
        await fail()
    row = await postgres.row("SELECT to_regclass('left_over')")
    assert row is not None
    assert row[0] is None


async def test_closing_does_not_wait_for_a_silent_database(migrated: str) -> None:
    async with relayed(migrated) as relay:
        postgres = Postgres(PoolSettings(relay.url, connections=1))
        await postgres.open()
        relay.freeze()
        began = time.monotonic()
        await postgres.close()
        assert time.monotonic() - began < 1
        with pytest.raises(Unavailable):
            await postgres.rows("SELECT 1")
