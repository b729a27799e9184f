"""The client at a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from stagewire_client import (
    Code,
    Event,
    Failed,
    Gap,
    Position,
    Reason,
    Refused,
    Session,
    Stagewire,
    StagewireError,
    State,
)
from stagewire_client.messages import Inbox
from tests.support.nodes import RunningNode, Target, serving, token
from tests.support.waiting import until
from tokens.access import AccessRole


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url) as running:
        yield running


def client(node: Target, user: str, role: AccessRole = AccessRole.VIEWER) -> Stagewire:
    return Stagewire(node.websocket, token=token(user, role))


async def test_what_is_sent_comes_back_as_an_event_to_everyone(node: RunningNode) -> None:
    session = await node.session()
    async with client(node, "alice") as alice, client(node, "bob") as bob:
        show, other = await alice.join(session), await bob.join(session)
        ack = await show.send("hi")
        for reader in (show, other):
            async for event in reader:
                assert isinstance(event, Event)
                assert (event.seq, event.by, event.key, event.body) == (ack.seq, "alice", ack.key, {"text": "hi"})
                break
        await other.send("hi, alice", reply_to=ack.seq)
        assert await seen(show, 2) == ["hi", "hi, alice"]


async def seen(show: Session, count: int) -> list[str]:
    await until(lambda: len(show.messages()) >= count)
    return [message.text for message in show.messages()]


async def test_a_show_from_its_creation_to_its_end(node: RunningNode) -> None:
    async with client(node, "host", AccessRole.SELLER) as live, client(node, "bob") as bob:
        created = await live.create("Coats", slow_mode=0)
        assert (created.title, created.state, created.host) == ("Coats", "scheduled", "host")
        show, watching = await live.join(created.id), await bob.join(created.id)
        assert (show.role, show.hosting, watching.role) == ("host", True, "viewer")
        await show.start()
        await show.update(title="Hats", language="de")
        await show.appoint("bob", "moderator")
        await show.pause("a moment")
        await show.resume()
        await show.end()
        told = []
        async for event in watching:
            assert isinstance(event, Event)
            told.append(event.kind.removeprefix("session."))
            if event.kind == "session.ended":
                break
        assert told == ["started", "updated", "role", "paused", "resumed", "ended"]
        # Its own events may come to the host after the answers.
        await until(lambda: watching.snapshot == show.snapshot)
        assert (show.snapshot.state, show.snapshot.title) == ("ended", "Hats")
        assert show.snapshot.members == {"bob": "moderator"}
        assert watching.role == "moderator"
        fresh = await live.request({"type": "join", "session": created.id}, dict)
        assert fresh["session"]["version"] == show.snapshot.version


async def test_edits_and_deletions_reach_the_timeline(node: RunningNode) -> None:
    session = await node.session()
    async with client(node, "alice") as live:
        show = await live.join(session)
        first, second = await show.send("frist"), await show.send("regretted")
        assert first.seq is not None
        assert second.seq is not None
        await show.edit(first.seq, "first")
        await show.delete(second.seq)
        await until(lambda: show.timeline.head == second.seq + 2 if second.seq else False)
        assert [(message.text, message.deleted) for message in show.messages()] == [("first", False), ("", True)]
        page = await show.history(limit=2)
        assert [event.kind for event in page.events] == ["chat.edited", "chat.deleted"]
        assert page.more


async def test_refusals_are_typed_by_their_code(node: RunningNode) -> None:
    session = await node.session()
    async with client(node, "alice") as live:
        show = await live.join(session)
        with pytest.raises(Refused) as refused:
            await show.start()
        assert (refused.value.code, refused.value.state) == (Code.FORBIDDEN, None)
        with pytest.raises(Refused) as refused:
            await show.send("\u200b")
        assert refused.value.code == Code.BAD_REQUEST
        with pytest.raises(Refused) as refused:
            await live.join("01932c07-3a6e-7cc0-8000-000000000001")
        assert refused.value.code == Code.NOT_FOUND
        with pytest.raises(Refused) as refused:
            await show.agora_token()
        assert refused.value.code == Code.NOT_CONFIGURED


async def test_the_audience_and_the_signals_are_followed(node: RunningNode) -> None:
    session = await node.session()
    async with client(node, "alice") as live:
        show = await live.join(session)
        signals = show.signals()
        async with client(node, "bob") as other:
            theirs = await other.join(session)
            await until(lambda: show.audience.present == ("alice", "bob"))
            assert show.audience.numbers["users"] == 2
            assert theirs.typing(on=True)
            await until(lambda: show.typists.users == ("bob",))
            assert theirs.react("heart")
            async with asyncio.timeout(5):
                while (signal := await anext(signals)).kind != "reactions":
                    pass
            assert signal.counts == {"heart": 1}
            theirs.playback("playing")
            await until(lambda: show.audience.numbers["watching"] == 1)


async def test_direct_messages_wait_in_the_inbox_until_they_are_acknowledged(node: RunningNode) -> None:
    async with client(node, "host", AccessRole.SELLER) as live:
        await live.direct("bob", "your coat")
        await live.direct("bob", "your hat")
    for expected in (["your coat", "your hat"], ["your hat"], []):
        async with client(node, "bob") as bob:
            entries, pushes = bob.inbox(), bob.pushes()
            async with asyncio.timeout(5):
                for number, text in enumerate(expected):
                    entry = await anext(entries)
                    assert entry.body == {"text": text}
                    if number == 0:
                        await bob.acknowledge(entry)
                        assert isinstance(await anext(pushes), Inbox)


async def test_a_position_that_was_kept_goes_on_from_there(node: RunningNode) -> None:
    session = await node.session()
    async with client(node, "alice") as live:
        show = await live.join(session)
        await show.send("one")
        position = show.position
        await show.send("two")
        await live.leave(show)
        assert show.over
        again = await live.join(session, since=position)
        told = await anext(again.__aiter__())
        assert isinstance(told, Event)
        assert told.body == {"text": "two"}
        with pytest.raises(StagewireError, match="is followed already"):
            await live.join(session)
        await live.leave(again)
        strange = await live.join(session, since=Position("another epoch", 5))
        assert await anext(strange.__aiter__()) == Gap()


async def test_a_node_that_stops_hands_its_clients_over(migrated: str, redis_url: str, node: RunningNode) -> None:
    session = await node.session()
    async with AsyncExitStack() as stack:
        leaving = await stack.enter_async_context(serving(migrated, redis_url, drain_timeout=5.0))
        urls = iter([leaving.websocket])
        async with Stagewire(lambda: next(urls, node.websocket), token=token("alice")) as live:
            show = await live.join(session)
            await show.send("before")
            statuses = live.statuses()
            await stack.aclose()
            told = [await anext(statuses) for _ in range(3)]
            assert [status.state for status in told] == [State.OFFLINE, State.CONNECTING, State.ONLINE]
            assert (told[0].reason, told[0].retry_in) == (Reason.DRAIN, 0)
            await show.send("after")
    assert await history(node, session) == ["before", "after"]


async def history(node: Target, session: str) -> list[str]:
    async with node.client("reader") as reader:
        await reader.join(session)
        page = await reader.ask("history", session=session)
    return [event["body"]["text"] for event in page["events"] if event["kind"] == "chat.posted"]


async def test_a_token_that_is_no_good_fails(node: RunningNode) -> None:
    async with Stagewire(node.websocket, token="nonsense") as live:
        with pytest.raises(Failed, match="did not accept the access token"):
            await live.connect()
        assert (live.status.state, live.status.close_code) == (State.FAILED, 4401)


async def test_a_frozen_user_is_told_so(node: RunningNode) -> None:
    async with client(node, "eve") as live:
        await live.connect()
        statuses = live.statuses()
        admin = token("root", AccessRole.ADMIN)
        answer = await node.request("POST", "/v1/users/eve/freeze", admin, json={"reason": "spam"})
        assert answer.is_success, answer.text
        async with asyncio.timeout(5):
            status = await anext(statuses)
        assert (status.state, status.sentence) == (State.FAILED, "You have been kept out.")
