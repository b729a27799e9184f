"""What a session's settings allow in its chat: modes, links, lengths, followers and slow mode, on two nodes."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import redis.asyncio

from persistence.errors import Unavailable
from realtime.protocol.codes import Code, Refusal
from tests.support.databases import query
from tests.support.nodes import Client, Message, RunningNode, serving, token
from tokens.access import AccessRole

Pair = tuple[RunningNode, RunningNode]
ANN = token("ann", AccessRole.SELLER)


@pytest.fixture
async def pair(migrated: str, redis_url: str) -> AsyncIterator[Pair]:
    async with serving(migrated, redis_url) as one, serving(migrated, redis_url) as two:
        yield one, two


async def patch(node: RunningNode, session: str, **changes: Any) -> None:
    changed = await node.request("PATCH", f"/v1/sessions/{session}", ANN, json=changes)
    assert changed.status_code == 200, changed.text


async def follow(node: RunningNode, **lists: list[str]) -> None:
    done = await node.request("POST", "/v1/users/ann/followers", ANN, json=lists)
    assert done.status_code == 200, done.text


@pytest.fixture(autouse=True)
def nobody_follows(migrated: str) -> None:
    query(migrated, "DELETE FROM followers")


async def edit(client: Client, session: str, seq: int, text: str, key: str | None = None) -> Message:
    return await client.ask("chat.edit", session=session, seq=seq, text=text, key=key or str(uuid4()))


async def test_where_nobody_may_chat_only_the_staff_does(pair: Pair) -> None:
    one, two = pair
    session = await one.session("ann")
    await one.request("PUT", f"/v1/sessions/{session}/members/carl", ANN, json={"role": "cohost"})
    async with two.client("bob") as bob, one.client("carl") as carl, two.client("mod", AccessRole.MODERATOR) as mod:
        for client in (bob, carl, mod):
            await client.join(session)
        key = str(uuid4())
        first = await bob.say(session, "before", key)
        await patch(one, session, chat="nobody")
        await bob.until_event(kind="session.updated")
        assert (await bob.say(session, "too late"))["code"] == "forbidden"
        assert (await edit(bob, session, first["seq"], "other"))["code"] == "forbidden"
        # What was stored has its answer, whatever has been set since; and what is one's own may go.
        assert (await bob.say(session, "before", key))["seq"] == first["seq"]
        assert (await bob.say(session, "something else", key))["code"] == "conflict"
        assert (await carl.say(session, "staff"))["type"] == "ack"
        assert (await mod.say(session, "staff"))["type"] == "ack"
        deleted = await bob.ask("chat.delete", session=session, seq=first["seq"], key=str(uuid4()))
        assert deleted["type"] == "ack"
        await patch(two, session, chat="all")
        await bob.until_event(seq=deleted["seq"] + 1)
        assert (await bob.say(session, "again"))["type"] == "ack"


async def test_links_and_lengths(node: RunningNode) -> None:
    session = await node.session("ann")
    await patch(node, session, links=False, max_message=20)
    async with node.client("bob") as bob, node.client("ann", AccessRole.SELLER) as ann:
        await bob.join(session)
        await ann.join(session)
        seq = (await bob.say(session, "no link"))["seq"]
        assert (await bob.say(session, "see example.com"))["code"] == "forbidden"
        assert (await edit(bob, session, seq, "see example.com"))["code"] == "forbidden"
        assert (await ann.say(session, "see example.com"))["type"] == "ack"
        for client in (ann, bob):
            assert (await client.say(session, "x" * 21))["code"] == "too_large"
        assert (await edit(bob, session, seq, "x" * 21))["code"] == "too_large"
        assert (await edit(bob, session, seq, "x" * 20))["type"] == "ack"
        key = str(uuid4())
        edited = await edit(bob, session, seq, "edited", key)
        await patch(node, session, chat="nobody")
        assert (await edit(bob, session, seq, "edited", key))["seq"] == edited["seq"]


async def test_followers_chat_where_they_are_asked_for(pair: Pair) -> None:
    one, two = pair
    session = await one.session("ann")
    await patch(one, session, chat="followers")
    async with two.client("bob") as bob, one.client("bob") as phone, one.client("ann", AccessRole.SELLER) as ann:
        for client in (bob, phone, ann):
            await client.join(session)
        assert (await ann.say(session, "the host"))["type"] == "ack"
        refused = await bob.say(session, "not yet")
        assert (refused["code"], refused["message"]) == (
            "forbidden", "only followers of the host may chat at the moment",
        )  # fmt: skip
        await follow(one, add=["bob", "eve"])
        # Who does not follow is remembered for a second, elsewhere than where the change was made.
        async with asyncio.timeout(5):
            while (await bob.say(session, "now"))["type"] != "ack":  # noqa: ASYNC110 - the other node tells nobody
                await asyncio.sleep(0.05)
        assert (await phone.say(session, "here too"))["type"] == "ack"
        key = str(uuid4())
        stored = await phone.say(session, "stored", key)
        await follow(one, remove=["bob"])
        assert (await phone.say(session, "no more"))["code"] == "forbidden"
        assert (await phone.say(session, "stored", key))["seq"] == stored["seq"]
        # Who does follow is remembered for half a minute.
        assert (await bob.say(session, "still"))["type"] == "ack"


async def test_asking_about_a_follower_holds_up_nobody_else(node: RunningNode, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await node.session("ann")
    await follow(node, add=["bob", "eve"])
    await patch(node, session, chat="followers")
    asked, answer = asyncio.Event(), asyncio.Event()
    ask = node.node.following._followers.follows

    async def slowly(host: str, user: str) -> bool:
        if user == "bob":
            asked.set()
            await answer.wait()
        return await ask(host, user)

    monkeypatch.setattr(node.node.following._followers, "follows", slowly)
    async with node.client("bob") as bob, node.client("eve") as eve:
        await bob.join(session)
        await eve.join(session)
        saying = asyncio.create_task(bob.say(session, "slow"))
        await asked.wait()
        assert (await eve.say(session, "fast"))["seq"] == 4
        answer.set()
        assert (await saying)["seq"] == 5


async def test_who_follows_is_said_by_the_host_and_asked_by_those_whom_it_is_about(node: RunningNode) -> None:
    bob, eve, root = token("bob"), token("eve"), token("root", AccessRole.ADMIN)
    path = "/v1/users/ann/followers"
    done = await node.request("POST", path, root, json={"add": ["bob", "bob"], "remove": ["zoe"]})
    assert done.json() == {"added": 1, "removed": 1}
    for who in (bob, token("sue", AccessRole.SELLER), token("mod", AccessRole.MODERATOR)):
        refused = await node.request("POST", path, who, json={"add": ["sue"]})
        assert refused.json()["error"]["code"] == "forbidden"
    for who in (ANN, bob, root):
        assert (await node.request("GET", f"{path}/bob", who)).json() == {"follows": True}
    assert (await node.request("GET", f"{path}/eve", eve)).json() == {"follows": False}
    assert (await node.request("GET", f"{path}/bob", eve)).status_code == 403
    bodies: list[dict[str, Any]] = [{"add": ["x"] * 1001}, {"add": ["a b"]}, {"add": "bob"}, {"more": []}]
    for body in bodies:
        assert (await node.request("POST", path, ANN, json=body)).status_code == 400


async def test_a_viewer_in_slow_mode_waits_on_every_node_and_device(pair: Pair) -> None:
    one, two = pair
    session = await one.session("ann")
    await patch(one, session, slow_mode=3600)
    async with one.client("bob") as bob, two.client("bob") as phone, two.client("eve") as eve:
        for client in (bob, phone, eve):
            await client.join(session)
        key = str(uuid4())
        said = await asyncio.gather(bob.say(session, "one", key), phone.say(session, "two"))
        assert sorted(reply["type"] for reply in said) == ["ack", "error"]
        late = next(reply for reply in said if reply["type"] == "error")
        assert late["code"] == "rate_limited"
        assert 3_590_000 < late["retry_after_ms"] <= 3_600_000
        assert (await eve.say(session, "another viewer"))["type"] == "ack"
        # An edit is not another message.
        mine = next(reply for reply in said if reply["type"] == "ack")
        assert (await edit(bob, session, mine["seq"], "edited"))["type"] == "ack"
        # The interval of now counts.
        await patch(two, session, slow_mode=0)
        await phone.until_event(kind="session.updated")
        assert (await phone.say(session, "at once"))["type"] == "ack"


async def test_a_repetition_costs_no_turn(pair: Pair, redis_url: str) -> None:
    one, two = pair
    session = await one.session("ann")
    async with one.client("bob") as bob, two.client("bob") as phone:
        await bob.join(session)
        await phone.join(session)
        old = str(uuid4())
        first = await bob.say(session, "before", old)
        await patch(one, session, slow_mode=3600)
        await phone.until_event(kind="session.updated")
        # What is known already takes no turn, and what is refused gives it back.
        assert (await phone.say(session, "before", old))["seq"] == first["seq"]
        await given_back(redis_url, session)
        assert (await phone.say(session, "something else", old))["code"] == "conflict"
        await given_back(redis_url, session)
        key = str(uuid4())
        said = await phone.say(session, "my turn", key)
        assert said["type"] == "ack"
        for client in (bob, phone):
            assert (await client.say(session, "my turn", key))["seq"] == said["seq"]
            assert (await client.say(session, "another"))["code"] == "rate_limited"


async def test_a_repetition_is_answered_at_once_whoever_has_the_turn(pair: Pair) -> None:
    one, two = pair
    session = await one.session("ann")
    async with one.client("bob") as bob, two.client("bob") as phone:
        await bob.join(session)
        await phone.join(session)
        key = str(uuid4())
        first = await bob.say(session, "its ack was lost", key)
        await patch(one, session, slow_mode=3600)
        await phone.until_event(kind="session.updated")
        assert (await phone.say(session, "my turn"))["type"] == "ack"
        assert (await phone.say(session, "its ack was lost", key))["seq"] == first["seq"]
        assert (await phone.say(session, "something else", key))["code"] == "conflict"
        assert (await phone.say(session, "another"))["code"] == "rate_limited"


async def given_back(redis_url: str, session: str) -> None:
    """Wait until bob's turn is free."""
    async with asyncio.timeout(5), redis.asyncio.Redis.from_url(redis_url) as control:
        while await control.hexists(f"sw:{{{session}}}:turns", "bob"):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.01)


