"""Hosts vanish in every way there is, nodes die, and clocks are wrong: sessions do what they should, in time."""

import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from persistence.embedded import Servers
from tests.faults.node import set_clock
from tests.faults.ways import Way
from tests.support.nodes import Client, Message, Target, token
from tests.support.processes import run_python
from tests.support.served import ServedNode, served
from tokens.access import AccessRole

pytestmark = pytest.mark.timeout(120)

GRACE, LEASE, SILENCE, BEAT = 1.0, 3.0, 2.0, 1.0
# What the server promises for what is due, and what a busy machine may add.
LATE = 2.0 + 1.0
SHORT = {
    "STAGEWIRE_HOST_GRACE": str(GRACE),
    "STAGEWIRE_LEASE_MS": str(int(LEASE * 1000)),
    "STAGEWIRE_LEASE_BEAT_MS": "500",
    "STAGEWIRE_HEARTBEAT": str(BEAT),
    "STAGEWIRE_SILENCE": str(SILENCE),
}
# A host that says hello, joins, says so, and answers heartbeats.
HOST = """
import asyncio, json, sys
from websockets.asyncio.client import connect

async def main(url, token, session):
    async with connect(url) as socket:
        await socket.send(json.dumps({"type": "hello", "id": 1, "token": token}))
        await socket.send(json.dumps({"type": "join", "id": 2, "session": session}))
        async for message in socket:
            message = json.loads(message)
            if message["type"] == "joined":
                print(message["hosting"], flush=True)
            if message["type"] == "ping":
                await socket.send(json.dumps({"type": "pong"}))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def pair(migrated: str, servers: Servers) -> Iterator[tuple[ServedNode, ServedNode]]:
    """Run two nodes that live through the tests which kill none."""
    with served(migrated, servers.redis_url, **SHORT) as one, served(migrated, servers.redis_url, **SHORT) as two:
        yield one, two


@contextlib.contextmanager
def hosting(websocket: str, session: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a host in a process of its own, and wait until it hosts."""
    process = run_python(HOST, websocket, token("ann", AccessRole.SELLER), session)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def watching(node: Target, session: str) -> AsyncIterator[Client]:
    """Join as a viewer."""
    async with node.client("bob") as bob:
        await bob.join(session)
        yield bob


async def turn(viewer: Client, kind: str, within: float) -> tuple[Message, float]:
    """Wait for an event, answering heartbeats; give it, and the seconds that it took."""
    began = time.monotonic()
    async with asyncio.timeout(within):
        while True:
            found = [event for event in viewer.events() if event["kind"] == kind]
            if found:
                return found[0], time.monotonic() - began
            await viewer.hear(within)


