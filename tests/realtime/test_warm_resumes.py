"""Who comes back soon costs the stores nothing, and misses nothing of what came to the inbox meanwhile."""

import asyncio
from typing import Any, Final

import pytest
from prometheus_client import REGISTRY

from realtime.domain.inbox import NOTHING
from tests.realtime.test_mailroom import SELLER, entries, fill, fresh, settled, until_id, write
from tests.support.nodes import RunningNode, serving
from tests.support.relay import relayed

HOUR_MS: Final = 3_600_000
# Of what a node does by itself only one look at the table of limits is left, every 5 seconds.
RESTING: Final[dict[str, Any]] = {
    "head_check_ms": HOUR_MS,
    "head_check_alone_ms": HOUR_MS,
    "timer_ms": HOUR_MS,
    "freeze_check_ms": HOUR_MS,
    "reactions_save_ms": HOUR_MS,
    "limits_reload": 5,
    "watch_beat": 3600,
    "heartbeat": 3600,
    "silence": 7200,
}


def uses_of_postgres() -> int:
    """Count how often a connection was asked for."""
    return int(REGISTRY.get_sample_value("stagewire_postgres_pool_wait_seconds_count") or 0)


async def gone(node: RunningNode, *users: str) -> None:
    """Wait until the node has noticed that these users have left."""
    async with asyncio.timeout(5):
        while any(node.node.mailroom.connections(user) for user in users):  # noqa: ASYNC110 - the other side of a socket
            await asyncio.sleep(0.005)


async def test_who_comes_back_uses_postgres_for_nothing(migrated: str, redis_url: str) -> None:
    crowd = [fresh() for _ in range(20)]
    async with serving(migrated, redis_url, **RESTING) as node, node.client("ann", SELLER) as ann:
        session = await node.session("ann")
        await ann.join(session)
        first = uses_of_postgres()
        since = {}
        for user in crowd:
            async with node.client(user) as client:
                since[user] = (await client.join(session))["position"]
                await settled(node, user)
        cold = uses_of_postgres() - first
        await gone(node, *crowd)
        await ann.say(session, "missed")
        before = uses_of_postgres()
        for user in crowd:
            async with node.client(user) as client:
                joined = await client.join(session, since=since[user])
                assert [event["body"]["text"] for event in joined["events"]] == ["missed"]
                assert joined["complete"]
        assert cold >= len(crowd)
        assert uses_of_postgres() - before <= 1


async def test_a_second_device_is_asked_for_no_more_than_the_first(node: RunningNode) -> None:
    bob = fresh()
    async with node.client("ann", SELLER) as ann, node.client(bob) as desk:
        await settled(node, bob)
        async with node.client(bob) as phone:
            assert NOTHING not in node.node.mailroom._boxes[bob].given.values()
            await write(ann, bob)
            for device in (desk, phone):
                await until_id(device, 1)


async def test_what_came_meanwhile_is_there_at_once(migrated: str, redis_url: str) -> None:
    bob = fresh()
    # The beat would bring it, too.
    async with serving(migrated, redis_url, **RESTING) as node, node.client("ann", SELLER) as ann:
        async with node.client(bob):
            await settled(node, bob)
        await gone(node, bob)
        await write(ann, bob, "one")
        async with serving(migrated, redis_url) as other:
            await fill(other, bob, 1, "two")
        async with node.client(bob) as back:
            await until_id(back, 2)
            assert [entry["body"]["text"] for entry in entries(back)] == ["one", "two"]
        # It was not acknowledged, and so it waits on.
        await gone(node, bob)
        async with node.client(bob) as back:
            await until_id(back, 2)
            await back.ask("inbox.ack", upto=2)
        await gone(node, bob)
        async with node.client(bob) as back:
            assert node.node.mailroom._boxes[bob].given == dict.fromkeys(node.node.mailroom.connections(bob), 2)
            await write(ann, bob, "three")
            await until_id(back, 3)
            assert [entry["body"]["text"] for entry in entries(back)] == ["three"]


async def test_what_came_without_a_hint_comes_with_the_next_beat(
    migrated: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = fresh()
    async with serving(migrated, redis_url) as node, serving(migrated, redis_url) as other:
        async with node.client(bob):
            await settled(node, bob)
        await gone(node, bob)
        with monkeypatch.context() as patch:
            patch.setattr(other.node.feeds.hints, "publish", lambda *_: None)
            await fill(other, bob, 1, "whispered")
        async with node.client(bob) as back:
            await until_id(back, 1, within=2.0)


async def test_after_an_outage_everyone_is_asked_for_again(migrated: str, redis_url: str) -> None:
    bob = fresh()
    async with relayed(migrated) as relay, serving(relay.url, redis_url, database_timeout=1.0) as node:
        async with node.client(bob):
            await settled(node, bob)
        await gone(node, bob)
        mailroom = node.node.mailroom
        spell = mailroom._boxes[bob].spell
        await relay.cut()
        async with asyncio.timeout(5):
            while mailroom._spell == spell:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)
        async with node.client(bob):
            assert list(mailroom._boxes[bob].given.values()) == [NOTHING]
            await relay.listen()
            await settled(node, bob)
            async with asyncio.timeout(5):
                while mailroom._boxes[bob].spell != mailroom._spell:  # noqa: ASYNC110 - nobody is told
                    await asyncio.sleep(0.01)


async def test_only_so_many_are_known_who_left(migrated: str, redis_url: str) -> None:
    users = [fresh() for _ in range(4)]
    async with serving(migrated, redis_url, inbox_kept=2) as node:
        for user in users:
            async with node.client(user):
                await settled(node, user)
            await gone(node, user)
        assert list(node.node.mailroom._boxes) == list(node.node.mailroom._left) == users[2:]


async def test_nothing_is_known_of_who_left_long_ago(migrated: str, redis_url: str) -> None:
    bob = fresh()
    async with serving(migrated, redis_url, linger=1.0, database_timeout=0.4, head_check_ms=50) as node:
        async with node.client(bob), node.client(bob):
            await settled(node, bob)
            assert len(node.node.mailroom._boxes[bob].given) == 2
        async with asyncio.timeout(5):
            while bob in node.node.mailroom._boxes:  # noqa: ASYNC110 - the other side of a socket
                await asyncio.sleep(0.01)
        assert not node.node.mailroom._left
