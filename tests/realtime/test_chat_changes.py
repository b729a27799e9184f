"""Edits, deletions, how they are told again, and the search: one node, real sockets, memory and Postgres."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from persistence.log import Found
from realtime.history import MAX_CHANGES
from realtime.protocol.codec import Format
from tests.support.nodes import Client, Message, RunningNode, serving, token
from tokens.access import AccessRole

MODERATOR = AccessRole.MODERATOR


async def edit(client: Client, session: str, seq: int, text: str, key: str | None = None) -> Message:
    return await client.ask("chat.edit", session=session, seq=seq, text=text, key=key or str(uuid4()))


async def delete(client: Client, session: str, seq: int, key: str | None = None) -> Message:
    return await client.ask("chat.delete", session=session, seq=seq, key=key or str(uuid4()))


async def history(client: Client, session: str, **page: int) -> list[Message]:
    events: list[Message] = (await client.ask("history", session=session, **page))["events"]
    return events


async def pages(node: RunningNode, session: str, **query: int) -> list[Message]:
    reply = await node.request("GET", f"/v1/sessions/{session}/events", token("eve"), params=query)
    events: list[Message] = reply.json()["events"]
    return events


def bodies(events: list[Message]) -> list[Message]:
    return [event["body"] for event in events]


@pytest.fixture
async def small(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    """Run a node that remembers few events."""
    async with serving(migrated, redis_url, ring_events=4, replay_limit=4) as running:
        yield running


async def test_everyone_hears_of_a_change_and_later_readers_of_its_result(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob, node.client("eve", fmt=Format.MSGPACK) as eve:
        await bob.join(session)
        since = (await eve.join(session))["position"]
        one, two = [(await bob.say(session, text))["seq"] for text in ("one", "two")]
        key = str(uuid4())
        ack = await edit(bob, session, one, "  ONE ", key)
        assert ack == {"type": "ack", "re": ack["re"], "key": key, "seq": 5, "at": ack["at"]}
        gone = await delete(bob, session, two)
        heard = [await eve.until_event(seq=seq) for seq in (3, 4, 5, 6)]
        assert bodies(heard) == [{"text": "one"}, {"text": "two"}, {"seq": 3, "text": "ONE"}, {"seq": 4}]
        assert [(event["kind"], event["key"], event["at"]) for event in heard[2:3]] == [("chat.edited", key, ack["at"])]
        edited = {"text": "ONE", "edited": {"at": ack["at"], "seq": 5}}
        told = [edited, {"deleted": True}, {"seq": 3, "text": "ONE"}, {"seq": 4}]
        joined = (await eve.join(session, since=since))["events"]
        assert bodies(joined) == bodies(await history(eve, session, after=2)) == told
        assert joined == await history(bob, session, after=2) == await pages(node, session, after=2)
        assert gone["seq"] == 6


async def test_memory_and_postgres_tell_the_same(small: RunningNode) -> None:
    """Of eight events, memory has the last four."""
    session = await small.session()
    async with small.client("bob") as bob:
        await bob.join(session)
        for text in ("one", "two", "three"):
            await bob.say(session, text)
        await edit(bob, session, 3, "edited, and then deleted")
        await edit(bob, session, 4, "edited once")
        await edit(bob, session, 4, "edited twice")
        await delete(bob, session, 3)
        last = await edit(bob, session, 3, "too late")
        everything = await history(bob, session, before=100, limit=50)
        stamp = next(event for event in everything if event["seq"] == 8)
        twice = {"text": "edited twice", "edited": {"at": stamp["at"], "seq": 8}}
        assert bodies(everything[2:]) == [
            {"deleted": True},
            twice,
            {"text": "three"},
            {"seq": 3, "deleted": True},
            {"seq": 4, **twice},
            {"seq": 4, "text": "edited twice"},
            {"seq": 3},
            {"seq": 3, "deleted": True},
        ]
        assert last["seq"] == 10
        assert await history(bob, session, limit=4) == everything[-4:]
        assert await history(bob, session, after=8) == everything[8:]
        assert await pages(small, session, limit=100) == everything
        for before in range(2, 11):
            assert await history(bob, session, before=before, limit=3) == everything[max(before - 4, 0) : before - 1]
        position = (await bob.join(session))["position"]
        assert (await bob.join(session, since={**position, "seq": 6}))["events"] == everything[6:]


async def test_a_feed_that_is_opened_later_tells_the_same(migrated: str, redis_url: str, node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob:
        await bob.join(session)
        await bob.say(session, "one")
        await bob.say(session, "two")
        await edit(bob, session, 3, "three")
        await delete(bob, session, 4)
        told = await history(bob, session)
        async with serving(migrated, redis_url) as other, other.client("eve") as eve:
            position = (await eve.join(session))["position"]
            assert (await eve.join(session, since={**position, "seq": 1}))["events"] == told[1:]
            assert await history(eve, session) == told


async def test_who_may_change_what(small: RunningNode) -> None:
    """From memory, and from Postgres, where messages are that memory has no more."""
    session = await small.session("ann")
    async with (
        small.client("ann", AccessRole.SELLER) as host,
        small.client("mod", MODERATOR) as moderator,
        small.client("root", AccessRole.ADMIN) as admin,
        small.client("bob") as bob,
        small.client("eve") as eve,
    ):
        for client in (host, moderator, admin, bob, eve):
            await client.join(session)
        old = [(await bob.say(session, f"{n}"))["seq"] for n in range(5)]
        for _ in range(2):
            for client in (host, moderator, admin, eve):
                refused = await edit(client, session, old[0], "not mine")
                assert (refused["type"], refused["code"]) == ("error", "forbidden")
            assert (await delete(eve, session, old[0]))["code"] == "forbidden"
            assert (await edit(bob, session, old[0], "mine"))["type"] == "ack"
            # What is asked about next lies in memory.
            old = [(await bob.say(session, "new"))["seq"], *old[1:]]
        assert [
            (await delete(client, session, seq))["type"]
            for client, seq in zip((host, moderator, admin, bob), old[1:], strict=True)
        ] == ["ack"] * 4


async def test_what_is_no_message_cannot_be_changed(small: RunningNode) -> None:
    session, other = await small.session(), await small.session()
    async with small.client("bob") as bob:
        await bob.join(session)
        said = (await bob.say(session, "one"))["seq"]
        change = (await edit(bob, session, said, "two"))["seq"]
        for seq in (0, 1, 2, change, change + 1, 2**53 - 1):
            assert (await edit(bob, session, seq, "x"))["code"] == "not_found"
            assert (await delete(bob, session, seq))["code"] == "not_found"
        assert (await edit(bob, other, said, "x"))["code"] == "forbidden"
        await bob.join(other)
        assert (await edit(bob, other, said, "x"))["code"] == "not_found"
        assert (await edit(bob, session, said, "\u200b"))["code"] == "bad_request"
        assert (await edit(bob, session, said, "x" * 1001))["code"] == "too_large"
        assert (await bob.ask("chat.edit", session=session, seq=-1, text="x", key=str(uuid4())))[
            "code"
        ] == "bad_request"
        assert len(await history(bob, session)) == 4


async def test_an_author_may_change_what_this_node_has_not_got_yet(
    node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ack has come, but an event before it has not: a hint of another node is on its way."""
    session = await node.session()
    async with node.client("bob") as bob:
        await bob.join(session)
        with monkeypatch.context() as patch:
            for lane in node.node.writer._lanes:
                patch.setattr(lane, "_publish", lambda *_: None)
            said = (await bob.say(session, "one"))["seq"]
            assert node.node.feeds.get(session).head < said  # type: ignore[union-attr] # it is open
            assert (await edit(bob, session, said, "two"))["type"] == "ack"
        assert (await bob.until_event(seq=4))["body"] == {"seq": 3, "text": "two"}


