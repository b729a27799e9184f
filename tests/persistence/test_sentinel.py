"""A client of the master that real Sentinels name."""

import os
import signal
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from persistence.errors import Misconfigured, Unavailable
from persistence.redis import Redis, connect, ping, translated
from tests.persistence.conftest import until
from tests.support.clusters import SERVICE, Sentinels, ask, sentinelled
from tests.support.processes import free_port


async def test_an_unknown_name(sentinels: Sentinels) -> None:
    async with connect(sentinels.url.replace(f"/{SERVICE}", "/other"), connections=2, timeout=1) as client:
        with pytest.raises(Unavailable, match="no Sentinel names a master of 'other'"):
            await ping(client)


async def test_nobody_to_ask() -> None:
    async with connect(f"redis+sentinel://127.0.0.1:{free_port()}/main", connections=2, timeout=1) as client:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="no Sentinel names a master"):
            await ping(client)
        assert time.monotonic() - began < 0.5


async def test_a_silent_sentinel_costs_no_time(sentinels: Sentinels) -> None:
    silent = sentinels.sentinels[0].pid
    os.kill(silent, signal.SIGSTOP)
    try:
        async with connect(sentinels.url, connections=2, timeout=1) as client:
            began = time.monotonic()
            await ping(client)
            assert time.monotonic() - began < 0.5
    finally:
        os.kill(silent, signal.SIGCONT)


async def test_the_sentinels_have_a_password_of_their_own(sentinels: Sentinels) -> None:
    for sentinel in sentinels.sentinels:
        ask(sentinel, "ACL", "SETUSER", "watcher", "reset", "on", ">right", "+@connection", "+sentinel|masters")
    asked = f"{sentinels.url}?sentinel_user=watcher&sentinel_password="
    async with connect(asked + "right", connections=2, timeout=1) as client:
        await ping(client)
    async with connect(asked + "wrong", connections=2, timeout=1) as client:
        with pytest.raises(Misconfigured, match="invalid username-password"):
            await ping(client)


async def test_the_master_has_a_password_and_databases(sentinels: Sentinels) -> None:
    ask(sentinels.master, "ACL", "SETUSER", "guest", "on", ">right", "+@all", "~*", "&*")
    url = sentinels.url.replace("//", "//guest:{}@") + "/3"
    async with connect(url.format("right"), connections=2, timeout=1) as client:
        assert await client.set("k", "three")
    async with connect(url.format("wrong"), connections=2, timeout=1) as client:
        with pytest.raises(Misconfigured):
            await ping(client)
    async with connect(sentinels.url, connections=2, timeout=1) as client:
        assert await client.get("k") is None


@pytest.fixture(scope="module")
def breakable() -> Iterator[Sentinels]:
    with sentinelled() as running:
        yield running


@pytest.fixture
async def client(breakable: Sentinels) -> AsyncIterator[Redis]:
    async with connect(breakable.url, connections=4, timeout=0.5) as made:
        yield made


async def test_a_demoted_master_is_left_at_its_first_refusal(breakable: Sentinels, client: Redis) -> None:
    old = breakable.master
    new = next(server for server in breakable.servers if server is not old)
    assert await client.set("k", "before")
    # Nobody else knows: the connection stands, and the Sentinels still name this server.
    ask(old, "REPLICAOF", "127.0.0.1", new.port)
    with pytest.raises(Unavailable, match="now a slave"), translated():
        await client.set("k", "refused")
    ask(old, "REPLICAOF", "NO", "ONE")
    assert await client.set("k", "after")


async def test_the_new_master_is_found(breakable: Sentinels, client: Redis) -> None:
    old = breakable.master
    assert await client.set("k", "before")
    old.kill()

    async def written() -> bool:
        began = time.monotonic()
        try:
            with translated():
                return bool(await client.set("k", "after"))
        except Unavailable:
            return False
        finally:
            # The time-out of one connection at most, however things stand.
            assert time.monotonic() - began < 0.9

    await until(written, within=10)
    assert breakable.master is not old
    assert ask(breakable.master, "GET", "k") == b"after"
