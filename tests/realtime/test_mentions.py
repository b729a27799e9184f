"""Mentions: who is named, belongs to the session and is not there finds it in the inbox, once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from persistence.log import Record
from realtime.mentions import Mentions, Sources
from realtime.telemetry import metrics
from tests.realtime.test_mailroom import entries, fresh, until_id
from tests.realtime.test_two_nodes import Pair
from tests.support.nodes import RunningNode, serving
from tests.support.relay import relayed

NOWHERE = "unix:///nonexistent/valkey.sock"


@pytest.fixture
async def pair(migrated: str, redis_url: str) -> AsyncIterator[Pair]:
    async with serving(migrated, redis_url) as one, serving(migrated, redis_url) as two:
        yield one, two


async def written(node: RunningNode, session: str, *users: str) -> None:
    """Have users write in a session, and leave."""
    for user in users:
        async with node.client(user) as client:
            await client.join(session)
            assert (await client.say(session, "hello"))["type"] == "ack"


async def counted(node: RunningNode, session: str, users: int) -> None:
    """Wait until the whole audience has so many users, on all nodes."""
    async with asyncio.timeout(5):
        while node.node.attendance.audience(session).users != users:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.01)


async def waiting(node: RunningNode, user: str) -> list[dict[str, Any]]:
    """Give what waits for a user."""
    pages = await node.node.mail._inboxes.pages({user: -1}, 100)
    found = pages[user].records if user in pages else []
    return [{"kind": r.kind, "by": r.sender, "body": r.body} for r in found]


async def test_who_is_absent_finds_it_and_others_don_t(node: RunningNode) -> None:
    host, bob, eve, stranger = fresh("host"), fresh(), fresh("eve"), fresh("who")
    session = await node.session(host)
    await written(node, session, bob, eve)
    async with node.client("ann") as ann, node.client(eve) as present:
        await ann.join(session)
        await present.join(session)
        await counted(node, session, 2)
        text = f"@{bob} @{eve} @{stranger} @{host}: look"
        seq = (await ann.say(session, text))["seq"]
        for absent in (bob, host):
            async with node.client(absent) as back:
                [found] = (await until_id(back, 1))["entries"]
                assert (found["kind"], found["by"]) == ("mention", "ann")
                assert found["body"] == {"session": session, "seq": seq, "text": text}
        assert await waiting(node, stranger) == []
        assert await waiting(node, eve) == []


async def test_who_is_in_another_session_is_told_at_once(node: RunningNode) -> None:
    bob = fresh()
    session = await node.session()
    await written(node, session, bob)
    async with node.client("ann") as ann, node.client(bob) as elsewhere:
        await ann.join(session)
        await counted(node, session, 1)
        await ann.say(session, f"@{bob}?")
        assert (await until_id(elsewhere, 1))["entries"][0]["kind"] == "mention"


async def test_who_is_there_on_another_node_is_not_absent(pair: Pair) -> None:
    one, two = pair
    bob, eve = fresh(), fresh("eve")
    session = await one.session()
    await written(one, session, bob, eve)
    async with one.client("ann") as ann, two.client(bob) as there:
        await there.join(session)
        await ann.join(session)
        await counted(one, session, 2)
        await ann.say(session, f"@{bob} @{eve}")
        async with one.client(eve) as back:
            await until_id(back, 1)
        assert await waiting(two, bob) == []


async def test_without_redis_a_node_knows_its_own(migrated: str) -> None:
    bob, eve = fresh(), fresh("eve")
    async with serving(migrated, NOWHERE) as node:
        session = await node.session()
        await written(node, session, bob, eve)
        async with node.client("ann") as ann, node.client(eve) as present:
            await ann.join(session)
            await present.join(session)
            await ann.say(session, f"@{eve} @{bob}")
            async with node.client(bob) as back:
                await until_id(back, 1)
        assert await waiting(node, eve) == []


async def test_a_message_sent_again_mentions_nobody_again(node: RunningNode) -> None:
    bob, key = fresh(), str(uuid4())
    session = await node.session()
    await written(node, session, bob)
    async with node.client("ann") as ann:
        await ann.join(session)
        sent = await ann.say(session, f"@{bob} @{bob}", key)
        assert await ann.say(session, f"@{bob} @{bob}", key) == {**sent, "re": sent["re"] + 1}
        [record] = await node.node.log.after(session, sent["seq"] - 1, 1)
        # As after a crash, when nobody knows whether it was searched.
        node.node.mentions.take(session, [record, record])
        await ann.say(session, f"@{bob} once more")
        async with node.client(bob) as back:
            await until_id(back, 2)
            assert [entry["body"]["seq"] for entry in entries(back)] == [sent["seq"], sent["seq"] + 1]


async def test_mentions_wait_for_a_database_that_is_away(migrated: str, redis_url: str) -> None:
    bob = fresh()
    async with relayed(migrated) as relay, serving(relay.url, redis_url, database_timeout=0.5) as node:
        session = await node.session()
        await written(node, session, bob)
        async with node.client("ann") as ann:
            await ann.join(session)
            await counted(node, session, 1)
            sent = await ann.say(session, "no name")
            [record] = await node.node.log.after(session, sent["seq"] - 1, 1)
            await relay.cut()
            named = Record(record.seq, record.at, record.kind, record.sender, record.key, f'{{"text":"@{bob}"}}')
            node.node.mentions.take(session, [named])
            await asyncio.sleep(0.2)
            await relay.listen()
        async with node.client(bob) as back:
            assert (await until_id(back, 1))["entries"][0]["body"]["text"] == f"@{bob}"


async def test_the_queue_is_bounded_and_nothing_else_is_searched(node: RunningNode) -> None:
    settings = node.node.settings
    sources = Sources(node.node.log, node.node.attendance, node.node.mentions._sources.presence)
    mentions = Mentions(sources, node.node.mail, settings)
    text = [Record(n, 1, "chat.posted", "ann", None, f'{{"text":"@bob {n}"}}') for n in range(1, 1003)]
    others = [
        Record(1, 1, "chat.posted", "ann", None, '{"text":"nobody"}'),
        Record(2, 1, "chat.edited", "ann", None, '{"text":"@bob"}'),
        Record(3, 1, "session.started", "@ann", None, "{}"),
    ]
    before = metrics.MENTIONS_LOST._value.get()
    mentions.take("s", [*others, *text])
    assert [record.seq for _, record in mentions._waiting] == list(range(3, 1003))
    assert metrics.MENTIONS_LOST._value.get() - before == 2


async def test_what_goes_wrong_with_one_message_is_kept_from_the_next(node: RunningNode) -> None:
    bob = fresh()
    session = await node.session()
    await written(node, session, bob)
    before = metrics.MENTIONS_LOST._value.get()
    no_session = Record(7, 1, "chat.posted", "ann", None, '{"text":"@bob"}')
    no_body = Record(7, 1, "chat.posted", "ann", None, "@")
    node.node.mentions.take("no session", [no_session, no_body])
    async with node.client("ann") as ann:
        await ann.join(session)
        await ann.say(session, f"@{bob}")
        async with node.client(bob) as back:
            await until_id(back, 1)
    assert metrics.MENTIONS_LOST._value.get() - before == 2
