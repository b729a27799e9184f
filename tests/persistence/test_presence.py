"""Presence on every kind of Redis: several nodes, each with its own part."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest
import redis as blocking
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persistence.errors import Unavailable
from persistence.presence import Part, Presence, Whole
from persistence.redis import Redis, connect
from tests.persistence.conftest import until
from tests.support.clusters import Cluster, Deployment, clustered
from tests.support.processes import free_port

LONG = 60_000
SHORT = 150


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """Give a cluster that a test may break."""
    with clustered() as running:
        yield running


@pytest.fixture
async def client(deployment: Deployment) -> AsyncIterator[Redis]:
    async with connect(deployment.url, connections=4, timeout=2) as made:
        yield made


async def one(presence: Presence, **part: object) -> Whole:
    """Write one part of the session `s`."""
    [whole] = await presence.write([Part(**{"session": "s", **part})])  # type: ignore[arg-type] # as the caller says
    assert isinstance(whole, Whole), whole
    return whole


async def test_nothing_to_write(client: Redis) -> None:
    assert await Presence(client, "a", LONG).write([]) == []


async def test_a_user_on_two_nodes_is_one_user(client: Redis) -> None:
    a, b = Presence(client, "a", LONG), Presence(client, "b", LONG)
    assert await one(a, connections=3, entered=["alice", "bob"]) == Whole(3, 2, 2)
    assert await one(b, connections=2, entered=["alice", "eve"]) == Whole(5, 3, 2)
    assert await one(a, connections=1, left=["alice"]) == Whole(3, 3, 1)
    assert await one(b, connections=1, left=["alice"]) == Whole(2, 2, 1)


async def test_sessions_are_apart_and_answered_in_their_order(client: Redis) -> None:
    a, b = Presence(client, "a", LONG), Presence(client, "b", LONG)
    await b.write([Part(session="two", connections=1, entered=["bob"])])
    parts = [Part(session=name, connections=n, entered=["alice"]) for n, name in enumerate(("one", "two", "six"), 1)]
    assert await a.write(parts) == [Whole(1, 1, 1), Whole(3, 2, 1), Whole(3, 1, 1)]


async def test_users_that_look_like_numbers_and_commands(client: Redis) -> None:
    a = Presence(client, "a", LONG)
    assert await one(a, connections=4, entered=["0", "1", "-1", "SADD"]) == Whole(4, 4, 4)
    assert await one(a, connections=3, entered=["2"], left=["0", "1"]) == Whole(3, 3, 3)


async def test_who_leaves_nothing_behind_is_gone_at_once(client: Redis, deployment: Deployment) -> None:
    a, b = Presence(client, "a", LONG), Presence(client, "b", LONG)
    await one(a, connections=1, entered=["alice"])
    await one(b, connections=1, entered=["bob"])
    assert await one(a, connections=0, left=["alice"]) == Whole(1, 1, 0)
    assert await one(b, connections=0, left=["bob"]) == Whole(0, 0, 0)
    assert deployment.keys() == set()


async def until_users(presence: Presence, users: int, **part: object) -> Whole:
    """Write the same part again until the whole has so many users."""
    wholes: list[Whole] = []

    async def reached() -> bool:
        wholes.append(await one(presence, **part))
        return wholes[-1].users == users

    await until(reached)
    return wholes[-1]


async def test_the_part_of_a_killed_node_is_gone_with_its_lease(client: Redis, deployment: Deployment) -> None:
    killed, alive = Presence(client, "killed", SHORT), Presence(client, "alive", SHORT)
    await one(alive, connections=1, entered=["alice"])
    began = time.monotonic()
    await one(killed, connections=5, entered=["alice", "bob"])
    assert await one(alive, connections=1) == Whole(6, 2, 1)
    assert await until_users(alive, 1, connections=1) == Whole(1, 1, 1)
    # Redis counts in milliseconds.
    assert time.monotonic() - began >= SHORT / 1000 - 0.002
    assert deployment.keys() == {"sw:{s}:connections", "sw:{s}:leases", "sw:{s}:users:alive"}


async def test_a_node_that_was_only_away_comes_back_with_all_its_users(client: Redis) -> None:
    away, alive = Presence(client, "away", SHORT), Presence(client, "alive", SHORT)
    await one(alive, connections=1, entered=["alice"])
    await one(away, connections=2, entered=["bob", "eve"])
    await until_users(alive, 1, connections=1)
    # It has two users written, as it thinks; none is left.
    assert await one(away, connections=2) == Whole(3, 1, 0)
    assert await one(away, connections=2, entered=["bob", "eve"], anew=True) == Whole(3, 3, 2)


async def test_a_redis_that_lost_everything_is_told_anew(client: Redis) -> None:
    a, b = Presence(client, "a", LONG), Presence(client, "b", LONG)
    await one(a, connections=2, entered=["alice", "bob"])
    await one(b, connections=1, entered=["eve"])
    await client.flushall()
    assert (await one(a, connections=3, entered=["dan"])).written == 1
    assert await one(a, connections=3, entered=["alice", "bob", "dan"], anew=True) == Whole(3, 3, 3)
    assert (await one(b, connections=1)).written == 0
    assert await one(b, connections=1, entered=["eve"], anew=True) == Whole(4, 4, 1)


async def test_anew_forgets_who_is_not_named(client: Redis) -> None:
    a = Presence(client, "a", LONG)
    await one(a, connections=2, entered=["alice", "bob"])
    assert await one(a, connections=1, entered=["eve"], anew=True) == Whole(1, 1, 1)


async def test_a_lost_script_is_loaded_again(client: Redis) -> None:
    a = Presence(client, "a", LONG)
    await one(a, connections=1, entered=["alice"])
    await client.script_flush()
    assert await one(a, connections=1) == Whole(1, 1, 1)


async def test_nothing_stays_of_a_session_that_nobody_writes_any_more(client: Redis, deployment: Deployment) -> None:
    a, b = Presence(client, "a", SHORT), Presence(client, "b", SHORT)
    await one(a, connections=1, entered=["alice"])
    await one(b, connections=1, entered=["bob"])

    async def empty() -> bool:
        return not deployment.keys()

    await until(empty)


async def test_a_redis_that_is_not_there() -> None:
    async with connect(f"redis://127.0.0.1:{free_port()}", connections=2, timeout=1) as client:
        [error] = await Presence(client, "a", LONG).write([Part(session="s", connections=1)])
        assert isinstance(error, Unavailable)


async def test_a_server_that_is_not_there_takes_only_its_own_sessions_with_it(own_cluster: Cluster) -> None:
    sessions = [f"s{n}" for n in range(12)]
    gone = own_cluster.masters[0]
    theirs = {session for session in sessions if own_cluster.master_of(f"{{{session}}}") is gone}
    assert set() < theirs < set(sessions)
    async with connect(own_cluster.url, connections=4, timeout=1) as client:
        a = Presence(client, "a", LONG)
        parts = [Part(session=session, connections=1, entered=["alice"]) for session in sessions]
        assert await a.write(parts) == [Whole(1, 1, 1)] * 12
        gone.kill()
        for _ in range(2):
            wholes = dict(zip(sessions, await a.write(parts), strict=True))
            assert {session for session, whole in wholes.items() if isinstance(whole, Unavailable)} == theirs
            assert {wholes[session] for session in set(sessions) - theirs} == {Whole(1, 1, 1)}
        gone.start()

        async def back() -> bool:
            return await a.write(parts) == [Whole(1, 1, 1)] * 12

        await until(back)


NODES = ["a", "b", "c"]
STEPS = st.lists(
    st.tuples(st.sampled_from(NODES), st.sampled_from(["alice", "bob", "eve"]), st.booleans()), max_size=20
)


@given(steps=STEPS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_whole_is_all_that_came_and_has_not_gone(redis_url: str, steps: list[tuple[str, str, bool]]) -> None:
    async def play() -> None:
        here: dict[str, Counter[str]] = {node: Counter() for node in NODES}
        async with connect(redis_url, connections=1, timeout=2) as client:
            for node, user, enters in steps:
                before = set(here[node])
                here[node] += Counter([user])
                if not enters:
                    here[node] -= Counter([user] * 2)
                whole = await one(
                    Presence(client, node, LONG),
                    connections=here[node].total(),
                    entered=sorted(set(here[node]) - before),
                    left=sorted(before - set(here[node])),
                )
                assert whole == Whole(
                    sum(users.total() for users in here.values()),
                    len(set().union(*here.values())),
                    len(here[node]),
                )

    with blocking.Redis.from_url(redis_url) as cleaner:
        cleaner.flushall()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())


async def test_who_is_written_by_other_nodes(client: Redis) -> None:
    a, b = Presence(client, "a", LONG), Presence(client, "b", LONG)
    assert await a.elsewhere("s", ["bob"]) == set()
    await one(a, connections=1, entered=["bob"])
    await one(b, connections=1, entered=["eve"])
    await b.write([Part(session="other", connections=1, entered=["zoe"])])
    assert await a.elsewhere("s", ["bob", "eve", "zoe", "*"]) == {"eve"}
    assert await b.elsewhere("s", ["bob", "eve", "zoe", "*"]) == {"bob"}
