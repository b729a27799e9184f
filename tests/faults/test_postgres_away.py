"""Postgres is frozen, killed and started again under load: nobody waits for long, and nothing acknowledged is lost."""

import asyncio
import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus

import pytest

from persistence.embedded import Postgres, Servers
from realtime.migrating import bring_up
from realtime.protocol.codes import Close
from realtime.settings import Settings
from tests.support.databases import query, scratch
from tests.support.load import Load, loading
from tests.support.nodes import Message
from tests.support.processes import family, wait_until
from tests.support.served import ServedNode, served

# What `unavailable` promises, and how soon all is well when Postgres is.
REFUSED_WITHIN = 5.0
BACK_WITHIN = 4.0
# `--log-cli-level=info` shows the figures.
log = logging.getLogger(__name__)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """Postgres for one test, which may do to it what it likes."""
    with scratch() as folder:
        server = Postgres(folder / "postgres")
        bring_up(Settings(database_url=server.start()))
        yield server
        server.stop()
        server.erase()


@contextmanager
def frozen(postgres: Postgres) -> Iterator[None]:
    """Stop all of Postgres's processes, as a machine does that has no time for them."""
    processes = family(postgres.pid)
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


async def join(node: ServedNode, session: str) -> tuple[Message, float]:
    """Join, and give the answer and the seconds that it took."""
    async with node.client("late") as client:
        began = time.monotonic()
        return await client.join(session), time.monotonic() - began


def check(postgres: Postgres, session: str, load: Load) -> None:
    """See that the log has what was acknowledged, once, where the acknowledgement said, without a hole."""
    rows = query(
        postgres.url,
        f"SELECT array_agg((seq || ' ' || key) ORDER BY seq) FROM events WHERE session = '{session}' AND seq > 2",
    )
    stored = dict(row.split(" ") for row in rows)
    assert list(map(int, stored)) == list(range(3, len(stored) + 3))
    assert len(set(stored.values())) == len(stored)
    acked = {str(attempt.answer["seq"]): attempt.key for attempt in load.acked}
    assert len(acked) == len(load.acked)
    assert acked.items() <= stored.items()


def connections(postgres: Postgres) -> int:
    return int(query(postgres.url, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stagewire'"))


def figures(load: Load, since: float, back: float) -> str:
    """Give what one would like to know."""
    refused = [attempt.seconds for attempt in load.since(since) if not attempt.acked]
    first = min(attempt.answered for attempt in load.acked if attempt.answered > back)
    return (
        f"{len(load.acked)} acks, {len(refused)} refusals, the longest after {max(refused):.2f} s,"
        f" the first ack {first - back:.2f} s after the return"
    )


def test_a_frozen_postgres(postgres: Postgres, servers: Servers) -> None:
    with served(postgres.url, servers.redis_url) as node:
        warm, cold = (asyncio.run(node.session(f"host{n}")) for n in range(2))
        with loading(node, warm) as load:
            wait_until(partial(_goes_well, load, 0.0))
            # A cold session needs Postgres; this one does not, from its first viewer on.
            with frozen(postgres):
                since = time.monotonic()
                _joins_while_away(node, warm, cold, REFUSED_WITHIN)
                # All that may be under way has failed by now.
                wait_until(lambda: _refused_at_once(load), within=10)
                _joins_while_away(node, warm, cold, 0.5)
                assert node.status("/readyz") == HTTPStatus.SERVICE_UNAVAILABLE
            back = time.monotonic()
            wait_until(partial(_goes_well, load, back), within=BACK_WITHIN)
            wait_until(lambda: node.status("/readyz") == HTTPStatus.OK, within=BACK_WITHIN)
        # What was left behind finds out that nobody waits for it.
        wait_until(lambda: connections(postgres) <= Settings().database_connections, within=2)
        assert asyncio.run(join(node, cold))[0]["type"] == "joined"
        assert max(attempt.seconds for attempt in load.attempts) < REFUSED_WITHIN
        check(postgres, warm, load)
        log.info("frozen: %s", figures(load, since, back))


def _joins_while_away(node: ServedNode, warm: str, cold: str, within: float) -> None:
    joined, seconds = asyncio.run(join(node, warm))
    assert joined["type"] == "joined"
    assert seconds < 0.5
    assert asyncio.run(_page(node, warm))["type"] == "history"
    refused, seconds = asyncio.run(join(node, cold))
    assert (refused["type"], refused["code"]) == ("error", "unavailable")
    assert seconds < within


async def _page(node: ServedNode, session: str) -> Message:
    async with node.client("late") as client:
        await client.join(session)
        return await client.ask("history", session=session, limit=50)


def _refused_at_once(load: Load) -> bool:
    last = load.attempts[-1]
    return not last.acked and last.seconds < 0.1


def test_a_killed_postgres(postgres: Postgres, servers: Servers) -> None:
    with served(postgres.url, servers.redis_url) as node:
        session = asyncio.run(node.session())
        with loading(node, session) as load:
            for _ in range(2):
                wait_until(partial(_goes_well, load, time.monotonic()), within=BACK_WITHIN)
                since = time.monotonic()
                postgres.kill()
                wait_until(partial(_refused_at_once, load))
                postgres.start()
                back = time.monotonic()
                wait_until(partial(_goes_well, load, back), within=BACK_WITHIN)
                log.info("killed: %s", figures(load, since, back))
        assert max(attempt.seconds for attempt in load.attempts) < REFUSED_WITHIN
        assert connections(postgres) <= Settings().database_connections
        check(postgres, session, load)


def _goes_well(load: Load, since: float) -> bool:
    return sum(attempt.acked for attempt in load.since(since)) > 100


def test_a_node_stops_in_time_while_postgres_is_frozen(postgres: Postgres, servers: Servers) -> None:
    async def talk(node: ServedNode, session: str) -> int:
        async with node.client("bob") as bob:
            await bob.join(session)
            assert (await bob.say(session, "before"))["type"] == "ack"
            with frozen(postgres):
                await bob.send(
                    "chat.send", id=99, session=session, key="00000000-0000-4000-8000-000000000001", text="?"
                )
                await asyncio.sleep(0.2)
                node.process.send_signal(signal.SIGTERM)
                await bob.socket.wait_closed()
                assert node.process.wait(5) == 0
            return int(bob.socket.close_code or 0)

    hurried = {"STAGEWIRE_DRAIN_TIMEOUT": "1", "STAGEWIRE_SHUTDOWN_TIMEOUT": "2"}
    with served(postgres.url, servers.redis_url, **hurried) as node:
        session = asyncio.run(node.session())
        began = time.monotonic()
        assert asyncio.run(talk(node, session)) == Close.DRAIN
        assert time.monotonic() - began < 4
