"""Logs that begin anew under open connections, as after a restore; and how soon nodes see what no hint tells."""

import time
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed

from persistence.log import Entry
from tests.support.databases import connected
from tests.support.nodes import Client, RunningNode, serving

SELDOM_CHECK: dict[str, Any] = {"head_check_ms": 3_600_000}
# Not while hints are being subscribed to, either.
NEVER_CHECK: dict[str, Any] = {**SELDOM_CHECK, "head_check_alone_ms": 3_600_000}
NOWHERE = "unix:///nonexistent/valkey.sock"
# What a check every second needs at most, on a busy machine.
SOON = 2.5


async def run(url: str, statement: str, *arguments: object) -> None:
    async with connected(url) as connection:
        await connection.execute(statement, *arguments)


async def begin_anew(url: str, session: str, epoch: str = "afterwards", seq: int = 2) -> None:
    """Restore a log to its beginning, as an operator does: in another epoch."""
    await run(url, "DELETE FROM events WHERE session = $1 AND seq > $2", session, seq)
    await run(url, "UPDATE log_heads SET epoch = $2, seq = $3 WHERE session = $1", session, epoch, seq)


async def closed(client: Client) -> int:
    """Read to the end, and give the close code."""
    with suppress(ConnectionClosed):
        while True:
            await client.receive()
    assert client.socket.close_code is not None
    return client.socket.close_code


def texts(client: Client) -> list[str]:
    return [event["body"]["text"] for event in client.events()]


async def test_who_follows_a_log_that_begins_anew_joins_again_and_begins_anew(node: RunningNode, migrated: str) -> None:
    session, other = await node.session(), await node.session()
    async with node.client("bob") as bob, node.client("eve") as eve, node.client("zoe") as zoe:
        old = (await bob.join(session))["position"]
        await eve.join(session)
        await zoe.join(other)
        await bob.say(session, "of the old life")
        await eve.until_event(seq=3)
        began = time.monotonic()
        await begin_anew(migrated, session)
        assert [await closed(bob), await closed(eve)] == [4003, 4003]
        assert time.monotonic() - began < SOON
        # Nobody else is sent away.
        assert (await zoe.say(other, "still here"))["type"] == "ack"
        async with node.client("bob") as again:
            position = {"epoch": "afterwards", "seq": 2}
            for since in ({**old, "seq": 3}, old, "last"):
                joined = await again.join(session, since=since)
                assert (joined["complete"], joined["events"], joined["position"]) == (False, [], position)
            assert (await again.say(session, "of the new life"))["seq"] == 3
            assert (await again.until_event(seq=3))["body"]["text"] == "of the new life"
            resumed = await again.join(session, since=position)
            assert [event["body"]["text"] for event in resumed["events"]] == ["of the new life"]


async def test_nothing_of_the_new_life_reaches_who_follows_the_old_one(migrated: str, redis_url: str) -> None:
    """The node that writes learns of it from its own append, the other from the hint: neither waits for a check."""
    async with (
        serving(migrated, redis_url, **NEVER_CHECK) as one,
        serving(migrated, redis_url, **NEVER_CHECK) as two,
    ):
        session = await one.session()
        async with one.client("bob") as bob, two.client("eve") as eve:
            await bob.join(session)
            await eve.join(session)
            await bob.say(session, "old")
            await eve.until_event(seq=3)
            await run(migrated, "UPDATE log_heads SET epoch = 'afterwards' WHERE session = $1", session)
            began = time.monotonic()
            assert (await bob.say(session, "new"))["seq"] == 4
            assert [await closed(bob), await closed(eve)] == [4003, 4003]
            assert time.monotonic() - began < 1.5
            assert texts(bob) == texts(eve) == ["old"]


async def test_a_hole_is_not_filled_from_another_life(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **NEVER_CHECK, hole_wait_ms=1) as node:
        session = await node.session()
        async with node.client("bob") as bob:
            await bob.join(session)
            feed = node.node.feeds.get(session)
            assert feed is not None
            await run(migrated, "UPDATE log_heads SET epoch = 'afterwards' WHERE session = $1", session)
            entry = Entry(session, "eve", uuid4(), "chat.posted", '{"text": "new"}')
            assert (await node.node.log.append([entry]))[0].epoch == "afterwards"
            feed.expect(3)
            await node.node.feeds._catch_up(feed)
            assert (feed.head, feed.hole) == (2, True)
            # Somebody who claims to have more has the node look, and see.
            async with node.client("eve") as eve:
                await eve.join(session, since={"epoch": feed.epoch, "seq": 3})
                assert await closed(bob) == 4003
            assert bob.events() == []