async def test_a_turn_is_kept_where_nobody_knows_whether_the_message_was_stored(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await node.session("ann")
    await patch(node, session, slow_mode=3600)
    async with node.client("bob") as bob:
        await bob.join(session)
        key = str(uuid4())
        with monkeypatch.context() as broken:
            broken.setattr(node.node.writer._lanes[0]._log, "append", _fail)
            assert (await bob.say(session, "lost?", key))["code"] == "unavailable"
        assert (await bob.say(session, "another"))["code"] == "rate_limited"
        assert (await bob.say(session, "lost?", key))["type"] == "ack"


async def _fail(*_: Any) -> None:
    raise Unavailable("as if it were away")


async def test_a_turn_is_given_back_where_too_much_waits(
    node: RunningNode, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await node.session("ann")
    await patch(node, session, slow_mode=3600)
    async with node.client("bob") as bob:
        await bob.join(session)
        with monkeypatch.context() as full:
            full.setattr(node.node.writer, "submit", _refuse)
            assert (await bob.say(session, "too much"))["code"] == "unavailable"
        await given_back(redis_url, session)
        assert (await bob.say(session, "now"))["type"] == "ack"


def _refuse(_: Any) -> None:
    raise Refusal(Code.UNAVAILABLE, "too many messages are waiting")


async def test_no_turn_is_remembered_after_the_end(pair: Pair, redis_url: str) -> None:
    one, two = pair
    session = await one.session("ann")
    await patch(one, session, slow_mode=3600)
    async with two.client("bob") as bob:
        await bob.join(session)
        await bob.say(session, "my turn")
        await one.request("POST", f"/v1/sessions/{session}/end", ANN)
        await bob.until_event(kind="session.ended")
        async with asyncio.timeout(5), redis.asyncio.Redis.from_url(redis_url) as control:
            while await control.exists(f"sw:{{{session}}}:turns"):  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.01)
            assert (await bob.say(session, "too late"))["code"] in ("conflict", "rate_limited")
            while await control.exists(f"sw:{{{session}}}:turns"):  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.01)


