"""How long users watch, as it is stored: over nodes, devices, crashes and a Postgres that is away."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import Counter

from persistence.postgres import PoolSettings, Postgres
from persistence.watch_times import Totals
from persistence.watch_times import WatchTimes as Storage
from realtime.settings import Settings
from realtime.telemetry import metrics
from realtime.watch_times import CHUNK, WatchTimes
from tests.support.nodes import Client, RunningNode, audience, serving
from tests.support.relay import relayed
from tests.support.served import served

BEAT = 0.3
QUICK: dict[str, Any] = {"audience_ms": 50, "watch_beat": BEAT}
SELDOM: dict[str, Any] = {"audience_ms": 50, "watch_beat": 3600.0}


@pytest.fixture
async def storage(migrated: str) -> AsyncIterator[Storage]:
    async with _opened(migrated) as opened:
        yield opened


@asynccontextmanager
async def _opened(url: str, **settings: Any) -> AsyncIterator[Storage]:
    postgres = Postgres(PoolSettings(url, 2, **settings))
    await postgres.open()
    try:
        yield Storage(postgres)
    finally:
        await postgres.close()


class Clock:
    """The time, as a test would have it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def until(storage: Storage, session: str, **totals: int) -> Totals:
    """Wait until at least so much is stored."""
    async with asyncio.timeout(10):
        while True:
            found = await storage.of(session)
            if all(getattr(found, name) >= value for name, value in totals.items()):
                return found
            await asyncio.sleep(0.02)


def count_of(counter: Counter) -> float:
    """Give how far a counter is."""
    return float(counter._value.get())


async def test_what_is_watched_is_added_on_each_beat(storage: Storage, migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **QUICK) as node:
        session = await node.session()
        async with node.client("bob") as bob, node.client("eve") as eve:
            for client in (bob, eve):
                await client.join(session)
            assert (await until(storage, session, users=2)).watched_ms == 0
            began = time.monotonic()
            await bob.ask("playback", session=session)
            await until(storage, session, watched_ms=int(2 * BEAT * 1000))
            await bob.ask("playback", session=session, state="paused")
            watched = (time.monotonic() - began) * 1000
            await node.node.watch_times.write()
            assert (await storage.of(session)).watched_ms == pytest.approx(watched, abs=100)
            await asyncio.sleep(2 * BEAT)
            assert (await storage.of(session)).watched_ms == pytest.approx(watched, abs=100)


async def test_one_who_watches_on_two_nodes_is_not_counted_twice(
    storage: Storage, migrated: str, redis_url: str
) -> None:
    async with serving(migrated, redis_url, **QUICK) as one, serving(migrated, redis_url, **QUICK) as two:
        session = await one.session()
        async with one.client("bob") as tv, one.client("bob") as phone, two.client("bob") as tablet:
            began = time.monotonic()
            for client in (tv, phone, tablet):
                await client.join(session)
                await client.ask("playback", session=session)
            await until(storage, session, watched_ms=int(5 * BEAT * 1000))
        await one.node.watch_times.write()
        await two.node.watch_times.write()
        watched = (time.monotonic() - began) * 1000
        totals = await storage.of(session)
        assert totals.users == 1
        assert watched - 400 < totals.watched_ms <= watched + 50


async def test_what_is_gathered_is_written_when_a_node_stops(storage: Storage, migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **SELDOM, drain_rate=1000.0) as node:
        session = await node.session()
        async with node.client("bob") as bob, node.client("eve") as eve:
            for client in (bob, eve):
                await client.join(session)
            await bob.ask("playback", session=session)
            await bob.until(kind="audience", audience=audience(2, 2, watching=1))
            await asyncio.sleep(0.2)
            await _close(eve)
            assert await storage.of(session) == Totals()
    totals = await storage.of(session)
    assert (totals.users, totals.peak) == (2, 2)
    assert totals.watched_ms >= 200


async def _close(client: Client) -> None:
    await client.socket.close()


