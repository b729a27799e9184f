"""P5, of what is set: whatever hosts change at once on two nodes, every client's snapshot becomes the stored one."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.domain import session as lifecycle
from realtime.protocol.events import SessionBody
from realtime.protocol.replies import SessionView
from tests.properties.effort import tried
from tests.properties.world import PATIENCE, World, mute, unmute
from tests.support.nodes import Client, Message, token
from tokens.access import AccessRole

pytestmark = pytest.mark.timeout(300)
ANN = token("ann", AccessRole.SELLER)


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw some of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


UPDATES = maybe(
    title=st.sampled_from(["one", "two"]),
    chat=st.sampled_from(["all", "followers", "nobody"]),
    slow_mode=st.integers(0, 3),
    links=st.booleans(),
    max_message=st.sampled_from([None, 5, 1000]),
    language=st.sampled_from([None, "de", "en-GB"]),
    metadata=st.sampled_from([None, {}, {"a": [1.0, None]}, {"b": {"c": "é"}}]),
).filter(bool)
COMMANDS = st.one_of(
    UPDATES.map(lambda fields: ("session.update", fields)),
    UPDATES.map(lambda fields: ("PATCH", fields)),
    st.builds(
        lambda user, role: ("session.role", {"user": user, "role": role}),
        st.sampled_from(["bob", "eve"]),
        st.sampled_from(["cohost", "moderator", "viewer"]),
    ),
    st.sampled_from([("session.pause", {}), ("session.resume", {}), ("guests", {"allow": ["bob"]})]),
    st.sampled_from([("guests", {"remove": ["bob"]})]),
)
# Each on one of two nodes; those of a group at the same time. A group of which the other node hears no hint.
GROUPS = st.lists(st.tuples(st.lists(st.tuples(st.integers(0, 1), COMMANDS), max_size=3), st.booleans()), max_size=6)


class Follower:
    """A client that keeps its snapshot up to date from events alone, as the protocol tells it to."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.view: SessionView
        client.listener = self.take

    def take(self, message: Message) -> None:
        if message["type"] == "joined":
            self.view = msgspec.convert(message["session"], SessionView)
        elif message["type"] == "event":
            body = msgspec.convert(message["body"], SessionBody)
            self.view = lifecycle.apply(self.view, message["kind"], message["at"], message["media_ms"], body)


@tried(25)
@given(groups=GROUPS)
def test_every_view_becomes_the_stored_one(world: World, groups: list[Any]) -> None:
    world.run(_story(world, groups))


async def _story(world: World, groups: list[Any]) -> None:
    session = await world.nodes[0].session("ann")
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(node.client("ann", AccessRole.SELLER)) for node in world.nodes]
        watching = [Follower(await stack.enter_async_context(node.client("bob"))) for node in world.nodes]
        for follower in watching:
            await follower.client.join(session)
        for group, muted in groups:
            if muted:
                mute(world.nodes[0])
            await asyncio.gather(*_at_once(world, hosts, session, group))
            unmute(world.nodes[0])
        stored = await _stored(world, session)
        _, head = await world.head(session)
        for follower in watching:
            async with asyncio.timeout(PATIENCE):
                while follower.view.version < stored.version:
                    await follower.client.receive()
            assert follower.view == stored
        # Each change is one event and one version, whoever made it where.
        assert head == stored.version
        for node in world.nodes:
            newcomer = await stack.enter_async_context(node.client("zoe"))
            assert msgspec.convert((await newcomer.join(session))["session"], SessionView) == stored


def _at_once(world: World, hosts: list[Client], session: str, group: list[Any]) -> list[Any]:
    """Give what is to be done at the same time: each host one thing after the other."""

    async def do(number: int) -> None:
        for where, (kind, fields) in group:
            if where == number:
                await _do(world, hosts[number], number, session, kind, fields)

    return [do(number) for number in range(len(hosts))]


async def _do(world: World, host: Client, number: int, session: str, kind: str, fields: dict[str, Any]) -> None:
    path = f"/v1/sessions/{session}"
    if kind == "PATCH":
        await world.nodes[number].request("PATCH", path, ANN, json=fields)
    elif kind == "guests":
        await world.nodes[number].request("POST", f"{path}/guests", ANN, json=fields)
    else:
        await host.ask(kind, session=session, **fields)


async def _stored(world: World, session: str) -> SessionView:
    reply = await world.nodes[1].request("GET", f"/v1/sessions/{session}", ANN)
    return msgspec.convert(reply.json(), SessionView)