async def test_slow_mode_lets_the_next_one_through_in_time(node: RunningNode) -> None:
    session = await node.session("ann")
    await patch(node, session, slow_mode=1)
    async with node.client("bob") as bob:
        await bob.join(session)
        await bob.say(session, "one")
        refused = await bob.say(session, "two")
        assert 0 < refused["retry_after_ms"] <= 1000
        began = time.monotonic()
        async with asyncio.timeout(5):
            while (await bob.say(session, "two"))["type"] != "ack":  # noqa: ASYNC110 - time tells nobody
                await asyncio.sleep(0.02)
        assert time.monotonic() - began > refused["retry_after_ms"] / 1000 - 0.01


async def test_without_redis_a_node_counts_its_own(migrated: str) -> None:
    nowhere = "unix:///nonexistent/valkey.sock"
    async with serving(migrated, nowhere, slow_turns=1) as node:
        session = await node.session("ann")
        await patch(node, session, slow_mode=3600)
        async with node.client("bob") as bob, node.client("eve") as eve:
            await bob.join(session)
            await eve.join(session)
            key = str(uuid4())
            first = await bob.say(session, "one", key)
            assert (await bob.say(session, "two"))["code"] == "rate_limited"
            assert (await bob.say(session, "one", key))["seq"] == first["seq"]
            assert (await bob.say(session, "other", key))["code"] == "conflict"
            # Only so many are remembered.
            assert (await eve.say(session, "mine"))["type"] == "ack"
            assert (await bob.say(session, "two"))["type"] == "ack"
