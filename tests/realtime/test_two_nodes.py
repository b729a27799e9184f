"""Two nodes on one Postgres and one Redis: the same order, the same counts, and holes that heal."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio

from persistence.hints import Hints
from persistence.log import Head, Log, Record
from tests.support.nodes import Client, RunningNode, audience, serving
from tokens.access import AccessRole

Pair = tuple[RunningNode, RunningNode]


@pytest.fixture
async def pair(migrated: str, redis_url: str) -> AsyncIterator[Pair]:
    async with serving(migrated, redis_url) as one, serving(migrated, redis_url) as two:
        yield one, two


async def test_both_nodes_tell_the_same_in_the_same_order(pair: Pair) -> None:
    one, two = pair
    session = await one.session()
    async with one.client("bob") as bob, two.client("eve") as eve:
        await asyncio.gather(bob.join(session), eve.join(session))
        said = await asyncio.gather(*(_say_many(client, session, 25) for client in (bob, eve)))
        seqs = sorted(seq for acked in said for seq in acked)
        assert seqs == list(range(3, 53))
        await bob.until_event(seq=52)
        await eve.until_event(seq=52)
        assert bob.events() == eve.events()
        assert [event["seq"] for event in bob.events()] == seqs


async def _say_many(client: Any, session: str, count: int) -> list[int]:
    return [(await client.say(session, f"{client.user} {n}"))["seq"] for n in range(count)]


async def test_the_end_of_a_session_reaches_the_other_node(pair: Pair) -> None:
    one, two = pair
    session = await one.session("ann")
    async with one.client("ann", AccessRole.SELLER) as ann, two.client("eve") as eve:
        await ann.join(session)
        await eve.join(session)
        await ann.ask("session.end", session=session)
        await eve.until_event(kind="session.ended")
        assert (await eve.say(session, "too late"))["state"] == "ended"


async def test_users_on_both_nodes_are_counted_once(pair: Pair) -> None:
    one, two = pair
    session = await one.session()
    async with one.client("bob") as bob, two.client("bob") as phone, two.client("eve") as eve:
        for client in (bob, phone, eve):
            await client.join(session)
        everyone = audience(3, 2)
        await bob.until(kind="audience", audience=everyone)
        await eve.until(kind="audience", audience=everyone)
        await phone.socket.close()
        await bob.until(kind="audience", audience=audience(2, 2))


async def test_typing_reaches_the_other_node(pair: Pair) -> None:
    one, two = pair
    session = await one.session()
    async with one.client("bob") as bob, two.client("eve") as eve:
        await bob.join(session)
        await eve.join(session)
        await bob.ask("typing", session=session, on=True)
        await eve.until(kind="typing", users=["bob"], count=1)


async def test_a_lost_hint_is_noticed_and_healed(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = pair
    session = await one.session()
    async with one.client("bob") as bob, two.client("eve") as eve:
        await bob.join(session)
        await eve.join(session)
        with monkeypatch.context() as patch:
            patch.setattr(one.node.feeds.hints, "publish", lambda *_: None)
            await bob.say(session, "whispered")
        began = time.monotonic()
        # Nothing follows, so only the comparison of the heads can tell.
        await eve.until_event(seq=3)
        assert time.monotonic() - began < 2.0
        with monkeypatch.context() as patch:
            patch.setattr(one.node.feeds.hints, "publish", lambda *_: None)
            await bob.say(session, "whispered again")
        await bob.say(session, "aloud")
        await eve.until_event(seq=5)
        assert [event["seq"] for event in eve.events()] == [3, 4, 5]


async def test_a_defect_while_a_hole_heals_leaves_it_to_the_next_check(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    session = await one.session()
    read = Log.after_in
    failed: list[str] = []

    async def fail_once(log: Log, session: str, epoch: str, seq: int, limit: int) -> list[Record]:
        if not failed:
            failed.append(session)
            raise ZeroDivisionError
        return await read(log, session, epoch, seq, limit)

    async with one.client("bob") as bob, two.client("eve") as eve:
        await bob.join(session)
        await eve.join(session)
        with monkeypatch.context() as patch:
            patch.setattr(one.node.feeds.hints, "publish", lambda *_: None)
            patch.setattr(Log, "after_in", fail_once)
            await bob.say(session, "whispered")
            await eve.until_event(seq=3)
        assert failed == [session]


async def test_a_defect_in_one_check_of_the_heads_leaves_the_others(
    migrated: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = {"head_check_ms": 100}
    async with serving(migrated, redis_url, **quick) as one, serving(migrated, redis_url, **quick) as two:
        session = await one.session()
        read, failed = Log.heads, asyncio.Event()

        async def fail_once(log: Log, sessions: Sequence[str]) -> dict[str, Head]:
            if log is two.node.log and not failed.is_set():
                failed.set()
                raise ZeroDivisionError
            return await read(log, sessions)

        async with one.client("bob") as bob, two.client("eve") as eve:
            await bob.join(session)
            await eve.join(session)
            monkeypatch.setattr(Log, "heads", fail_once)
            await failed.wait()
            monkeypatch.setattr(one.node.feeds.hints, "publish", lambda *_: None)
            await bob.say(session, "whispered")
            await eve.until_event(seq=3)


@pytest.mark.parametrize("seen", [4, 10], ids=["within what a join gives", "beyond it"])
async def test_a_reader_who_knows_more_than_the_node_goes_on(
    migrated: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, seen: int
) -> None:
    # Not while hints are being subscribed to, either.
    never = {"head_check_ms": 3_600_000, "head_check_alone_ms": 3_600_000}
    slow = {**never, "ring_events": 4, "replay_limit": 4}
    async with serving(migrated, redis_url, **slow) as one, serving(migrated, redis_url, **slow) as two:
        session = await one.session()
        async with one.client("bob") as bob, two.client("eve") as eve:
            await bob.join(session)
            await eve.join(session)
            monkeypatch.setattr(one.node.feeds.hints, "publish", lambda *_: None)
            last = [(await bob.say(session, f"whispered {n}"))["seq"] for n in range(seen)][-1]
            epoch = (await bob.join(session))["position"]["epoch"]
            async with two.client("zoe") as zoe:
                joined = await zoe.join(session, since={"epoch": epoch, "seq": last - 1})
                assert joined["complete"] is True
                assert [event["seq"] for event in joined["events"]] == [last]
            await eve.until_event(seq=last)
            assert [event["seq"] for event in eve.events()] == list(range(3, 3 + seen))


async def test_a_position_that_no_log_has_reached_is_told_so(pair: Pair) -> None:
    one, _ = pair
    session = await one.session()
    async with one.client("bob") as bob:
        position = (await bob.join(session))["position"]
        joined = await bob.join(session, since={**position, "seq": 2**50})
        assert (joined["complete"], joined["position"]) == (False, position)


async def test_chat_goes_on_without_redis(migrated: str) -> None:
    nowhere = "unix:///nonexistent/valkey.sock"
    async with serving(migrated, nowhere) as one, serving(migrated, nowhere) as two:
        session = await one.session()
        async with one.client("bob") as bob, two.client("eve") as eve:
            await bob.join(session)
            await eve.join(session)
            assert (await bob.say(session, "anyone?"))["seq"] == 3
            assert (await eve.until_event(seq=3))["body"]["text"] == "anyone?"
        ready = await one.request("GET", "/readyz")
        assert (ready.status_code, ready.json()["checks"]["redis"]) == (503, "unavailable")


async def test_hints_come_back_after_a_cut(pair: Pair, redis_url: str) -> None:
    one, two = pair
    session = await one.session()
    async with one.client("bob") as bob, two.client("eve") as eve:
        await bob.join(session)
        await eve.join(session)
        async with redis.asyncio.Redis.from_url(redis_url) as control:
            await control.client_kill_filter(_type="pubsub")
        await bob.say(session, "during the cut")
        await eve.until_event(seq=3)
        await _eventually(lambda: _connected(two.node.feeds.hints))
        received = two.node.feeds.hints.received
        await bob.say(session, "after it")
        await eve.until_event(seq=4)
        assert two.node.feeds.hints.received > received


async def _eventually(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await true():  # noqa: ASYNC110 - what is waited for happens in another program
            await asyncio.sleep(0.02)


async def _connected(hints: Hints) -> bool:
    return hints.connected


async def _written(control: redis.asyncio.Redis, session: str, users: set[str]) -> bool:
    keys = [key async for key in control.scan_iter(f"sw:{{{session}}}:users:*")]
    return bool(keys) and await control.sunion(keys) == {user.encode() for user in users}


@asynccontextmanager
async def watching(migrated: str, redis_url: str) -> AsyncIterator[tuple[RunningNode, str, Client, Client]]:
    """Give the second of two quick nodes, and a session that bob watches on the first and eve on the second."""
    quick = {"lease_ms": 600, "lease_beat_ms": 200, "audience_ms": 100}
    async with serving(migrated, redis_url, **quick) as one, serving(migrated, redis_url, **quick) as two:
        session = await one.session()
        async with one.client("bob") as bob, two.client("eve") as eve:
            await bob.join(session)
            await eve.join(session)
            await bob.until(kind="audience", audience=audience(2, 2))
            yield two, session, bob, eve


async def test_a_killed_nodes_part_of_the_audience_lapses(migrated: str, redis_url: str) -> None:
    async with watching(migrated, redis_url) as (two, _, bob, _):
        # What was told while they joined must not count as told later.
        bob.pushes.clear()
        two.node.attendance.write = _never  # type: ignore[method-assign] # as if it were dead
        await bob.until(kind="audience", audience=audience(1, 1))
        bob.pushes.clear()
        del two.node.attendance.write
        await bob.until(kind="audience", audience=audience(2, 2))


async def _never(sessions: list[str]) -> None:
    pass


async def test_a_flushed_redis_is_told_everything_again(migrated: str, redis_url: str) -> None:
    async with watching(migrated, redis_url) as (two, session, bob, eve):
        async with redis.asyncio.Redis.from_url(redis_url) as control:
            await control.flushall()
            await _eventually(lambda: _written(control, session, {"bob", "eve"}))
        await eve.until(kind="audience", audience=audience(2, 2))
        async with two.client("zoe") as zoe:
            await zoe.join(session)
            for client in (bob, eve):
                await client.until(kind="audience", audience=audience(3, 3))
