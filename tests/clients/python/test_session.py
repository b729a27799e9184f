from collections.abc import AsyncIterator

import pytest

from stagewire_client import Event, Stagewire
from tests.support.nodes import RunningNode, serving, token
from tokens.access import AccessRole


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url) as running:
        yield running


async def test_what_is_sent_comes_back_as_an_event(node: RunningNode) -> None:
    session = await node.session()
    async with Stagewire(node.websocket, token=token("alice", AccessRole.VIEWER)) as live:
        show = await live.join(session)
        ack = await show.send("hi")
        async for event in show:
            assert isinstance(event, Event)
            assert (event.seq, event.body) == (ack.seq, {"text": "hi"})
            break
        assert [message.text for message in show.messages()] == ["hi"]
        assert show.pending == []
