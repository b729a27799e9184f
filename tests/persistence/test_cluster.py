"""A client of a real cluster, also while its slots move and its servers go away."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator

import pytest

import persistence.cluster
from persistence.cluster import PAUSE
from persistence.errors import Misconfigured, Unavailable
from persistence.redis import Redis, connect, ping, spread, translated
from tests.persistence.conftest import until
from tests.support.clusters import Cluster, Deployment, ask, clustered
from tests.support.processes import free_port

KEYS = [f"sw:{{{n}}}:x" for n in range(30)]
ADD = "redis.call('SADD', KEYS[1] .. 'made', ARGV[1]) return redis.call('INCRBY', KEYS[1], ARGV[1])"


@pytest.fixture
async def client(deployment: Deployment) -> AsyncIterator[Redis]:
    async with connect(deployment.url, connections=4, timeout=2) as made:
        yield made


@pytest.fixture(scope="module")
def breakable() -> Iterator[Cluster]:
    with clustered() as running:
        yield running


@pytest.fixture
def own(breakable: Cluster) -> Cluster:
    """Give a cluster that a test may break, if it mends it."""
    breakable.ask_all("FLUSHALL")
    return breakable


@pytest.fixture
async def theirs(own: Cluster) -> AsyncIterator[Redis]:
    async with connect(own.url, connections=4, timeout=0.5) as made:
        yield made


async def test_commands_are_answered_as_by_one_server(client: Redis) -> None:
    for key in KEYS[:5]:
        assert await client.hset(key, mapping={"a": "1", "b": "2"}) == 2
        assert await client.hgetall(key) == {b"a": b"1", b"b": b"2"}
        assert await client.hget(key, "c") is None
        assert await client.expire(key, 60)
        assert await client.xadd(key + "s", {"f": "v"}, id="1-1", maxlen=10) == b"1-1"
        assert await client.xrange(key + "s") == [(b"1-1", {b"f": b"v"})]
        assert await client.delete(key, key + "s") == 2


async def test_a_pipeline_is_answered_in_its_order_whatever_its_keys(client: Redis) -> None:
    async with client.pipeline(transaction=False) as pipe:
        for n, key in enumerate(KEYS):
            pipe.set(key, n)
            pipe.incr(key)
        assert await pipe.execute() == [reply for n in range(30) for reply in (True, n + 1)]
        assert await pipe.execute() == []


@pytest.mark.parametrize("flushed", [False, True])
async def test_scripts_are_known_everywhere(client: Redis, flushed: bool) -> None:
    script = client.register_script(ADD)
    assert [await script(keys=[key], args=[2]) for key in KEYS] == [2] * 30
    if flushed:
        await client.script_flush()
    assert [await script(keys=[key], args=[2]) for key in KEYS[:5]] == [4] * 5
    if flushed:
        await client.script_flush()
    async with client.pipeline(transaction=False) as pipe:
        for key in KEYS[5:]:
            await script(keys=[key], args=[3], client=pipe)
            pipe.scard(key + "made")
        assert await pipe.execute() == [5, 2] * 25


async def test_a_failure_stands_in_its_place_or_is_raised(client: Redis) -> None:
    async with client.pipeline(transaction=False) as pipe:
        for key in KEYS[:3]:
            pipe.set(key, "x")
            pipe.hget(key, "field")
        replies = await pipe.execute(raise_on_error=False)
        assert replies[::2] == [True] * 3
        assert [str(reply).split(" ")[0] for reply in replies[1::2]] == ["WRONGTYPE"] * 3
        pipe.hget(KEYS[0], "field")
        with pytest.raises(Unavailable, match="WRONGTYPE"), translated():
            await pipe.execute()


async def test_a_script_whose_keys_are_apart_is_refused(cluster: Cluster) -> None:
    async with connect(cluster.url, connections=2, timeout=1) as client:
        with pytest.raises(Unavailable, match="CrossSlot"), translated():
            await client.eval("return 1", 2, "{a}", "{b}")
        with pytest.raises(Unavailable, match="non local key"), translated():
            await client.eval("return redis.call('GET', '{b}')", 1, "{a}")


async def test_there_are_no_transactions(cluster: Cluster) -> None:
    async with connect(cluster.url, connections=2, timeout=1) as client:
        with pytest.raises(ValueError, match="transaction=False"):
            client.pipeline()


async def test_keys_are_spread_over_their_servers(deployment: Deployment, client: Redis) -> None:
    places = await spread(client, KEYS)
    assert sorted(key for keys in places.values() for key in keys) == sorted(KEYS)
    assert len(places) == len(deployment.masters)


async def test_the_ways_to_get_the_address_wrong(cluster: Cluster, redis_url: str) -> None:
    async with connect(f"redis+cluster://127.0.0.1:{free_port()}", connections=2, timeout=1) as client:
        with pytest.raises(Unavailable, match="no server of the cluster answers"):
            await ping(client)
        # At once again: nobody is asked, and the answer is the same.
        with pytest.raises(Unavailable, match="no server of the cluster answers"):
            await ping(client)
    async with connect(cluster.url.replace("//", "//u:wrong@"), connections=2, timeout=1) as client:
        with pytest.raises(Misconfigured, match="invalid username-password"):
            await ping(client)


async def test_one_server_is_not_a_cluster(sentinels: Deployment) -> None:
    address = sentinels.masters[0].url.replace("redis://", "redis+cluster://")
    async with connect(address, connections=2, timeout=1) as client:
        with pytest.raises(Misconfigured, match="no cluster"):
            await ping(client)


async def test_a_member_of_a_cluster_is_not_alone(cluster: Cluster) -> None:
    key = KEYS[0]
    other = next(master for master in cluster.masters if master is not cluster.master_of(key))
    async with connect(other.url, connections=2, timeout=1) as client:
        with pytest.raises(Unavailable, match="MovedError"), translated():
            await client.get(key)


async def test_moved_slots_are_followed(own: Cluster, theirs: Redis) -> None:
    for key in KEYS:
        await theirs.set(key, "before")
    for key in KEYS[:6]:
        own.move(key, next(master for master in own.masters if master is not own.master_of(key)))
    script = theirs.register_script("return redis.call('GET', KEYS[1])")
    async with theirs.pipeline(transaction=False) as pipe:
        for key in KEYS:
            await script(keys=[key], client=pipe)
        assert await pipe.execute() == [b"before"] * 30
    assert await theirs.get(KEYS[0]) == b"before"


async def test_a_slot_on_its_way_is_asked_for_where_it_goes(own: Cluster, theirs: Redis) -> None:
    key = KEYS[0]
    old = own.master_of(key)
    new = next(master for master in own.masters if master is not old)
    await theirs.set(key, "here")
    own.begin_move(key, new)
    assert await theirs.get(key) == b"here"
    async with theirs.pipeline(transaction=False) as pipe:
        pipe.set(key + "y", "there")
        pipe.get(key + "y")
        pipe.get(key)
        assert await pipe.execute() == [True, b"there", b"here"]
    assert ask(old, "EXISTS", key) == 1
    own.move(key, new)
    assert [await theirs.get(key), await theirs.get(key + "y")] == [b"here", b"there"]


async def test_those_who_come_first_come_together(cluster: Cluster) -> None:
    theirs = connect(cluster.url, connections=16, timeout=2.0)
    try:
        assert await asyncio.gather(*(theirs.get(key) for key in KEYS)) == [None] * len(KEYS)
    finally:
        await theirs.aclose()


async def test_a_slot_that_nobody_holds(own: Cluster, theirs: Redis) -> None:
    assert await theirs.set(KEYS[0], "x")
    with own.vacant(KEYS[0]):
        async with theirs.pipeline(transaction=False) as pipe:
            pipe.get(KEYS[0])
            pipe.get(KEYS[1])
            lost, there = await pipe.execute(raise_on_error=False)
        assert (isinstance(lost, Exception), there) == (True, None)
        for _ in range(2):
            await asyncio.sleep(PAUSE)
            with pytest.raises(Unavailable, match="nobody holds slot"), translated():
                await theirs.get(KEYS[0])
        assert KEYS[0] not in [key for keys in (await spread(theirs, KEYS, anew=True)).values() for key in keys]
    async with asyncio.timeout(5):
        while not await is_held(theirs, KEYS[0]):  # noqa: ASYNC110 - the servers tell each other, and nobody else
            await asyncio.sleep(PAUSE)
    assert await theirs.get(KEYS[0]) == b"x"


async def is_held(theirs: Redis, key: str) -> bool:
    try:
        with translated():
            return bool(await theirs.exists(key))
    except Unavailable:
        return False


async def test_a_dead_master_costs_no_storm(own: Cluster, theirs: Redis) -> None:
    def asked() -> int:
        return sum(
            int(stats["cmdstat_cluster|slots"]["calls"])
            for stats in (ask(master, "INFO", "commandstats") for master in own.servers if master.running)
        )

    await ping(theirs)
    gone = own.masters[0]
    dead = next(key for key in KEYS if own.master_of(key) is gone)
    alive = next(key for key in KEYS if own.master_of(key) is not gone)
    gone.kill()
    before, began, tries = asked(), time.monotonic(), 0
    while time.monotonic() - began < 5 * PAUSE or tries < 60:
        with pytest.raises(Unavailable), translated():
            await theirs.get(dead)
        with translated():
            assert await theirs.get(alive) is None
        tries += 1
        await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await ping(theirs)
    # Two answer of the three that are asked each time.
    assert asked() - before <= 2 * ((time.monotonic() - began) / PAUSE + 1)
    gone.start()

    async def back() -> bool:
        try:
            await ping(theirs)
        except Unavailable:
            return False
        return own.settled()

    await until(back)


async def test_a_silent_master_costs_its_own_callers_alone(own: Cluster, theirs: Redis) -> None:
    await ping(theirs)
    silent = own.masters[0]
    theirs_keys = [key for key in KEYS if own.master_of(key) is silent]
    alive = next(key for key in KEYS if own.master_of(key) is not silent)
    os.kill(silent.pid, signal.SIGSTOP)
    try:
        waiting = [asyncio.ensure_future(theirs.get(key)) for key in theirs_keys[:3]]
        await asyncio.sleep(0)
        began = time.monotonic()
        assert await theirs.get(alive) is None
        assert time.monotonic() - began < 0.3
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(answer, Exception) for answer in answers)
        assert time.monotonic() - began < 1.5
    finally:
        os.kill(silent.pid, signal.SIGCONT)


async def test_a_server_that_has_left_is_let_go_after_a_while(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(cluster.url, connections=2, timeout=1) as client:
        assert isinstance(client, persistence.cluster.Cluster)
        await ping(client)
        left = ("127.0.0.1", free_port())
        client._server(left)
        for grace, kept in ((60.0, True), (0.0, False)):
            monkeypatch.setattr(persistence.cluster, "GRACE", grace)
            await asyncio.sleep(PAUSE)
            client.doubt()
            await ping(client)
            assert (left in client._servers) is kept
        assert len(client._servers) == 3