async def test_changes_are_repeated_by_key(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob, node.client("mod", MODERATOR) as moderator:
        await bob.join(session)
        await moderator.join(session)
        said = (await bob.say(session, "one"))["seq"]
        key, gone, theirs = (str(uuid4()) for _ in range(3))
        first = await edit(bob, session, said, "two", key)
        assert _address(await edit(bob, session, said, "two", key)) == _address(first)
        for conflict in (
            await edit(bob, session, said, "three", key),
            await delete(bob, session, said, key),
            await bob.say(session, "two", key),
        ):
            assert (conflict["type"], conflict["code"]) == ("error", "conflict")
        deletion = await delete(moderator, session, said, gone)
        assert _address(await delete(moderator, session, said, gone)) == _address(deletion)
        # Also after the deletion: nobody knows whether the first answer has arrived.
        assert _address(await edit(bob, session, said, "two", key)) == _address(first)
        assert (await edit(bob, session, said, "not seen", theirs))["type"] == "ack"
        assert bodies(await history(bob, session, after=2)) == [
            {"deleted": True},
            {"seq": said, "deleted": True},
            {"seq": said},
            {"seq": said, "deleted": True},
        ]


def _address(ack: Message) -> tuple[int, int]:
    assert ack["type"] == "ack", ack
    return ack["seq"], ack["at"]


async def test_after_the_end_nothing_is_changed(node: RunningNode) -> None:
    session = await node.session("ann")
    async with node.client("ann", AccessRole.SELLER) as ann:
        await ann.join(session)
        said = (await ann.say(session, "one"))["seq"]
        key = str(uuid4())
        first = await edit(ann, session, said, "two", key)
        await ann.ask("session.end", session=session)
        for refused in (await edit(ann, session, said, "three"), await delete(ann, session, said)):
            assert (refused["code"], refused["state"]) == ("conflict", "ended")
        assert _address(await edit(ann, session, said, "two", key)) == _address(first)


async def test_the_newest_edit_of_many_at_once_is_the_one_that_all_tell(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob, node.client("bob") as phone:
        since = (await bob.join(session))["position"]
        await phone.join(session)
        said = (await bob.say(session, "0"))["seq"]
        await asyncio.gather(*(_edit_often(client, session, said) for client in (bob, phone)))
        told = (await bob.join(session, since=since))["events"]
        assert len(told) == 41
        last = max(told[1:], key=lambda event: (event["at"], event["seq"]))
        assert {event["body"]["text"] for event in told} == {last["body"]["text"]}
        assert "edited" not in last["body"]
        assert await pages(node, session, after=2) == told


async def _edit_often(client: Client, session: str, seq: int) -> None:
    for n in range(20):
        assert (await edit(client, session, seq, f"{client.user} {n} {id(client)}"))["type"] == "ack"


# How a message became what it is


async def edits(node: RunningNode, session: str, seq: object, who: str) -> Any:
    return await node.request("GET", f"/v1/sessions/{session}/events/{seq}/edits", who)


async def test_moderators_read_how_a_message_became_what_it_is(node: RunningNode) -> None:
    session = await node.session("ann")
    async with node.client("bob") as bob, node.client("mod", MODERATOR) as moderator:
        await bob.join(session)
        await moderator.join(session)
        said = (await bob.say(session, "one"))["seq"]
        two, three = await edit(bob, session, said, "two"), await edit(bob, session, said, "three")
        gone = await delete(moderator, session, said)
        story = [
            {"seq": 4, "at": two["at"], "by": "bob", "kind": "chat.edited", "before": "one", "after": "two"},
            {"seq": 5, "at": three["at"], "by": "bob", "kind": "chat.edited", "before": "two", "after": "three"},
            {"seq": 6, "at": gone["at"], "by": "mod", "kind": "chat.deleted", "before": "three"},
        ]
        for who in (token("ann"), token("mod", MODERATOR), token("root", AccessRole.ADMIN)):
            reply = await edits(node, session, said, who)
            assert (reply.status_code, reply.json()) == (200, {"edits": story})
        plain = (await bob.say(session, "never changed"))["seq"]
        assert (await edits(node, session, plain, token("ann"))).json() == {"edits": []}


async def test_who_may_not_read_edits_and_of_what_there_are_none(node: RunningNode) -> None:
    session = await node.session("ann")
    async with node.client("bob") as bob:
        await bob.join(session)
        said = (await bob.say(session, "one"))["seq"]
        change = (await edit(bob, session, said, "two"))["seq"]
        for who in (token("bob"), token("eve", AccessRole.SELLER)):
            assert (await edits(node, session, said, who)).status_code == 403
        assert (await edits(node, session, said, "nobody")).status_code == 401
        for seq in (0, 1, change, 99, 2**53 - 1):
            assert (await edits(node, session, seq, token("ann"))).status_code == 404
        for seq in (-1, 2**53, "x"):
            assert (await edits(node, session, seq, token("ann"))).status_code == 400
        assert (await edits(node, str(uuid4()), said, token("ann"))).status_code == 404


async def test_of_very_many_edits_the_last_are_listed(node: RunningNode) -> None:
    session = await node.session("ann")
    async with node.client("bob") as bob:
        await bob.join(session)
        said = (await bob.say(session, "0"))["seq"]
        for n in range(1, MAX_CHANGES + 3):
            await bob.send("chat.edit", session=session, seq=said, text=f"{n}", key=str(uuid4()))
        await bob.until_event(seq=said + MAX_CHANGES + 2)
        steps = (await edits(node, session, said, token("ann"))).json()["edits"]
        assert len(steps) == MAX_CHANGES
        assert (steps[0]["before"], steps[0]["after"]) == ("2", "3")
        assert steps[-1]["after"] == f"{MAX_CHANGES + 2}"


# The search


async def search(node: RunningNode, session: str, who: str | None = None, **query: Any) -> Any:
    return await node.request("GET", f"/v1/sessions/{session}/search", who or token("eve"), params=query)


async def test_messages_are_found_by_what_they_say_now(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob:
        await bob.join(session)
        for text in ("red coat", "blue coat", "green coat", "crème brûlée"):
            await bob.say(session, text)
        await edit(bob, session, 4, "blue shoes")
        await delete(bob, session, 5)
        reply = await search(node, session, q="coat")
        assert reply.json() == {"events": await history(bob, session, after=2, limit=1), "more": False}
        [found] = (await search(node, session, q="shoes")).json()["events"]
        assert [found] == await history(bob, session, after=3, limit=1)
        for nothing in ("green", "blue coat", "-coat -shoes -brûlée"):
            assert (await search(node, session, q=nothing)).json() == {"events": [], "more": False}
        # As people's systems compose it, or not.
        [found] = (await search(node, session, q="CRE\u0300ME")).json()["events"]
        assert found["seq"] == 6
        assert (await search(node, await node.session(), q="coat")).json()["events"] == []


async def test_what_is_found_comes_in_pages(node: RunningNode) -> None:
    session = await node.session()
    async with node.client("bob") as bob:
        await bob.join(session)
        for n in range(5):
            await bob.say(session, f"coat {n}")
        found: list[int] = []
        query: dict[str, Any] = {"q": "coat", "limit": 2}
        while True:
            page = (await search(node, session, **query)).json()
            found += [event["seq"] for event in page["events"]]
            if not page["more"]:
                break
            query["before"] = found[-1]
        assert found == [7, 6, 5, 4, 3]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"q": ""},
        {"q": "x" * 201},
        {"q": "a\0b"},
        {"q": "a", "limit": 0},
        {"q": "a", "limit": 201},
        {"q": "a", "before": 0},
        {"q": "a", "before": 2**53},
        {"q": "a", "before": "x"},
        {"q": "a", "after": 1},
    ],
)
async def test_what_cannot_be_searched_for(node: RunningNode, query: dict[str, Any]) -> None:
    reply = await search(node, await node.session(), **query)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_request")


