"""Old logs go, their sessions stay, and whoever has a position in one is told."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from persistence.embedded import Servers
from persistence.postgres import PoolSettings
from persistence.retention import Retention
from realtime import migrating
from realtime.protocol.codes import Close
from realtime.retention import Caretaker
from realtime.settings import DAY_MS, Settings
from tests.persistence.conftest import opened
from tests.persistence.test_retention import World, now_ms
from tests.support.databases import fresh_database, query
from tests.support.nodes import RunningNode, serving, token
from tokens.access import AccessRole

# Ahead of now, so that the partition of the present is old.
TOMORROW = -30 * DAY_MS


@pytest.fixture
def url(servers: Servers) -> Iterator[str]:
    """Give a migrated database to each test."""
    with fresh_database(servers.database_url) as url:
        migrating.bring_up(Settings(database_url=url))
        yield url


@pytest.fixture
async def world(url: str) -> AsyncIterator[World]:
    async with opened(url) as postgres:
        yield World(url, postgres, now_ms() // DAY_MS * DAY_MS)


def caretaker(world: World, retention_days: int) -> Caretaker:
    """Give one that looks after a database."""
    return Caretaker(world.log, PoolSettings(world.url), Settings(retention_days=retention_days, partition_days=1))


async def test_a_look_adds_what_is_needed_and_drops_what_is_old(world: World) -> None:
    await caretaker(world, 7).look()
    present = await world.names()
    old, kept, young = await world.partition(20), await world.partition(15), await world.partition(3)
    over, held = await world.session(19.5, 19.4), await world.session(14.5, None)
    await caretaker(world, 0).look()
    assert await world.names() == {*present, old, kept, young}
    await caretaker(world, 7).look()
    assert await world.names() == {*present, kept, young}
    assert [await world.events(session) for session in (over, held)] == [0, 3]


async def test_a_look_that_fails_leaves_the_next_one_to_go_well(world: World) -> None:
    await caretaker(world, 7).look()
    await world.partition(20)
    await world.postgres.rows("ALTER FUNCTION partitions RENAME TO hidden")
    await caretaker(world, 7).look()
    await world.postgres.rows("ALTER FUNCTION hidden RENAME TO partitions")
    before = await world.names()
    await caretaker(world, 7).look()
    assert len(await world.names()) == len(before) - 1


async def test_a_look_sweeps_old_notices_where_notices_are_taken(world: World) -> None:
    await caretaker(world, 0).look()
    session = await world.session(0, None)
    kept = "SELECT count(*) FROM agora_notices"
    await world.postgres.rows("INSERT INTO agora_notices VALUES ($1, 'x', now_ms() - 3600000)", session)
    await caretaker(world, 0).look()
    assert (await world.postgres.rows(kept))[0][0] == 1
    taking = Settings(agora_webhook_secret="shared", partition_days=1)
    await Caretaker(world.log, PoolSettings(world.url), taking).look()
    assert (await world.postgres.rows(kept))[0][0] == 0
    # Where that fails, the log alone learns of it.
    await world.postgres.rows("ALTER TABLE agora_notices RENAME TO hidden")
    await Caretaker(world.log, PoolSettings(world.url), taking).look()
    await Caretaker(world.log, PoolSettings("postgresql://127.0.0.1:1/nowhere"), taking).look()


async def test_a_node_looks_on_its_beat(world: World, redis_url: str) -> None:
    beat = {"retention_beat": 0.1, "retention_days": 7, "partition_days": 1}
    async with serving(world.url, redis_url, **beat):
        old = await world.partition(20)
        async with asyncio.timeout(5):
            while old in await world.names():  # noqa: ASYNC110 - it comes with the beat
                await asyncio.sleep(0.02)


async def _ended_session(node: RunningNode) -> tuple[str, dict[str, object]]:
    """Make a session with a message, and end it; give the position of a viewer who was there before the end."""
    session = await node.session("ann")
    async with node.client("bob") as bob:
        await bob.join(session)
        await bob.say(session, "hello")
        position = (await bob.join(session))["position"]
    ended = await node.request("POST", f"/v1/sessions/{session}/end", token("ann", AccessRole.SELLER))
    assert ended.json()["state"] == "ended"
    return session, position


async def test_a_position_in_a_dropped_log_is_told_to_begin_anew(world: World, redis_url: str) -> None:
    async with serving(world.url, redis_url) as node:
        session, position = await _ended_session(node)
    span = await Retention(world.postgres).drop(0, TOMORROW)
    assert span is not None
    assert span.dropped
    async with serving(world.url, redis_url) as cold, cold.client("bob") as bob:
        joined = await bob.join(session, since=position)
        assert (joined["complete"], joined["events"], joined["position"]["seq"]) == (False, [], 0)
        assert joined["position"]["epoch"] != position["epoch"]
        assert joined["session"]["state"] == "ended"
        page = await bob.ask("history", session=session)
        assert (page["events"], page["more"]) == ([], False)
        # From there on it has everything, which is nothing.
        again = await bob.join(session, since=joined["position"])
        assert (again["complete"], again["events"]) == (True, [])


async def test_who_is_in_a_session_whose_log_is_dropped_is_sent_to_join_anew(world: World, redis_url: str) -> None:
    async with serving(world.url, redis_url, head_check_ms=100) as node:
        session, position = await _ended_session(node)
        async with node.client("bob") as bob:
            assert (await bob.join(session, since=position))["complete"] is True
            await Retention(world.postgres).drop(0, TOMORROW)
            assert (await bob.until_closed())[0] == Close.UNAVAILABLE
        async with node.client("bob") as bob:
            joined = await bob.join(session, since=position)
            assert (joined["complete"], joined["position"]["seq"]) == (False, 0)


async def test_new_epochs_after_a_restore(world: World, redis_url: str) -> None:
    async with serving(world.url, redis_url) as node:
        live = await node.session("ann")
        over, at_the_end = await _ended_session(node)
        async with node.client("bob") as bob:
            position = (await bob.join(live))["position"]
    assert await asyncio.to_thread(migrating.begin_anew, Settings(database_url=world.url)) == 1
    assert await asyncio.to_thread(query, world.url, "SELECT count(*) FROM log_heads WHERE open") == 1
    async with serving(world.url, redis_url) as node, node.client("bob") as bob:
        assert (await bob.join(live, since=position))["complete"] is False
        assert (await bob.join(over, since=at_the_end))["complete"] is True
