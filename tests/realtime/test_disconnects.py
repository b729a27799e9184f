"""A client that goes cancels nothing: what has reached the server is stored, whenever the client went."""

import asyncio
from uuid import uuid4

import pytest

from tests.support.nodes import Client, RunningNode


async def _say_and_go(node: RunningNode, session: str, n: int, turns: int) -> str:
    """Send messages and cut the connection some turns of the loop later; give the last one's key."""
    key = str(uuid4())
    async with node.client(f"user{n}") as client:
        await client.join(session)
        for text in ("one", "two"):
            await client.send("chat.send", id=7, session=session, key=str(uuid4()), text=text)
        await client.send("chat.send", id=8, session=session, key=key, text="and away")
        for _ in range(turns):
            await asyncio.sleep(0)
        client.socket.transport.abort()
    return key


@pytest.mark.parametrize("first", range(0, 60, 20))
async def test_whenever_a_client_goes_what_it_sent_is_stored(node: RunningNode, first: int) -> None:
    session = await node.session()
    async with node.client("reader") as reader:
        await reader.join(session)
        moments = enumerate(range(first, first + 20))
        keys = await asyncio.gather(*(_say_and_go(node, session, n, turns) for n, turns in moments))
        for key in keys:
            await reader.until_event(key=key)
        await _check(reader, session)


async def _check(reader: Client, session: str) -> None:
    """See that all of everyone's messages are there, in their order."""
    page = await reader.ask("history", session=session, limit=200)
    texts: dict[str, list[str]] = {}
    for event in page["events"]:
        if event["kind"] == "chat.posted":
            texts.setdefault(event["by"], []).append(event["body"]["text"])
    assert len(texts) == 20
    assert all(said == ["one", "two", "and away"] for said in texts.values())
