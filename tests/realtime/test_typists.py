"""Typing, over sockets: who is told that, when, and for how long."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.nodes import Client, Message, RunningNode, audience, serving

SOON = {"typing_ms": 200, "typing_timeout": 0.6, "audience_ms": 100}


@pytest.fixture
async def pair(migrated: str, redis_url: str) -> AsyncIterator[tuple[RunningNode, RunningNode]]:
    async with serving(migrated, redis_url, **SOON) as one, serving(migrated, redis_url, **SOON) as two:
        yield one, two


def typing(session: str, *users: str) -> Message:
    """Give the signal that these users type."""
    return {"type": "signal", "session": session, "kind": "typing", "users": list(users), "count": len(users)}


async def forgotten(*nodes: RunningNode) -> None:
    """Wait until no node remembers anybody who typed."""
    async with asyncio.timeout(5):
        while any(len(node.node.typists) for node in nodes):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def hears(client: Client, signal: Message) -> None:
    """Wait for a signal, and forget what came before."""
    await client.until(**signal)
    client.pushes.clear()


async def test_typing_is_told_on_every_node_until_it_ends(pair: tuple[RunningNode, RunningNode]) -> None:
    one, two = pair
    session = await one.session()
    async with one.client("bob") as bob, two.client("ann") as ann, two.client("eve") as eve:
        for client in (bob, ann, eve):
            await client.join(session)
        await bob.ask("typing", session=session, on=True)
        for client in (bob, ann, eve):
            await hears(client, typing(session, "bob"))
        await ann.ask("typing", session=session, on=True)
        for client in (bob, ann, eve):
            await hears(client, typing(session, "ann", "bob"))
        await bob.ask("typing", session=session, on=False)
        for client in (bob, ann, eve):
            await hears(client, typing(session, "ann"))
        # Nobody says that ann has stopped.
        for client in (bob, ann, eve):
            await hears(client, typing(session))
        assert (await eve.ask("history", session=session, after=2))["events"] == []
    await forgotten(*pair)


@pytest.mark.parametrize("how", ["post", "leave", "go"])
async def test_typing_ends_with_what_ends_it(migrated: str, redis_url: str, how: str) -> None:
    async with serving(migrated, redis_url) as one, serving(migrated, redis_url) as two:
        session = await one.session()
        async with one.client("bob") as bob, one.client("bob") as phone, two.client("eve") as eve:
            for client in (bob, phone, eve):
                await client.join(session)
            await bob.ask("typing", session=session, on=True)
            await hears(eve, typing(session, "bob"))
            await phone.ask("leave", session=session)
            if how == "post":
                await bob.say(session, "what I wanted to say")
            elif how == "leave":
                await bob.ask("leave", session=session)
            else:
                await bob.socket.close()
            # At once: by itself it would take five seconds.
            await eve.until(within=2, **typing(session))
            assert not any(push.get("users") == [] for push in eve.pushes[:-1])


async def test_in_a_large_audience_nobody_is_said_to_type(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, audience_list=2, **SOON) as node:
        session = await node.session()
        async with node.client("ann") as ann, node.client("bob") as bob, node.client("eve") as eve:
            await ann.join(session)
            await bob.join(session)
            await bob.ask("typing", session=session, on=True)
            await hears(ann, typing(session, "bob"))
            await eve.join(session)
            await hears(ann, typing(session))
            # What bob began before is over; what he begins now counts for nothing.
            await bob.ask("typing", session=session, on=False)
            await bob.ask("typing", session=session, on=True)
            await eve.ask("leave", session=session)
            await ann.until(kind="audience", audience=audience(2, 2))
            await ann.ask("typing", session=session, on=True)
            await bob.until(**typing(session, "ann"))


async def test_load_testers_type_unseen(pair: tuple[RunningNode, RunningNode]) -> None:
    one, _ = pair
    session = await one.session()
    async with one.client("robot", synthetic=True) as robot, one.client("eve") as eve:
        await robot.join(session)
        await eve.join(session)
        assert (await robot.ask("typing", session=session, on=True))["type"] == "ack"
        await eve.ask("typing", session=session, on=True)
        await eve.until(**typing(session, "eve"))


async def test_typing_needs_a_join_and_an_open_session(pair: tuple[RunningNode, RunningNode]) -> None:
    one, _ = pair
    session = await one.session()
    async with one.client("bob") as bob, one.client("host") as host:
        assert (await bob.ask("typing", session=session, on=True))["code"] == "forbidden"
        await bob.join(session)
        await host.ask("session.end", session=session)
        refused = await bob.ask("typing", session=session, on=True)
        assert (refused["code"], refused["state"]) == ("conflict", "ended")
