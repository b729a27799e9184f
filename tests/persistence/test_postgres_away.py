"""The pool while Postgres is away, silent, slow, unsafe, and back again."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest

from persistence.embedded import Postgres as Embedded
from persistence.errors import Misconfigured, Rejected, Unavailable
from persistence.postgres import PoolSettings, Postgres
from tests.persistence.conftest import until
from tests.persistence.test_postgres import Ear
from tests.support.databases import connected, query, scratch
from tests.support.relay import relayed


@asynccontextmanager
async def pooled(settings: PoolSettings, ear: Ear | None = None) -> AsyncIterator[Postgres]:
    """Open a pool, and close it."""
    pool = Postgres(settings, ear)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


async def timed(work: Awaitable[object]) -> tuple[BaseException | None, float]:
    """Give what was raised, and after how many seconds."""
    began = time.monotonic()
    try:
        await work
    except Unavailable as exc:
        return exc, time.monotonic() - began
    return None, time.monotonic() - began


async def works(postgres: Postgres) -> bool:
    try:
        await postgres.rows("SELECT 1")
    except Unavailable:
        return False
    return True


async def fail(postgres: Postgres, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Unavailable):
            await postgres.rows("SELECT 1")


# Bounds


async def test_waiting_for_a_connection_and_for_its_answer_are_bounded_together(migrated: str) -> None:
    async with relayed(migrated) as relay:
        settings = PoolSettings(relay.url, connections=1, timeout=0.4, command_timeout=0.4, failures=99)
        async with pooled(settings) as postgres:
            await postgres.rows("SELECT 1")
            relay.freeze()
            # One at a time has the connection: the others wait for it, and then for a new one.
            found = await asyncio.gather(*(timed(postgres.rows("SELECT 1")) for _ in range(5)))
            assert all(isinstance(exc, Unavailable) for exc, _ in found)
            assert max(seconds for _, seconds in found) < 0.6
            relay.thaw()
            await postgres.rows("SELECT 1")


async def test_a_caller_may_have_less_patience(migrated: str) -> None:
    async with pooled(PoolSettings(migrated, failures=99)) as postgres:
        exc, seconds = await timed(postgres.rows("SELECT pg_sleep(4)", patience=0.2))
        assert str(exc) == "no answer within 0.2 s"
        assert seconds < 0.4


async def test_a_transaction_is_not_waited_for_either(migrated: str) -> None:
    async def change(postgres: Postgres) -> None:
        async with postgres.connection(0.3) as connection, connection.transaction():
            await connection.execute("SELECT 1")
            relay.freeze()
            await connection.execute("SELECT 2")

    async with relayed(migrated) as relay, pooled(PoolSettings(relay.url, failures=99)) as postgres:
        exc, seconds = await timed(change(postgres))
        assert isinstance(exc, Unavailable)
        assert seconds < 0.5


async def test_whoever_is_cancelled_leaves_a_pool_that_works(migrated: str) -> None:
    async with relayed(migrated) as relay, pooled(PoolSettings(relay.url, connections=1)) as postgres:
        relay.freeze()
        waiting = asyncio.create_task(postgres.rows("SELECT pg_sleep(4)"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        relay.thaw()
        assert await works(postgres)


async def test_what_nobody_waits_for_any_more_ends(migrated: str, postgres: Postgres) -> None:
    async with pooled(PoolSettings(migrated, connections=1, failures=99)) as impatient:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await impatient.rows("SELECT pg_sleep(4) /* left behind */", patience=0.1)

        async def ended() -> bool:
            row = await postgres.row("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%/* left behind */'")
            return row is not None and row[0] <= 1  # this query

        await until(ended, within=2.0)


async def test_the_server_gives_up_by_itself_too(migrated: str) -> None:
    for limit, told in ((0.2, "200ms"), (None, "0")):
        async with pooled(PoolSettings(migrated, command_timeout=limit)) as postgres:
            row = await postgres.row("SELECT current_setting('statement_timeout')")
            assert row is not None
            assert row[0] == told


# The breaker


async def test_after_some_failures_it_is_left_alone_until_a_probe_goes_well(migrated: str) -> None:
    ear = Ear()
    async with relayed(migrated) as relay, pooled(PoolSettings(relay.url, failures=3, pause=0.2), ear) as postgres:
        await relay.cut()
        await fail(postgres, 3)
        assert (ear.aways, ear.refusals) == ([True], 0)
        for _ in range(20):
            with pytest.raises(Unavailable, match="Postgres is away") as refused:
                await postgres.rows("SELECT 1")
            assert refused.value.retry_after is not None
            assert 0 <= refused.value.retry_after <= 0.2
        assert ear.refusals == 20
        await asyncio.sleep(0.5)
        assert not await works(postgres)
        await relay.listen()
        # Nobody's call is needed for that.
        async with asyncio.timeout(1):
            while len(ear.aways) < 2:  # noqa: ASYNC110 - it comes with the next probe
                await asyncio.sleep(0.01)
        assert ear.aways == [True, False]
        assert await works(postgres)
        # The count began anew.
        await relay.cut()
        await fail(postgres, 3)
        assert ear.aways == [True, False, True]


async def test_what_is_under_way_when_it_opens_fails_at_once(migrated: str) -> None:
    async with relayed(migrated) as relay, pooled(PoolSettings(relay.url, 4, 3.0, 3.0, 2, 0.1)) as postgres:
        relay.freeze()
        patient = [asyncio.create_task(timed(postgres.rows("SELECT 1"))) for _ in range(8)]
        for _ in range(2):
            await timed(postgres.rows("SELECT 1", patience=0.1))
        for exc, seconds in await asyncio.gather(*patient):
            assert isinstance(exc, Unavailable)
            assert seconds < 1.0
        relay.thaw()
        await until(lambda: works(postgres), within=4.0)


async def test_while_away_it_gets_one_connection_at_a_time(migrated: str) -> None:
    met: list[float] = []

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(time.monotonic())
        try:
            await reader.read()
        finally:
            writer.close()

    async with relayed(migrated) as relay:
        settings = PoolSettings(relay.url, 4, timeout=0.2, command_timeout=0.2, failures=1, pause=0.1)
        async with pooled(settings) as postgres:
            await relay.cut()
            await fail(postgres, 1)
            silent = await asyncio.start_server(say_nothing, "127.0.0.1", relay.port)
            ends = time.monotonic() + 1.5
            while time.monotonic() < ends:
                await asyncio.gather(*(timed(postgres.rows("SELECT 1")) for _ in range(50)))
                await asyncio.sleep(0.01)
            silent.close()
            # A pause and a time-out each: five in 1.5 s, whoever asks.
            assert 3 <= len(met) <= 5
            await relay.listen()
            await until(lambda: works(postgres))


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [("SELECT 1 / 0", []), ("SELECT $1::int", ["x"]), ("DROP TABLE sessions", []), ("LOCK sessions NOWAIT", [])],
)
async def test_an_answer_that_is_an_error_is_an_answer(
    migrated: str, statement: str, arguments: Sequence[object]
) -> None:
    ear = Ear()
    async with (
        pooled(PoolSettings(migrated, failures=2), ear) as postgres,
        connected(migrated) as other,
        other.transaction(),
    ):
        await other.execute("LOCK sessions IN SHARE MODE")
        await postgres.rows("SET default_transaction_read_only = on")
        for _ in range(10):
            with pytest.raises((Unavailable, Rejected)):
                await postgres.rows(statement, *arguments)
        assert ear.aways == []


async def test_one_that_is_busy_is_not_away(migrated: str) -> None:
    ear = Ear()
    async with pooled(PoolSettings(migrated, connections=1, timeout=0.5, failures=2), ear) as postgres:
        crowd = [timed(postgres.rows("SELECT pg_sleep(0.2)")) for _ in range(30)]
        found = [exc for exc, _ in await asyncio.gather(*crowd)]
        assert found[0] is None
        assert sum("no connection" in str(exc) for exc in found) > 20
        assert ear.aways == []
        assert await works(postgres)


async def test_a_database_that_starts_or_stops_counts_as_away(migrated: str) -> None:
    ear = Ear()
    async with pooled(PoolSettings(migrated, failures=2, pause=0.05), ear) as postgres:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await postgres.rows("SELECT pg_terminate_backend(pg_backend_pid())")
        assert ear.aways == [True]
        await until(lambda: works(postgres))


async def test_closing_ends_what_waits_and_starts_nothing(migrated: str) -> None:
    before = asyncio.all_tasks()
    async with relayed(migrated) as relay:
        async with pooled(PoolSettings(relay.url, failures=1)) as postgres:
            await relay.cut()
            await fail(postgres, 1)
        ear = Ear()
        waiting = []
        await relay.listen()
        async with pooled(PoolSettings(relay.url, failures=1), ear) as postgres:
            relay.freeze()
            waiting = [asyncio.create_task(timed(postgres.rows("SELECT 1"))) for _ in range(3)]
            await asyncio.sleep(0.05)
        found = await asyncio.gather(*waiting)
        assert all(isinstance(exc, Unavailable) and seconds < 1 for exc, seconds in found)
        assert ear.aways == []
        relay.thaw()
    assert asyncio.all_tasks() <= before


# Safety


async def test_a_database_that_forgets_commits_is_refused(empty_url: str) -> None:
    name = empty_url.rpartition("/")[2].partition("?")[0]
    await asyncio.to_thread(query, empty_url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    with pytest.raises(Misconfigured, match=r"with synchronous_commit off, .* STAGEWIRE_ALLOW_UNSAFE_POSTGRES"):
        await Postgres(PoolSettings(empty_url)).open()
    async with pooled(PoolSettings(empty_url, unsafe=True)) as postgres:
        assert await works(postgres)
    for safe in ("local", "remote_write", "remote_apply"):
        await asyncio.to_thread(query, empty_url, f"ALTER DATABASE {name} SET synchronous_commit = {safe}")
        async with pooled(PoolSettings(empty_url)) as postgres:
            assert await works(postgres)


async def test_one_that_becomes_unsafe_is_refused_when_it_is_connected_to_again(empty_url: str) -> None:
    name = empty_url.rpartition("/")[2].partition("?")[0]
    ear = Ear()
    async with pooled(PoolSettings(empty_url, connections=1, failures=2, pause=0.05), ear) as postgres:
        await postgres.rows(f"ALTER DATABASE {name} SET synchronous_commit = off")
        with pytest.raises(Unavailable):
            await postgres.rows("SELECT pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(Misconfigured):
            await postgres.rows("SELECT 1")
        assert ear.aways == [True]
        await asyncio.sleep(0.2)
        assert not await works(postgres)
        await asyncio.to_thread(query, empty_url, f"ALTER DATABASE {name} RESET synchronous_commit")
        await until(lambda: works(postgres))


class Careless(Embedded):
    """A server that writes nothing to its disk in time."""

    def _command(self) -> Sequence[str]:
        return [*super()._command(), "-c", "fsync=off", "-c", "full_page_writes=off"]


@pytest.fixture
def careless() -> Iterator[str]:
    with scratch() as folder:
        server = Careless(folder / "postgres")
        yield server.start()
        server.stop()
        server.erase()


async def test_a_server_without_fsync_is_refused(careless: str) -> None:
    with pytest.raises(Misconfigured, match="runs with fsync and full_page_writes off"):
        await Postgres(PoolSettings(careless)).open()
