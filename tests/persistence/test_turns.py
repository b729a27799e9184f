"""Turns of slow mode, on every kind of Redis."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from persistence.errors import Unavailable
from persistence.redis import Redis, connect
from persistence.turns import HELD, TAKEN, Turns, Wish
from tests.support.clusters import Deployment

SESSION = str(uuid4())
HOUR = 3_600_000


async def take(client: Redis, user: str, key: str, interval: int, session: str = SESSION) -> int:
    [given] = await Turns(client).take([Wish(session, user, key, interval)])
    assert isinstance(given, int), given
    return given


async def give_back(client: Redis, user: str, key: str) -> None:
    await take(client, user, key, 0)


@pytest.fixture
async def client(deployment: Deployment) -> AsyncIterator[Redis]:
    async with connect(deployment.url, connections=4, timeout=2.0) as client:
        yield client


async def test_a_turn_is_taken_by_one_message(client: Redis) -> None:
    assert await take(client, "bob", "first", HOUR) == TAKEN
    assert await take(client, "bob", "first", HOUR) == HELD
    assert HOUR - 5000 < await take(client, "bob", "second", HOUR) <= HOUR
    assert await take(client, "eve", "second", HOUR) == TAKEN
    assert await take(client, "bob", "second", HOUR, str(uuid4())) == TAKEN


async def test_many_are_asked_for_in_one_go(client: Redis) -> None:
    sessions = [str(uuid4()) for _ in range(20)]
    wishes = [Wish(session, "bob", f"key:{n}", HOUR) for session in sessions for n in range(2)]
    given = await Turns(client).take(wishes)
    assert given[::2] == [TAKEN] * 20
    assert all(isinstance(wait, int) and wait > 0 for wait in given[1::2])
    assert await Turns(client).take([]) == []


async def test_of_many_nodes_at_once_one_takes_it(client: Redis) -> None:
    await take(client, "eve", "before", HOUR)
    given = await asyncio.gather(*(take(client, "bob", f"key:{n}", HOUR) for n in range(4)))
    assert given.count(TAKEN) == 1
    assert all(wait > 0 for wait in given if wait != TAKEN)


async def test_a_turn_is_given_back_by_its_message_alone(client: Redis) -> None:
    await take(client, "bob", "first", HOUR)
    await give_back(client, "bob", "second")
    assert await take(client, "bob", "second", HOUR) > 0
    await give_back(client, "bob", "first")
    assert await take(client, "bob", "second", HOUR) == TAKEN
    await give_back(client, "zoe", "none")


async def test_the_interval_of_now_counts(client: Redis) -> None:
    await take(client, "bob", "first", HOUR)
    async with asyncio.timeout(5):
        while (wait := await take(client, "bob", "second", 50)) > 0:
            assert wait <= 50
            await asyncio.sleep(wait / 1000)
    assert wait == TAKEN


async def test_a_turn_leaves_nothing_behind(client: Redis) -> None:
    await take(client, "bob", "first", 50)
    key = f"sw:{{{SESSION}}}:turns"
    assert 0 < int(await client.pttl(key)) <= 50
    async with asyncio.timeout(5):
        while await client.exists(key):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.01)


async def test_a_shorter_interval_forgets_nobody_sooner(client: Redis) -> None:
    await take(client, "bob", "first", HOUR)
    await take(client, "eve", "first", 50)
    assert await take(client, "bob", "second", HOUR) > HOUR - 5000
    assert int(await client.pttl(f"sw:{{{SESSION}}}:turns")) > HOUR - 5000


async def test_all_turns_of_a_session_are_forgotten(client: Redis) -> None:
    other = str(uuid4())
    for session in (SESSION, other):
        await take(client, "bob", "first", HOUR, session)
    await Turns(client).forget(SESSION)
    assert await take(client, "bob", "second", HOUR) == TAKEN
    assert await take(client, "bob", "second", HOUR, other) > 0


async def test_without_redis_nobody_knows() -> None:
    async with connect("unix:///nonexistent/valkey.sock", connections=1, timeout=0.5) as nowhere:
        given = await Turns(nowhere).take([Wish(SESSION, "bob", "first", HOUR), Wish(SESSION, "eve", "x", 0)])
        assert [type(one) for one in given] == [Unavailable, Unavailable]
        with pytest.raises(Unavailable):
            await Turns(nowhere).forget(SESSION)