async def test_a_feed_that_is_opened_at_that_moment_holds_nothing_of_either(
    node: RunningNode, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await node.session()
    get = node.node.feeds._sessions.get

    async def then_restore(found: str) -> Any:
        stored = await get(found)
        monkeypatch.undo()
        await run(migrated, "UPDATE log_heads SET epoch = 'afterwards' WHERE session = $1", session)
        return stored

    monkeypatch.setattr(node.node.feeds._sessions, "get", then_restore)
    async with node.client("bob") as bob:
        joined = await bob.join(session)
        assert joined["position"]["epoch"] != "afterwards"
        again = await bob.join(session, since={**joined["position"], "seq": 1})
        assert (again["complete"], again["events"]) == (False, [])
        assert await closed(bob) == 4003


async def test_a_log_that_was_put_back_in_the_same_epoch(node: RunningNode, migrated: str) -> None:
    session = await node.session()
    async with node.client("bob") as bob:
        since = (await bob.join(session))["position"]
        for n in range(3):
            await bob.say(session, f"{n}")
        await begin_anew(migrated, session, since["epoch"], seq=3)
        assert await closed(bob) == 4003
    async with node.client("bob") as bob:
        joined = await bob.join(session, since={**since, "seq": 5})
        assert (joined["complete"], joined["position"]["seq"]) == (False, 3)
        # Whoever had no more than what is left goes on.
        joined = await bob.join(session, since=since)
        assert (joined["complete"], [event["seq"] for event in joined["events"]]) == (True, [3])


async def test_a_session_that_is_gone(node: RunningNode, migrated: str) -> None:
    session = await node.session()
    async with node.client("bob") as bob:
        await bob.join(session)
        await run(migrated, "DELETE FROM sessions WHERE id = $1", session)
        assert await closed(bob) == 4003
    async with node.client("bob") as bob:
        assert (await bob.join(session))["code"] == "not_found"


async def test_a_session_that_nobody_follows_is_opened_in_its_new_life(node: RunningNode, migrated: str) -> None:
    session = await node.session()
    async with node.client("bob") as bob:
        old = (await bob.join(session))["position"]
        await bob.ask("leave", session=session)
        await begin_anew(migrated, session)
        # It lingers in memory, in its old life. Whoever joins it now is sent away once, and is right then.
        await bob.join(session)
        assert await closed(bob) == 4003
    async with node.client("bob") as bob:
        assert (await bob.join(session, since=old))["position"]["epoch"] == "afterwards"


async def test_the_heartbeat_goes_on_for_the_others(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, heartbeat=0.2) as node:
        session, other = await node.session(), await node.session()
        async with node.client("bob") as bob, node.client("eve") as eve:
            await bob.join(session)
            await eve.join(other)
            await begin_anew(migrated, session)
            assert await closed(bob) == 4003
            eve.pushes.clear()
            assert list((await eve.until(type="ping"))["heads"]) == [other]


async def test_a_check_that_fails_is_not_the_last_one(
    node: RunningNode, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await node.session()
    compare = node.node.feeds._compare
    failed: list[Any] = []

    async def fail_once(*heads: Any) -> None:
        if not failed:
            failed.append(heads)
            raise ZeroDivisionError
        await compare(*heads)

    monkeypatch.setattr(node.node.feeds, "_compare", fail_once)
    async with node.client("bob") as bob:
        await bob.join(session)
        await begin_anew(migrated, session)
        assert await closed(bob) == 4003
        assert failed


async def test_without_redis_the_heads_tell_soon(migrated: str) -> None:
    async with (
        serving(migrated, NOWHERE, **SELDOM_CHECK) as one,
        serving(migrated, NOWHERE, **SELDOM_CHECK, hole_wait_ms=50) as two,
    ):
        session = await one.session()
        async with one.client("bob") as bob, two.client("eve") as eve:
            await bob.join(session)
            await eve.join(session)
            took = []
            for n in range(5):
                await bob.say(session, f"{n}")
                began = time.monotonic()
                await eve.until_event(seq=3 + n)
                took.append(time.monotonic() - began)
            # Every 200 ms, and the time for a hint that does not come: where the machine is free for it.
            assert min(took) < 0.5
            assert max(took) < SOON
            await begin_anew(migrated, session)
            assert [await closed(bob), await closed(eve)] == [4003, 4003]