async def test_who_can_search_what(node: RunningNode) -> None:
    session = await node.session()
    assert (await search(node, session, who="nobody", q="a")).status_code == 401
    assert (await search(node, str(uuid4()), q="a")).status_code == 404
    for q in ("x" * 200, "💥" * 200, "-a", '"', "%&\\'", "a & | ! ) ("):
        assert (await search(node, session, q=q)).status_code == 200


async def test_few_search_at_a_time(migrated: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(migrated, redis_url, searches=1, search_wait=0.2) as node:
        session = await node.session()
        begun, go_on = asyncio.Event(), asyncio.Event()
        real = node.node.log.search

        async def slow(session: str, words: str, before: int, limit: int) -> Found:
            begun.set()
            await go_on.wait()
            return await real(session, words, before, limit)

        monkeypatch.setattr(node.node.log, "search", slow)
        first = asyncio.create_task(search(node, session, q="a"))
        await begun.wait()
        began = time.monotonic()
        refused = await search(node, session, q="b")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        assert refused.headers["Retry-After"] == "1"
        assert time.monotonic() - began < 1.5
        second = asyncio.create_task(search(node, session, q="c"))
        go_on.set()
        # Whoever was waiting has its turn, and whoever comes after them.
        for reply in (await first, await second, await search(node, session, q="d")):
            assert reply.status_code == 200
