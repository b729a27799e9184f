"""The wheel, turned by hand: who is pinged when, with what, and what the answers say of each connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from realtime import heartbeat
from realtime.domain.limits import Action
from realtime.heartbeat import SPOKES
from realtime.protocol.codec import Format
from realtime.protocol.codes import Close
from tests.support.nodes import Client, Message, RunningNode, serving
from tokens.access import Identity

# By itself the wheel would turn once in an hour.
STEP = 3600.0
BY_HAND = {"heartbeat": STEP * SPOKES, "silence": STEP * (SPOKES + 1), "pong_timeout": 3 * STEP}
FAST = {"quality_good_ms": 30_000, "quality_fair_ms": 40_000}


def turn(node: RunningNode, steps: int = 1) -> None:
    for _ in range(steps):
        node.node.heartbeat.turn(asyncio.get_running_loop().time())


async def pushes(client: Client, kind: str) -> list[Message]:
    """Give the pushes of a kind that have arrived by now."""
    await client.ask("leave", session="01932c07-3a6e-7cc0-8000-000000000001")
    found = [push for push in client.pushes if push["type"] == kind]
    client.pushes.clear()
    return found


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url, **BY_HAND, **FAST) as running:
        yield running


async def test_the_first_ping_comes_soon_and_then_one_each_heartbeat(node: RunningNode) -> None:
    async with node.client("bob") as bob:
        told = []
        for _ in range(2 * SPOKES + 2):
            turn(node)
            told.append(len(await pushes(bob, "ping")))
        assert [step for step, pings in enumerate(told) if pings] == [1, SPOKES + 1, 2 * SPOKES + 1]


async def test_many_are_pinged_a_few_at_a_time(node: RunningNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "MOST", 2)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(node.client(f"user-{n}")) for n in range(5)]
        turn(node)
        turn(node)
        waiting = [connection.peer.silent for connection in node.node.heartbeat._spoke_of]
        assert waiting.count(True) == 2
        # Whoever has left meanwhile is pinged no more.
        gone = next(connection for connection in node.node.heartbeat._spoke_of if not connection.peer.silent)
        user = gone.peer.identity.user
        node.node.heartbeat.remove(gone)
        told = {client.user: len(await pushes(client, "ping")) for client in clients}
        assert told == {client.user: int(client.user != user) for client in clients}


async def test_connections_that_follow_the_same_share_one_ping(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[Any] = []
    encode = heartbeat._encode

    def spy(codec: Any, heads: Any) -> bytes:
        encoded.append((codec.name, list(heads)))
        return encode(codec, heads)

    monkeypatch.setattr(heartbeat, "_encode", spy)
    session = await node.session()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(node.client(f"user-{n}")) for n in range(5)]
        binary = await stack.enter_async_context(node.client("binary", fmt=Format.MSGPACK))
        for client in (*clients, binary):
            await client.join(session)
        idle = await stack.enter_async_context(node.client("idle"))
        turn(node, 2)
        for client in (*clients, binary, idle):
            assert len(await pushes(client, "ping")) == 1
        assert sorted(encoded) == [(Format.JSON, []), (Format.JSON, [session]), (Format.MSGPACK, [session])]


async def test_a_client_is_told_its_quality_at_the_first_answer_and_when_it_changes(
    migrated: str, redis_url: str
) -> None:
    async with (
        serving(migrated, redis_url, **BY_HAND, quality_good_ms=40, quality_fair_ms=5000) as node,
        node.client("bob") as bob,
    ):

        async def answered(after: float) -> list[Message]:
            while not await pushes(bob, "ping"):
                turn(node)
            await asyncio.sleep(after)
            await bob.ask("pong")
            return await pushes(bob, "quality")

        [first] = await answered(after=0)
        assert (first["type"], first["quality"]) == ("quality", "good")
        assert 0 <= first["rtt_ms"] <= 40
        assert await answered(after=0) == []
        [second] = await answered(after=0.1)
        assert second["quality"] == "fair"
        assert 95 <= second["rtt_ms"] < 5000
        [third] = await answered(after=0.4)
        assert third["quality"] == "fair"
        assert third["rtt_ms"] > 1.5 * second["rtt_ms"]
        [fourth] = await answered(after=0)
        assert fourth["quality"] == "good"


async def test_what_answers_a_heartbeat_is_not_counted(node: RunningNode, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Action] = []

    def spy(_: Identity, action: Action) -> int:
        counted.append(action)
        return 0

    async with node.client("bob") as bob:
        turn(node, 2)
        assert len(await pushes(bob, "ping")) == 1
        monkeypatch.setattr(node.node.limits, "wait_ms", spy)
        await bob.ask("pong")
        assert counted == []
        # Nobody asked for this one.
        await bob.ask("pong")
        assert counted == [Action.OTHER]


async def test_who_answers_nothing_is_told_that_it_is_poor(node: RunningNode) -> None:
    async with node.client("bob") as bob:
        turn(node, 4)
        assert await pushes(bob, "quality") == []
        turn(node)
        assert await pushes(bob, "quality") == [{"type": "quality", "quality": "poor"}]
        turn(node, SPOKES)
        assert await pushes(bob, "quality") == []
        # These are old ones: how long they took, nobody knows.
        await bob.ask("pong")
        assert await pushes(bob, "quality") == []
        await bob.ask("pong")
        [back] = await pushes(bob, "quality")
        assert back["quality"] == "good"


async def test_who_reads_too_slowly_is_told_that_it_is_poor(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob, node.client("eve") as eve:
        for client in (bob, eve):
            await client.join(session)
        turn(node, 2)
        await bob.ask("pong")
        assert [push["quality"] for push in await pushes(bob, "quality")] == ["good"]
        [connection] = [c for c in node.node.hub.group(session) if c.peer.identity.user == "bob"]
        bob.socket.transport.pause_reading()
        while not connection.behind:
            await eve.say(session, "x" * 1000)
        bob.socket.transport.resume_reading()
        push = await bob.until(type="quality", quality="poor")
        assert push["rtt_ms"] < 1000


async def test_nobody_is_blamed_for_a_time_in_which_the_node_stood_still(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, heartbeat=2000.0, silence=2100.0) as node, node.client("bob") as bob:
        wheel, now = node.node.heartbeat, asyncio.get_running_loop().time()
        wheel.turn(now)
        # Each turn in its time: who says nothing for so long is gone, but not just because nobody listened.
        wheel.turn(now + 3000)
        assert (await bob.ask("pong"))["type"] == "ack"
        for step in range(1, 22):
            wheel.turn(now + 3000 + 100 * step)
            assert (await bob.ask("pong"))["type"] == "ack"
        wheel.turn(now + 3000 + 100 * 22)
        with pytest.raises(ConnectionClosed) as closed:
            await bob.ask("pong")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == Close.HEARTBEAT_LOST
