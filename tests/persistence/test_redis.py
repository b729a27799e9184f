import asyncio
import re
import time
from pathlib import Path

import pytest
from redis.asyncio import SSLConnection
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
    SlotNotCoveredError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from persistence.embedded import Valkey
from persistence.errors import Misconfigured, Unavailable
from persistence.hints import Hints, HintSettings
from persistence.presence import Attendee, Part, Presence, Whole
from persistence.redis import Redis, connect, ping, translated
from persistence.sentinel import MasterPool
from tests.persistence.conftest import until
from tests.support.certificates import self_signed
from tests.support.clusters import MEMBER, Deployment, ask
from tests.support.databases import scratch
from tests.support.processes import BUS, free_port
from tests.support.relay import Relay, relayed


async def test_a_server_that_answers(redis_url: str) -> None:
    async with connect(redis_url, connections=2, timeout=1) as client:
        await ping(client)


async def test_nobody_listens() -> None:
    async with connect(f"redis://127.0.0.1:{free_port()}", connections=2, timeout=1) as client:
        with pytest.raises(Unavailable):
            await ping(client)


async def test_nobody_answers(redis_url: str) -> None:
    async with relayed(redis_url) as relay, connect(relay.url, connections=2, timeout=0.4) as client:
        await ping(client)
        relay.freeze()
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await ping(client)
        # Once, not again and again.
        assert time.monotonic() - began < 0.75
        relay.thaw()
        await ping(client)


async def test_a_wrong_password(redis_url: str) -> None:
    async with connect(redis_url, connections=2, timeout=1) as admin:
        await admin.acl_setuser("guest", enabled=True, passwords=["+right"], keys=["*"], categories=["+@all"])
        try:
            async with connect(redis_url.replace("//", "//guest:wrong@"), connections=2, timeout=1) as client:
                with pytest.raises(Misconfigured):
                    await ping(client)
            async with connect(redis_url.replace("//", "//guest:right@"), connections=2, timeout=1) as client:
                await ping(client)
        finally:
            await admin.acl_deluser("guest")


async def test_connections_are_bounded(redis_url: str) -> None:
    async with connect(redis_url, connections=2, timeout=1) as client:
        pool = client.connection_pool
        taken = [await pool.get_connection() for _ in range(2)]  # type: ignore[no-untyped-call] # redis-py's
        with pytest.raises(Unavailable):
            await ping(client)
        for connection in taken:
            await pool.release(connection)
        await ping(client)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AuthenticationError("x"), Misconfigured),
        (NoPermissionError("x"), Misconfigured),
        (MovedError("1 x:1"), Unavailable),
        (ClusterDownError("x"), Unavailable),
        (SlotNotCoveredError("x"), Unavailable),
        (MasterNotFoundError("x"), Unavailable),
        (RedisConnectionError("x"), Unavailable),
        (RedisTimeoutError("x"), Unavailable),
        (BusyLoadingError("x"), Unavailable),
        (ReadOnlyError("x"), Unavailable),
        (ResponseError("x"), Unavailable),
        (ConnectionResetError("x"), Unavailable),
        (TimeoutError("x"), Unavailable),
        (RuntimeError("x"), Unavailable),
        (ZeroDivisionError("x"), ZeroDivisionError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_the_drivers_errors_are_mapped(error: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected, match="x"), translated():
        raise error


MANUAL = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")


async def test_the_rights_that_the_manual_asks_for_are_enough(deployment: Deployment) -> None:
    [rights] = re.findall(r"^ACL SETUSER stagewire on >PASSWORD (.+)$", MANUAL, re.MULTILINE)
    for server in deployment.servers:
        ask(server, "ACL", "SETUSER", "stagewire", "reset", "on", ">right", *rights.split())
    heard = asyncio.Queue[bytes]()
    async with connect(deployment.url.replace("//", "//stagewire:right@"), connections=4, timeout=1) as client:
        await ping(client)
        presence = Presence(client, "a", 1000, 10)
        part = Part(session="s", connections=1, version=1, entered=["bob"], began=["bob"], posted=["bob"])
        [whole] = await presence.write([part])
        assert isinstance(whole, Whole)
        assert (await presence.page("s", "", 1))[1] == [Attendee("bob", watching=True, chatter=True)]
        hints = Hints(client, lambda _, payload: heard.put_nowait(payload), HintSettings())
        hints.start()
        try:
            await hints.follow("s")
            hints.publish("s", b"x")
            async with asyncio.timeout(2):
                assert await heard.get() == b"x"
        finally:
            await hints.stop()
        with pytest.raises(Misconfigured, match="No permissions"), translated():
            await client.set("other", "x")


async def test_tls_to_a_server(redis_url: str, tmp_path: Path) -> None:
    trusted, tls = self_signed(tmp_path)
    async with relayed(redis_url, tls) as relay:
        async with connect(f"{relay.url}?ssl_ca_certs={trusted}", connections=2, timeout=1) as client:
            await ping(client)
        async with connect(
            f"{relay.url}?ssl_cert_reqs=none&ssl_check_hostname=false", connections=2, timeout=1
        ) as client:
            await ping(client)
        for stranger in (relay.url, relay.url.replace("rediss", "redis")):
            async with connect(stranger, connections=2, timeout=1) as client:
                with pytest.raises(Unavailable):
                    await ping(client)


async def test_tls_to_a_cluster(tmp_path: Path) -> None:
    trusted, tls = self_signed(tmp_path)
    with scratch() as folder:
        port = free_port(beside=BUS)
        member = Valkey(folder, port=free_port(beside=BUS), extra={**MEMBER, "cluster-announce-port": str(port)})
        member.start()
        try:
            ask(member, "CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
            relay = Relay(str(member._socket), f"rediss+cluster://127.0.0.1:{port}", port, tls)
            await relay.listen()
            async with connect(f"{relay.url}?ssl_ca_certs={trusted}", connections=2, timeout=1) as client:
                await until_answers(client)
                assert await client.set("k", "x")
            await relay.cut()
        finally:
            member.stop()


async def until_answers(client: Redis) -> None:
    """Wait for a cluster that has just been made."""

    async def answers() -> bool:
        try:
            with translated():
                return bool(await client.set("k", "x"))
        except Unavailable:
            return False

    await until(answers)


@pytest.mark.parametrize("place", ["rediss://one", "rediss+sentinel://one/main", "rediss+cluster://one"])
async def test_the_options_of_tls_are_understood(place: str) -> None:
    options = "ssl_ca_certs=/a&ssl_certfile=/b&ssl_keyfile=/c&ssl_cert_reqs=optional&ssl_check_hostname=false"
    async with connect(f"{place}?{options}", connections=2, timeout=1) as client:
        pools = [client.connection_pool]
        if isinstance(pools[0], MasterPool):
            pools += [sentinel.connection_pool for sentinel in pools[0].sentinel_manager.sentinels]
        for pool in pools:
            connection = pool.make_connection()  # type: ignore[no-untyped-call] # redis-py's
            assert isinstance(connection, SSLConnection)
            assert (connection.certfile, connection.keyfile, connection.ca_certs) == ("/b", "/c", "/a")
            assert connection.check_hostname is False
