"""Shared token buckets, on every kind of Redis."""

from collections.abc import AsyncIterator

import pytest

from persistence.buckets import BATCH, SLOTS, SharedBuckets, Taken
from persistence.errors import Unavailable
from persistence.redis import Redis, connect
from tests.persistence.conftest import until
from tests.support.clusters import Deployment
from tests.support.processes import free_port

# Slow enough to stand still for as long as a test runs.
STILL = 0.001


@pytest.fixture
async def client(deployment: Deployment) -> AsyncIterator[Redis]:
    async with connect(deployment.url, connections=4, timeout=2.0) as client:
        yield client


async def take(client: Redis, *taken: Taken) -> dict[str, float]:
    levels, error = await SharedBuckets(client).take(taken)
    assert error is None
    return levels


async def test_what_all_nodes_have_given_is_taken_out(client: Redis) -> None:
    assert await take(client, Taken("chat:bob", STILL, 10, 3)) == {"chat:bob": 7}
    assert await take(client, Taken("chat:bob", STILL, 10, 4)) == {"chat:bob": pytest.approx(3, abs=0.1)}
    assert await take(client, Taken("chat:eve", STILL, 10, 1)) == {"chat:eve": 9}


async def test_what_was_given_too_much_is_remembered(client: Redis) -> None:
    assert await take(client, Taken("chat:bob", STILL, 10, 25)) == {"chat:bob": -15}
    assert await take(client, Taken("chat:bob", STILL, 10, 1)) == {"chat:bob": pytest.approx(-16, abs=0.1)}


async def test_it_fills_up_and_is_forgotten_when_it_is_full(client: Redis, deployment: Deployment) -> None:
    await take(client, Taken("chat:bob", 1000, 50, 60))
    assert len(deployment.keys()) == 1
    level = (await take(client, Taken("chat:bob", 1000, 50, 1)))["chat:bob"]
    assert -11 <= level <= 49

    async def forgotten() -> bool:
        return not deployment.keys()

    await until(forgotten)
    assert await take(client, Taken("chat:bob", 1000, 50, 1)) == {"chat:bob": 49}


async def test_a_lower_limit_counts_at_once(client: Redis) -> None:
    await take(client, Taken("chat:bob", STILL, 100, 1))
    assert await take(client, Taken("chat:bob", STILL, 10, 1)) == {"chat:bob": 9}


async def test_a_clock_that_was_put_back_fills_nothing(client: Redis, deployment: Deployment) -> None:
    await take(client, Taken("chat:bob", 0.1, 10, 5))
    [key] = deployment.keys()
    # As if the server that stored it had been hours ahead.
    await client.set(key, "5.0 99999999999999", px=60_000)
    assert await take(client, Taken("chat:bob", 0.1, 10, 1)) == {"chat:bob": 4}
    # And now it is this server's time that counts.
    level = (await take(client, Taken("chat:bob", 0.1, 10, 1)))["chat:bob"]
    assert 3 <= level < 4


async def test_more_than_fit_into_one_call_are_all_taken(client: Redis, deployment: Deployment) -> None:
    keys = [f"chat:user{n}" for n in range(SLOTS * BATCH + 100)]
    levels = await take(client, *(Taken(key, STILL, 10, 1) for key in keys))
    assert levels == dict.fromkeys(keys, 9)
    assert len(deployment.keys()) == len(keys)


async def test_nothing_to_take_asks_nobody(client: Redis) -> None:
    assert await take(client) == {}


async def test_who_cannot_be_asked_says_nothing() -> None:
    async with connect(f"redis://127.0.0.1:{free_port()}", connections=1, timeout=0.5) as client:
        levels, error = await SharedBuckets(client).take([Taken("chat:bob", 1, 1, 1)])
    assert levels == {}
    assert isinstance(error, Unavailable)
