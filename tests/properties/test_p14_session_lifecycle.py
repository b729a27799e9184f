"""P14: every session ends up ended, and then nothing of it remains but what Postgres keeps."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Self
from uuid import uuid4

import pytest
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from tests.properties.conftest import QUICK
from tests.properties.effort import tried
from tests.properties.world import PATIENCE, World
from tests.support.nodes import Client, token
from tests.support.remembered import ways_to
from tokens.access import AccessRole

pytestmark = pytest.mark.timeout(300)

# Every limit is over soon, so that whatever a session is left in, its end comes by itself.
SETTINGS = {
    **QUICK,
    "host_grace": 0.1,
    "host_window": 0.3,
    "scheduled_limit": 0.8,
    "paused_limit": 0.4,
    "longest_limit": 1.5,
    "empty_limit": 0.6,
    "timer_ms": 50,
    "lease_ms": 600,
    "lease_beat_ms": 100,
    "database_timeout": 0.5,
    "linger": 1.1,
    "watch_beat": 0.2,
}
TABLES = ("timers", "hosts")
Still = Callable[[World, list[str]], Awaitable[list[str]]]


NODES = st.integers(0, 1)
USERS = st.sampled_from(["ann", "ann", "bob", "eve"])
STEPS = st.one_of(
    st.tuples(st.just("join"), NODES, USERS),
    st.tuples(st.sampled_from(["leave", "drop"]), NODES, USERS),
    st.tuples(st.sampled_from(["start", "pause", "resume", "takeover", "chat", "typing", "react"]), NODES, USERS),
    st.tuples(st.sampled_from(["start", "pause", "resume", "end"]), NODES, st.just("http")),
    st.tuples(st.just("wait"), NODES, USERS),
)
SHOWS = st.lists(st.lists(STEPS, max_size=12), min_size=1, max_size=8)
Step = tuple[str, int, str]


@tried(6)
@given(shows=SHOWS, kill=st.none() | NODES)
def test_every_session_ends_and_leaves_nothing(world: World, shows: list[list[Step]], kill: int | None) -> None:
    world.run(_shows(world, shows, kill))


async def _shows(world: World, shows: list[list[Step]], kill: int | None) -> None:
    sessions = await asyncio.gather(*(world.nodes[0].session("ann", live=False) for _ in shows))
    async with AsyncExitStack() as stack:
        parties = [await stack.enter_async_context(Party(world, session)) for session in sessions]
        await asyncio.gather(*(party.play(steps) for party, steps in zip(parties, shows, strict=True)))
        if kill is not None:
            await world.kill(kill)
    assert await _in_time(world, sessions, _not_ended) == []
    left = await _in_time(world, sessions, _left)
    assert not left, "\n".join(left)


async def _in_time(world: World, sessions: list[str], still: Still) -> list[str]:
    """Give what is still there when all should be gone."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while (there := await still(world, sessions)) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.1)
    return there


async def _not_ended(world: World, sessions: list[str]) -> list[str]:
    query = "SELECT id || ' ' || state FROM sessions WHERE id = ANY ($1) AND state <> 'ended'"
    return [row[0] for row in await world.postgres.fetch(query, sessions)]


async def _left(world: World, sessions: list[str]) -> list[str]:
    """List what is left of sessions: in Redis, in timers and leases, and in the memory of nodes."""
    left = []
    async with redis.asyncio.from_url(world.redis_url) as client:
        left += [str(key) for session in sessions for key in await client.keys(f"*{session}*")]
    for table in TABLES:
        rows = await world.postgres.fetch(f"SELECT session FROM {table} WHERE session = ANY ($1)", sessions)
        left += [f"{table}: {row['session']}" for row in rows]
    for node in world.nodes:
        left += [way for session in sessions for way in ways_to(session, node.node)]
    return left


class Party:
    """Those who take part in one session, each with at most one connection to each node."""

    def __init__(self, world: World, session: str) -> None:
        self._world = world
        self._session = session
        self._stack = AsyncExitStack()
        self._clients: dict[tuple[int, str], Client] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def play(self, steps: list[Step]) -> None:
        """Do all that, whatever the answers are."""
        for what, node, user in steps:
            if user == "http":
                seller = token("ann", AccessRole.SELLER)
                await self._world.nodes[node].request("POST", f"/v1/sessions/{self._session}/{what}", seller)
            elif what == "wait":
                await asyncio.sleep(0.15)
            else:
                await self._do(what, node, user)

    async def _do(self, what: str, node: int, user: str) -> None:
        client = self._clients.get((node, user))
        try:
            if what == "join":
                client = client or await self._connect(node, user)
                await client.join(self._session)
            elif client is None:
                return
            elif what == "leave":
                await client.ask("leave", session=self._session)
            elif what == "drop":
                client.socket.transport.abort()
                del self._clients[node, user]
            elif what == "chat":
                await client.ask("chat.send", session=self._session, key=str(uuid4()), text="hi")
            elif what == "react":
                await client.ask("react", session=self._session, kind="heart")
            elif what == "typing":
                await client.ask("typing", session=self._session, on=True)
            else:
                await client.ask(f"session.{what}", session=self._session)
        except ConnectionClosed:
            # Another device took over.
            self._clients.pop((node, user), None)

    async def _connect(self, node: int, user: str) -> Client:
        role = AccessRole.SELLER if user == "ann" else AccessRole.VIEWER
        client = await self._stack.enter_async_context(self._world.nodes[node].client(user, role))
        self._clients[node, user] = client
        return client
