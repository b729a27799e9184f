"""P5: any sequence of commands, from any number of nodes, leaves every client with the stored state."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from realtime.domain import session as lifecycle
from realtime.protocol.codes import Close
from realtime.protocol.events import SessionBody
from realtime.protocol.replies import SessionView
from tests.properties.conftest import QUICK
from tests.properties.effort import tried
from tests.properties.world import PATIENCE, Reader, World
from tests.support.nodes import Message, token
from tokens.access import AccessRole

pytestmark = pytest.mark.timeout(300)

# A host who vanishes interrupts the session within the example; and memory holds all of it, so that no view has a gap.
SETTINGS = {
    **QUICK,
    "ring_events": 100,
    "replay_limit": 100,
    "host_grace": 0.05,
    "timer_ms": 30,
    "lease_ms": 1000,
    "lease_beat_ms": 100,
}
HOSTS = ["phone", "laptop"]


NODES = st.integers(0, 1)
ACTIONS = st.sampled_from(["start", "pause", "resume", "end"])
DEVICES = st.sampled_from(HOSTS)
STEPS = st.one_of(
    st.tuples(st.just("http"), NODES, ACTIONS),
    st.tuples(st.just("command"), DEVICES, ACTIONS),
    st.tuples(st.just("takeover"), DEVICES, st.none()),
    st.tuples(st.just("connect"), DEVICES, NODES),
    st.tuples(st.sampled_from(["drop", "close"]), DEVICES, st.none()),
    st.tuples(st.just("vanish"), st.none(), st.none()),
    # A viewer who was away for a while.
    st.tuples(st.just("return"), NODES, NODES),
)
Step = tuple[str, Any, Any]


@tried(25)
@given(steps=st.lists(STEPS, max_size=14), together=st.booleans())
def test_every_client_ends_up_with_the_stored_state(world: World, steps: list[Step], together: bool) -> None:
    world.run(_play(world, steps, together))


async def _play(world: World, steps: list[Step], together: bool) -> None:
    session = await world.nodes[0].session("ann", live=False)
    async with AsyncExitStack() as stack:
        show = Show(world, session)
        stack.push_async_callback(show.close)
        await show.open()
        if together:
            # Commands that meet, in whatever order; one that finds its device gone is no command.
            await asyncio.gather(*(show.do(step) for step in steps))
        else:
            for step in steps:
                await show.do(step)
        await show.check()


class Show:
    """A session with two viewers, one on each node, and a host with two devices."""

    def __init__(self, world: World, session: str) -> None:
        self._world = world
        self._session = session
        self._viewers = [Reader(session, f"viewer{node}", {}) for node in (0, 1)]
        self._first: list[Message] = []
        self._hosts = {name: Reader(session, "ann", {}, AccessRole.SELLER) for name in HOSTS}
        # One thing at a time for each device and viewer, which has one socket.
        self._turns = {name: asyncio.Lock() for name in [*HOSTS, 0, 1]}

    async def open(self) -> None:
        """Let the viewers in."""
        for node, viewer in zip(self._world.nodes, self._viewers, strict=True):
            await viewer.connect(node)
            self._first.append((await viewer.join("anew"))["session"])

    async def close(self) -> None:
        """Send everyone away."""
        for reader in [*self._viewers, *self._hosts.values()]:
            await reader.close()

    async def do(self, step: Step) -> None:
        """Do one thing, whatever comes of it."""
        what, where, how = step
        if what == "vanish":
            # Longer than the grace.
            await asyncio.sleep(0.1)
        elif what == "http":
            seller = token("ann", AccessRole.SELLER)
            reply = await self._world.nodes[where].request("POST", f"/v1/sessions/{self._session}/{how}", seller)
            assert reply.status_code in (200, 409)
        else:
            async with self._turns[where]:
                await (self._come_back(where, how) if what == "return" else self._host(what, where, how))

    async def _host(self, what: str, device: str, how: Any) -> None:
        host = self._hosts[device]
        try:
            if what == "connect":
                await host.connect(self._world.nodes[how])
                await host.join("anew")
            elif host.client is None:
                return
            elif what == "drop":
                await host.drop()
            elif what == "close":
                await host.close()
            else:
                command = "session.takeover" if what == "takeover" else f"session.{how}"
                reply = await host.client.ask(command, session=self._session)
                assert reply["type"] == "ack" or reply["code"] == "conflict", reply
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != Close.TAKEN_OVER:
                raise
            await host.close()

    async def _come_back(self, viewer: int, node: int) -> None:
        reader = self._viewers[viewer]
        await reader.drop()
        await reader.connect(self._world.nodes[node])
        joined = await reader.join("resume")
        assert joined["complete"]

    async def check(self) -> None:
        """Make sure that everyone has what is stored, once everyone has heard all of it."""
        for reader in self._hosts.values():
            await reader.close()
        stored = await self._settled()
        for first, viewer in zip(self._first, self._viewers, strict=True):
            _, head = await self._world.head(self._session)
            await viewer.reach(head)
            assert _apply(first, viewer.held) == stored

    async def _settled(self) -> Message:
        """Give what the nodes say of the session, when nothing more happens by itself."""
        query = "SELECT EXISTS (SELECT FROM timers WHERE session = $1 AND kind = 'lost')"
        async with asyncio.timeout(PATIENCE):
            while await self._world.postgres.fetchval(query, self._session):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        views: list[Message] = [
            (await node.request("GET", f"/v1/sessions/{self._session}", token("bob"))).json()
            for node in self._world.nodes
        ]
        assert views[0] == views[1]
        return views[0]


def _apply(snapshot: Message, held: dict[int, Message]) -> Message:
    view = msgspec.convert(snapshot, SessionView)
    for _, event in sorted(held.items()):
        if event["kind"].startswith("session."):
            body = msgspec.convert(event["body"], SessionBody)
            view = lifecycle.apply(view, event["kind"], event["at"], event["media_ms"], body)
    return dict(msgspec.to_builtins(view))
