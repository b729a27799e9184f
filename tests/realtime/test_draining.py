"""A node that stops sends its connections away, each when its time has come, and keeps its word until then."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from realtime.protocol.codes import Close
from tests.realtime.test_transport import raw, read_close
from tests.support.databases import connected
from tests.support.frames import request
from tests.support.nodes import Client, RunningNode, serving

MANY = 40


async def read_out(client: Client) -> tuple[list[dict[str, Any]], int, float]:
    """Read to the end: give the messages, the close code, and when it came."""
    messages = []
    while client.socket.close_code is None:
        with suppress(ConnectionClosed):
            messages.append(await client.receive(10))
    return messages, client.socket.close_code, time.monotonic()


@asynccontextmanager
async def joined(node: RunningNode, count: int) -> AsyncIterator[list[Client]]:
    """Give clients who have joined one session."""
    session = await node.session()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(node.client(f"user{number}")) for number in range(count)]
        for client in clients:
            await client.join(session)
        yield clients


async def test_connections_go_at_the_rate_each_when_it_was_told(migrated: str, redis_url: str) -> None:
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(serving(migrated, redis_url, drain_rate=80.0, drain_timeout=10.0))
        async with joined(node, MANY) as clients:
            readers = [asyncio.create_task(read_out(client)) for client in clients]
            began = time.monotonic()
            await stack.aclose()
            ends = await asyncio.gather(*readers)
    told = []
    for messages, code, ended in ends:
        [drain] = [message for message in messages if message["type"] == "drain"]
        assert drain["deadline_ms"] == 10_000
        told.append(drain["reconnect_in_ms"])
        assert code == Close.DRAIN
        # Never before its time, and soon after it.
        assert -0.05 < ended - began - drain["reconnect_in_ms"] / 1000 < 0.5
    assert sorted(told) == [int(number * 1000 / 80) for number in range(MANY)]
    # Whoever came first must not always go first.
    assert told != sorted(told)


async def test_what_was_asked_before_is_answered_before_the_close(migrated: str, redis_url: str) -> None:
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(serving(migrated, redis_url, drain_timeout=10.0))
        async with joined(node, 1) as [client], connected(migrated) as blocker:
            # Whoever holds the head's row holds up the append.
            async with blocker.transaction():
                await blocker.execute("SELECT FROM log_heads FOR UPDATE")
                session = next(iter(node.node.feeds)).id
                await client.send("chat.send", id=77, session=session, key=str(uuid4()), text="my last words")
                await client.until(type="signal")
                reader = asyncio.create_task(read_out(client))
                stopping = asyncio.create_task(stack.aclose())
                await asyncio.sleep(0.3)
                assert not reader.done()
            messages, code, _ = await reader
            await stopping
    assert [message["type"] for message in messages if message.get("re") == 77] == ["ack"]
    assert code == Close.DRAIN


async def test_at_the_deadline_the_rest_goes(migrated: str, redis_url: str) -> None:
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(serving(migrated, redis_url, drain_rate=1.0, drain_timeout=0.5))
        async with joined(node, 5) as clients:
            readers = [asyncio.create_task(read_out(client)) for client in clients]
            began = time.monotonic()
            await stack.aclose()
            assert {code for _, code, _ in await asyncio.gather(*readers)} == {Close.DRAIN}
            assert time.monotonic() - began < 3


async def test_nobody_new_is_let_in_meanwhile(migrated: str, redis_url: str) -> None:
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(serving(migrated, redis_url, drain_rate=1.0, drain_timeout=3.0))
        async with joined(node, 3) as clients:
            stopping = asyncio.create_task(stack.aclose())
            await clients[0].until(type="drain")
            with pytest.raises((OSError, InvalidHandshake)):
                async with node.client("late"):
                    pass
            ready = await node.request("GET", "/readyz")
            assert (ready.status_code, ready.json()["checks"]["draining"]) == (503, "yes")
            await stopping


async def test_who_was_accepted_just_before_may_shake_hands_and_is_sent_on(migrated: str, redis_url: str) -> None:
    async with AsyncExitStack() as stack, AsyncExitStack() as sockets:
        node = await stack.enter_async_context(serving(migrated, redis_url, drain_timeout=5.0))
        early, late, silent = [await sockets.enter_async_context(raw(node)) for _ in range(3)]
        early[1].write(request())
        while len(node.node.heartbeat._strangers) < 3:  # noqa: ASYNC110 - nobody tells that a socket was accepted
            await asyncio.sleep(0.01)
        began = time.monotonic()
        stopping = asyncio.create_task(stack.aclose())
        await asyncio.sleep(0.1)
        late[1].write(request())
        for reader, _ in (late, early):
            assert await read_close(reader) == Close.DRAIN
        # Who never says anything holds nothing up.
        assert await silent[0].read() == b""
        assert time.monotonic() - began < 2
        await stopping
