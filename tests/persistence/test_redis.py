import asyncio
import re
import time
from pathlib import Path

import pytest
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

from persistence.errors import Misconfigured, Unavailable
from persistence.hints import Hints, HintSettings
from persistence.presence import Part, Presence, Whole
from persistence.redis import connect, ping, translated
from tests.support.clusters import Deployment, ask
from tests.support.processes import free_port
from tests.support.relay import relayed


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
        assert await Presence(client, "a", 1000).write([Part(session="s", connections=1)]) == [Whole(1, 0, 0)]
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