async def stay(viewer: Client, seconds: float) -> None:
    """Do nothing but answer heartbeats."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                await viewer.hear(seconds)


async def test_a_host_is_killed(pair: tuple[ServedNode, ServedNode]) -> None:
    one, two = pair
    session = await one.session("ann")
    async with watching(two, session) as bob:
        with hosting(one.websocket, session) as host:
            host.kill()
            event, seconds = await turn(bob, "session.interrupted", GRACE + LATE)
        assert event["body"]["reason"] == "host_lost"
        assert seconds >= GRACE * 0.9


async def test_a_host_hangs(pair: tuple[ServedNode, ServedNode]) -> None:
    one, two = pair
    session = await one.session("ann")
    async with watching(two, session) as bob:
        with hosting(one.websocket, session) as host:
            host.send_signal(signal.SIGSTOP)
            await turn(bob, "session.interrupted", SILENCE + BEAT + GRACE + LATE)
            host.send_signal(signal.SIGCONT)


async def test_a_hosts_network_stalls(pair: tuple[ServedNode, ServedNode]) -> None:
    one, two = pair
    session = await one.session("ann")
    way = Way(("127.0.0.1", one.websocket_port))
    await way.open()
    try:
        async with watching(two, session) as bob:
            relayed = f"ws://127.0.0.1:{way.port}/v1/ws"
            # In a thread: the way to the node is on this loop.
            host = hosting(relayed, session)
            await asyncio.to_thread(host.__enter__)
            try:
                way.freeze()
                await turn(bob, "session.interrupted", SILENCE + BEAT + GRACE + LATE)
                # It comes back by another way, on another device.
                async with two.client("ann", AccessRole.SELLER) as ann:
                    assert (await ann.join(session))["session"]["state"] == "live"
                    await turn(bob, "session.resumed", LATE)
            finally:
                await asyncio.to_thread(host.__exit__, None, None, None)
    finally:
        await way.close()


async def test_a_hosts_node_is_killed(migrated: str, servers: Servers, pair: tuple[ServedNode, ServedNode]) -> None:
    with served(migrated, servers.redis_url, **SHORT) as doomed:
        session = await doomed.session("ann")
        async with watching(pair[0], session) as bob:
            with hosting(doomed.websocket, session):
                doomed.process.kill()
                event, _ = await turn(bob, "session.interrupted", LEASE + GRACE + LATE)
                assert event["by"] == "@server"
                async with pair[1].client("ann", AccessRole.SELLER) as ann:
                    joined = await ann.join(session)
                    assert (joined["session"]["state"], joined["hosting"]) == ("live", True)
                    assert (await ann.ask("session.end", session=session))["type"] == "ack"


async def test_what_was_due_while_all_nodes_were_down(migrated: str, servers: Servers) -> None:
    limited = {**SHORT, "STAGEWIRE_PAUSED_LIMIT": "2", "STAGEWIRE_HOST_WINDOW": "2"}
    with served(migrated, servers.redis_url, **limited) as node:
        paused, lost = [await node.session("ann") for _ in range(2)]
        await node.request("POST", f"/v1/sessions/{paused}/pause", token("ann", AccessRole.SELLER))
        async with watching(node, lost) as bob:
            with hosting(node.websocket, lost):
                pass
            await turn(bob, "session.interrupted", GRACE + LATE)
        node.process.kill()
        node.process.wait()
    await asyncio.sleep(2.5)
    with served(migrated, servers.redis_url, **limited) as node:
        ready = time.time() * 1000
        for session, reason in ((paused, "paused_too_long"), (lost, "host_away")):
            view = await _until_ended(node, session)
            assert view["reason"] == reason
            assert view["ended_at"] - ready < 2000


async def _until_ended(node: ServedNode, session: str) -> Message:
    async with asyncio.timeout(10):
        while True:
            view: Message = (await node.request("GET", f"/v1/sessions/{session}", token("bob"))).json()
            if view["state"] == "ended":
                return view
            await asyncio.sleep(0.05)


async def test_nodes_whose_clocks_are_five_minutes_apart(migrated: str, servers: Servers, tmp_path: Path) -> None:
    """Whatever is said of time is said by the database's clock. Those of the nodes judge tokens, and nothing else."""
    early, late = tmp_path / "early", tmp_path / "late"
    set_clock(early, -150)
    set_clock(late, +150)
    wrong = [("tests.faults.node", str(clock)) for clock in (early, late)]
    with (
        served(migrated, servers.redis_url, program=wrong[0], **SHORT) as one,
        served(migrated, servers.redis_url, program=wrong[1], **SHORT) as two,
    ):
        session = await one.session("ann")
        async with watching(one, session) as bob, two.client("eve") as eve:
            await eve.join(session)
            with hosting(two.websocket, session):
                acks = [await client.say(session, "hi") for client in (bob, eve) * 3]
                # A host is not lost because a node's clock is behind or ahead of the lease's.
                await asyncio.gather(*(stay(client, LEASE + GRACE) for client in (bob, eve)))
                assert not [event for event in bob.events() if event["kind"] == "session.interrupted"]
            assert [ack["at"] for ack in acks] == sorted(ack["at"] for ack in acks)
            assert abs(acks[-1]["at"] - time.time() * 1000) < 60_000
            event, seconds = await turn(bob, "session.interrupted", GRACE + LATE)
            assert seconds >= GRACE * 0.8
            assert event["media_ms"] == event["at"] - await _started(one, session)
            # Bob, Eve, and the host while there was one.
            counted = [push["audience"]["users"] for push in bob.pushes if push.get("kind") == "audience"]
            assert 3 in counted
            assert max(counted) == 3


async def _started(node: ServedNode, session: str) -> int:
    view = (await node.request("GET", f"/v1/sessions/{session}", token("bob"))).json()
    return int(view["started_at"])
