"""A reader whose network is too slow for a busy chat, on a real node: what it gets, and that nothing is lost."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import connect

from tests.support.nodes import Client, Message, RunningNode, serving, token
from tokens.access import AccessRole

TEXT = "x" * 1000
# More than the kernel buffers on both sides take, and then some.
MESSAGES = 8000


@asynccontextmanager
async def lazy(node: RunningNode, user: str) -> AsyncIterator[Client]:
    """Give a client that reads only what it is asked for."""
    port = int(node.websocket.split(":")[2].partition("/")[0])
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", port))
    async with connect(node.websocket, sock=narrow, max_queue=1, ping_interval=None) as open_socket:
        client = Client(open_socket, user, binary=False)
        assert (await client.ask("hello", token=token(user)))["type"] == "welcome"
        yield client


async def talk(client: Client, session: str, count: int) -> int:
    """Say so much, and give the last message's place."""
    last = 0
    for begun in range(0, count, 50):
        for number in range(begun, begun + 50):
            await client.send("chat.send", id=number, session=session, key=str(uuid4()), text=TEXT)
        acked = 0
        while acked < 50:
            message = await client.receive()
            if message.get("re") is not None:
                assert message["type"] == "ack", message
                acked, last = acked + 1, max(last, message["seq"])
    return last


def reached(messages: list[Message], position: int) -> tuple[int, list[tuple[int, int]]]:
    """Follow what comes, which must be consecutive or tell its gaps; give the end, and the gaps."""
    gaps = []
    for message in messages:
        if message["type"] == "event":
            assert message["seq"] == position + 1
            position += 1
        elif message["type"] == "skipped":
            assert message["first"] == position + 1
            assert message["skipped"] == message["last"] - position
            gaps.append((message["first"], message["last"]))
            position = message["last"]
    return position, gaps


async def test_a_slow_reader_gets_samples_and_finds_the_rest_in_the_history(migrated: str, redis_url: str) -> None:
    settings: dict[str, Any] = {"slow_timeout": 60, "sample_ms": 100, "heartbeat": 0.5, "silence": 60}
    async with serving(migrated, redis_url, **settings) as node:
        session = await node.session("ann")
        async with lazy(node, "bob") as bob, node.client("eve") as eve, node.client("ann", AccessRole.SELLER) as ann:
            position = (await bob.join(session))["position"]["seq"]
            eve_at = (await eve.join(session))["position"]["seq"]
            await ann.join(session)
            head = await talk(ann, session, MESSAGES)
            await ann.ask("session.pause", session=session)
            # Eve reads all the time, and notices nothing.
            await eve.until_event(kind="session.paused", within=30)
            assert reached(eve.pushes, eve_at) == (head + 1, [])
            paused = await bob.until_event(kind="session.paused", within=30)
            assert paused["seq"] == head + 1
            now, gaps = reached(bob.pushes, position)
            assert now == head + 1
            assert gaps
            # While he was behind no heads were told which he could not have.
            known = {push["seq"] for push in bob.events()}
            assert any(not push["heads"] for push in bob.pushes if push["type"] == "ping")
            for first, last in gaps:
                after = first - 1
                while after < last:
                    page = await bob.ask("history", session=session, after=after, limit=min(200, last - after))
                    after = page["events"][-1]["seq"]
                    known.update(event["seq"] for event in page["events"])
            assert known == set(range(position + 1, head + 2))