async def test_a_killed_node_has_written_all_but_a_beat(storage: Storage, migrated: str, redis_url: str) -> None:
    environment = {"STAGEWIRE_WATCH_BEAT": str(BEAT), "STAGEWIRE_AUDIENCE_MS": "50"}
    async with serving(migrated, redis_url, **QUICK) as node:
        session = await node.session()
        with served(migrated, redis_url, **environment) as killed:
            async with killed.client("bob") as bob:
                await bob.join(session)
                began = time.monotonic()
                await bob.ask("playback", session=session)
                await until(storage, session, watched_ms=int(3 * BEAT * 1000))
                killed.process.kill()
                watched = (time.monotonic() - began) * 1000
        lost = watched - (await storage.of(session)).watched_ms
        assert -50 < lost < BEAT * 1000 + 200
        # Where the user goes on is another node's business.
        before = (await storage.of(session)).watched_ms
        async with node.client("bob") as bob:
            await bob.join(session)
            await bob.ask("playback", session=session)
            assert (await until(storage, session, watched_ms=before + 300)).users == 1


async def test_while_postgres_is_away_it_is_kept(storage: Storage, migrated: str, redis_url: str) -> None:
    patient = {"database_timeout": 1.0, "database_pause": 0.1, "head_check_ms": 200}
    async with relayed(migrated) as relay, serving(relay.url, redis_url, **QUICK, **patient) as node:
        session = await node.session()
        async with node.client("bob") as bob:
            await bob.join(session)
            began = time.monotonic()
            await bob.ask("playback", session=session)
            await until(storage, session, watched_ms=1)
            await relay.cut()
            stored = (await storage.of(session)).watched_ms
            async with node.client("eve") as eve:
                await eve.join(session)
            await asyncio.sleep(4 * BEAT)
            assert (await storage.of(session)).watched_ms == stored
            assert node.node.watch_times.waiting == 2
            await relay.listen()
            await until(storage, session, users=2, watched_ms=stored + int(4 * BEAT * 1000))
            await bob.ask("playback", session=session, state="paused")
            watched = (time.monotonic() - began) * 1000
            await node.node.watch_times.write()
        totals = await storage.of(session)
        assert totals.watched_ms == pytest.approx(watched, abs=300)
        assert totals.peak == 2


async def test_the_peak_is_that_of_all_nodes(storage: Storage, migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **SELDOM) as one, serving(migrated, redis_url, **SELDOM) as two:
        session = await one.session()
        async with one.client("bob") as bob:
            await bob.join(session)
            async with two.client("eve") as eve, two.client("bob") as phone, two.client("zoe") as zoe:
                for client in (eve, phone, zoe):
                    await client.join(session)
                await bob.until(kind="audience", audience=audience(4, 3))
            await bob.until(kind="audience", audience=audience(1, 1))
            for node in (one, two):
                await _written(node)
            assert (await storage.of(session)).peak == 3
            assert (await storage.of(session)).users == 3


async def _written(node: RunningNode) -> None:
    await node.node.watch_times.write()


async def test_more_users_than_a_statement_takes(storage: Storage) -> None:
    clock, session = Clock(), str(uuid4())
    times = WatchTimes(storage, Settings(), clock)
    written = count_of(metrics.WATCH_WRITTEN)
    for n in range(CHUNK + 10):
        times.start(session, f"u{n}")
    clock.now += 2
    await times.write()
    assert await storage.of(session) == Totals(CHUNK + 10, (CHUNK + 10) * 2000)
    assert count_of(metrics.WATCH_WRITTEN) - written == CHUNK + 10
    assert times.waiting == 0


async def test_what_postgres_never_takes_holds_up_nothing(storage: Storage) -> None:
    clock, session = Clock(), str(uuid4())
    times, lost = WatchTimes(storage, Settings(), clock), count_of(metrics.WATCH_LOST)
    times.see(session, "b\x00b")
    await times.write()
    times.see(session, "bob")
    await times.write()
    assert (await storage.of(session)).users == 1
    assert count_of(metrics.WATCH_LOST) - lost == 1


async def test_what_waits_is_bounded(migrated: str) -> None:
    session, clock = str(uuid4()), Clock()
    lost = count_of(metrics.WATCH_LOST)
    async with relayed(migrated) as relay, _opened(relay.url, timeout=0.5, command_timeout=0.5, pause=0.05) as storage:
        times = WatchTimes(storage, Settings(watch_notes=3), clock)
        await relay.cut()
        for n in range(5):
            times.see(session, f"u{n}")
            times.count(str(uuid4()), 1)
        times.count(session, 7)
        await times.write()
        times.count(session, 5)
        assert times.waiting == 3
        assert count_of(metrics.WATCH_LOST) - lost == 2
        await relay.listen()
        async with asyncio.timeout(10):
            while times.waiting:
                await asyncio.sleep(0.05)
                await times.write()
        await times.write()
        totals = await storage.of(session)
        assert (totals.users, totals.peak) == (3, 7)
