"""Inboxes over real sockets: two devices, two nodes, lost hints, lost stores, slow readers, permissions."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
import redis.asyncio

from persistence.inbox import Page
from persistence.log import Entry
from realtime.gate import Gate
from realtime.outgoing import HIGH_WATER
from realtime.protocol.codec import Format
from realtime.server import Server
from realtime.tasks import Tasks
from tests.realtime.links import Link, linked
from tests.realtime.test_two_nodes import Pair
from tests.support.nodes import Client, RunningNode, serving, token
from tests.support.relay import relayed
from tokens.access import AccessRole

SELLER, MODERATOR, ADMIN, VIEWER = AccessRole.SELLER, AccessRole.MODERATOR, AccessRole.ADMIN, AccessRole.VIEWER
NOWHERE = "unix:///nonexistent/valkey.sock"
Message = dict[str, Any]


@pytest.fixture
async def pair(migrated: str, redis_url: str) -> AsyncIterator[Pair]:
    async with serving(migrated, redis_url) as one, serving(migrated, redis_url) as two:
        yield one, two


def fresh(name: str = "bob") -> str:
    """Give a user whom no other test writes to."""
    return f"{name}-{uuid4().hex[:12]}"


async def write(client: Client, user: str, text: str = "hi", key: str | None = None) -> Message:
    """Send a direct message, and give the answer."""
    return await client.ask("direct.send", user=user, key=key or str(uuid4()), text=text)


async def fill(node: RunningNode, user: str, count: int, text: str = "hi") -> None:
    """Put entries into an inbox, in one go."""
    entries = [Entry(user, "ann", uuid4(), "direct", f'{{"text":"{text}"}}') for _ in range(count)]
    await asyncio.gather(*(node.node.mail.append(entry) for entry in entries))


def entries(client: Client) -> list[Message]:
    """Give the entries that were pushed so far."""
    return [entry for push in client.pushes if push["type"] == "inbox" for entry in push["entries"]]


def ids(client: Client) -> list[int]:
    return [entry["id"] for entry in entries(client)]


async def until_id(client: Client, upto: int, within: float = 5.0) -> Message:
    return await client.until(within, type="inbox", upto=upto)


async def settled(node: RunningNode, *users: str) -> None:
    """Wait until every connection of these users has been given what waits."""
    boxes = node.node.mailroom._boxes
    async with asyncio.timeout(5):
        while any(not boxes[user].sure or min(boxes[user].given.values()) < boxes[user].known for user in users):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.005)


async def eventually(node: RunningNode, user: str, count: int, redis_url: str) -> None:
    """Wait until the copy of an inbox has so many entries."""
    async with redis.asyncio.Redis.from_url(redis_url) as control, asyncio.timeout(5):
        while await control.xlen(f"sw:inbox:{{{user}}}") != count:  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.01)


async def test_two_devices_get_everything_live(node: RunningNode) -> None:
    bob = fresh()
    async with node.client("ann", SELLER) as ann, node.client(bob) as desk, node.client(bob) as phone:
        await settled(node, bob)
        key = str(uuid4())
        answer = await write(ann, bob, "one", key)
        assert answer.keys() == {"type", "re", "key", "at"}
        assert (answer["type"], answer["key"]) == ("ack", key)
        for n in range(2, 6):
            await write(ann, bob, f"{n}")
        for device in (desk, phone):
            await until_id(device, 5)
            assert ids(device) == [1, 2, 3, 4, 5]
            first = entries(device)[0]
            assert (first["kind"], first["by"], first["key"], first["body"]) == ("direct", "ann", key, {"text": "one"})
            assert first["at"] == answer["at"]


@pytest.mark.parametrize("fmt", Format)
async def test_who_was_away_gets_what_waits_and_then_what_comes(node: RunningNode, fmt: Format) -> None:
    bob = fresh()
    async with node.client("ann", SELLER) as ann:
        for n in range(1, 4):
            await write(ann, bob, f"{n}")
        async with node.client(bob, fmt=fmt) as back:
            push = await until_id(back, 3)
            assert [entry["body"]["text"] for entry in push["entries"]] == ["1", "2", "3"]
            assert "lost" not in push
            await write(ann, bob, "4")
            await until_id(back, 4)
            assert ids(back) == [1, 2, 3, 4]


async def test_what_is_acknowledged_is_gone_for_every_device(node: RunningNode, redis_url: str) -> None:
    bob = fresh()
    async with node.client("ann", SELLER) as ann, node.client(bob) as desk, node.client(bob) as phone:
        await settled(node, bob)
        for _ in range(3):
            await write(ann, bob)
        await asyncio.gather(until_id(desk, 3), until_id(phone, 3))
        for _ in range(2):
            answer = await desk.ask("inbox.ack", upto=2)
            assert (answer["type"], answer["seq"]) == ("ack", 2)
        async with node.client(bob) as third:
            await until_id(third, 3)
            assert ids(third) == [3]
        # A device that another one has overtaken is none the worse for it.
        assert (await phone.ask("inbox.ack", upto=1))["seq"] == 1
        await phone.ask("inbox.ack", upto=3)
        await eventually(node, bob, 0, redis_url)
        await write(ann, bob)
        for device in (desk, phone):
            await until_id(device, 4)
            assert ids(device) == [1, 2, 3, 4]
    async with node.client(bob) as back:
        await until_id(back, 4)
        assert ids(back) == [4]


async def test_an_author_is_told_once_that_a_moderator_deleted_a_message(node: RunningNode) -> None:
    session = await node.session("ann")
    async with node.client("bob") as bob, node.client("mod", AccessRole.MODERATOR) as moderator:
        await bob.join(session)
        await moderator.join(session)
        rude, regretted = [(await bob.say(session, text))["seq"] for text in ("rude", "regretted")]
        key = str(uuid4())
        for _ in range(2):
            await moderator.ask("chat.delete", session=session, seq=rude, key=key)
        await bob.ask("chat.delete", session=session, seq=regretted, key=str(uuid4()))
        await until_id(bob, 1)
        # What comes next shows that nothing came in between.
        await moderator.ask("direct.send", user="bob", key=str(uuid4()), text="please be kind")
        await until_id(bob, 2)
    notice, _ = entries(bob)
    assert (notice["kind"], notice["by"], notice["key"]) == ("notice", "mod", key)
    assert notice["body"] == {"text": "your message was deleted", "session": session, "seq": rude}


async def test_nobody_acknowledges_what_they_were_not_given(node: RunningNode) -> None:
    bob = fresh()
    await fill(node, bob, 3)
    async with node.client(bob) as client:
        await until_id(client, 3)
        assert (await client.ask("inbox.ack", upto=2**53 - 1))["seq"] == 3
        await fill(node, bob, 1)
        await until_id(client, 4)
    async with node.client(bob) as client:
        await until_id(client, 4)


async def test_nobody_reads_or_acknowledges_anothers(node: RunningNode) -> None:
    bob, eve = fresh(), fresh("eve")
    async with node.client("ann", SELLER) as ann, node.client(eve) as other, node.client(bob) as mine:
        await write(ann, bob, "for bob alone")
        await until_id(mine, 1)
        assert (await other.ask("inbox.ack", upto=1))["seq"] == 0
        refused = await other.ask("inbox.ack", upto=1, user=bob)
        assert (refused["code"], refused["message"]) == ("bad_request", "Object contains unknown field `user`")
        await write(ann, eve, "for eve")
        await until_id(other, 1)
        assert [entry["body"]["text"] for entry in entries(other)] == ["for eve"]
        assert [entry["body"]["text"] for entry in entries(mine)] == ["for bob alone"]
    async with node.client(bob) as mine:
        await until_id(mine, 1)


async def test_a_key_sent_again_is_answered_again_and_delivered_once(node: RunningNode) -> None:
    bob, key = fresh(), str(uuid4())
    async with node.client("ann", SELLER) as ann, node.client(bob) as client:
        first = await write(ann, bob, "one", key)
        await until_id(client, 1)
        await client.ask("inbox.ack", upto=1)
        again = await write(ann, bob, " one ", key)
        assert again["at"] == first["at"]
        assert (await write(ann, bob, "two", key))["code"] == "conflict"
        await write(ann, bob, "next")
        await until_id(client, 2)
        assert ids(client) == [1, 2]


@pytest.mark.parametrize(
    ("text", "code"), [(" ", "bad_request"), ("x" * 1001, "too_large"), ("\\ud800", "bad_request")]
)
async def test_texts_are_those_of_the_chat(node: RunningNode, text: str, code: str) -> None:
    bob = fresh()
    async with node.client("ann", SELLER) as ann, node.client(bob) as client:
        command = f'{{"type":"direct.send","id":9,"user":"{bob}","key":"{uuid4()}","text":"{text}"}}'
        await ann.socket.send(command)
        assert (await ann.receive())["code"] == code
        await write(ann, bob, " a\u202eb\x00 ")
        await until_id(client, 1)
        assert entries(client)[0]["body"] == {"text": "ab"}


@pytest.mark.parametrize("role", [SELLER, MODERATOR, ADMIN])
async def test_some_write_to_anyone(node: RunningNode, role: AccessRole) -> None:
    async with node.client(fresh("ann"), role) as ann:
        assert (await write(ann, fresh()))["type"] == "ack"
        assert (await write(ann, ann.user))["code"] == "forbidden"


async def test_viewers_write_to_hosts_and_to_who_wrote_first(node: RunningNode) -> None:
    host, bob, eve = fresh("host"), fresh(), fresh("eve")
    session = await node.session(host)
    async with node.client(bob) as viewer, node.client(eve, MODERATOR) as moderator:
        assert (await write(viewer, host))["code"] == "forbidden"
        assert (await write(viewer, eve))["code"] == "forbidden"
        await viewer.join(session)
        assert (await write(viewer, host))["type"] == "ack"
        assert (await write(viewer, eve))["code"] == "forbidden"
        await write(moderator, bob)
        await until_id(viewer, 1)
        await viewer.ask("inbox.ack", upto=1)
        assert (await write(viewer, eve, "an answer"))["type"] == "ack"
        await until_id(moderator, 1)
        assert (await write(viewer, fresh()))["code"] == "forbidden"
        await viewer.ask("leave", session=session)
        assert (await write(viewer, host))["code"] == "forbidden"


async def test_an_inbox_reaches_the_devices_on_both_nodes(pair: Pair) -> None:
    one, two = pair
    bob = fresh()
    async with one.client("ann", SELLER) as ann, one.client(bob) as desk, two.client(bob) as phone:
        await asyncio.gather(settled(one, bob), settled(two, bob))
        for n in range(1, 11):
            await write(ann, bob, f"{n}")
        for device in (desk, phone):
            await until_id(device, 10)
            assert ids(device) == list(range(1, 11))
        assert entries(desk) == entries(phone)
        await phone.ask("inbox.ack", upto=10)
    async with one.client(bob) as desk:
        await settled(one, bob)
        assert entries(desk) == []


async def test_writers_on_both_nodes_leave_no_hole(pair: Pair) -> None:
    one, two = pair
    bob = fresh()

    async def many(sender: Client) -> None:
        for n in range(30):
            await write(sender, bob, f"{sender.user} {n}")

    async with (
        one.client("ann", SELLER) as ann,
        two.client("eve", SELLER) as eve,
        one.client(bob) as desk,
        two.client(bob) as phone,
    ):
        await asyncio.gather(many(ann), many(eve))
        for device in (desk, phone):
            await until_id(device, 60)
            assert ids(device) == list(range(1, 61))
            for sender in (ann, eve):
                said = [e["body"]["text"] for e in entries(device) if e["by"] == sender.user]
                assert said == [f"{sender.user} {n}" for n in range(30)]
        assert entries(desk) == entries(phone)


async def test_a_lost_hint_is_noticed_and_healed(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = pair
    bob = fresh()
    async with one.client("ann", SELLER) as ann, two.client(bob) as client:
        await settled(two, bob)
        with monkeypatch.context() as patch:
            patch.setattr(one.node.feeds.hints, "publish", lambda *_: None)
            await write(ann, bob, "whispered")
        began = time.monotonic()
        # Nothing follows, so only the beat can tell.
        await until_id(client, 1)
        assert time.monotonic() - began < 2.0
        with monkeypatch.context() as patch:
            patch.setattr(one.node.feeds.hints, "publish", lambda *_: None)
            await write(ann, bob, "whispered again")
        await write(ann, bob, "aloud")
        await until_id(client, 3)
        assert ids(client) == [1, 2, 3]


async def test_everything_works_without_redis(migrated: str) -> None:
    bob = fresh()
    # While there are no hints, the faster beat is all that tells.
    never = {"head_check_ms": 60_000}
    async with serving(migrated, NOWHERE, **never) as one, serving(migrated, NOWHERE, **never) as two:
        async with one.client("ann", SELLER) as ann, two.client(bob) as client:
            await write(ann, bob, "anyone?")
            await until_id(client, 1)
            await client.ask("inbox.ack", upto=1)
            await write(ann, bob, "again")
        async with one.client(bob) as client:
            await until_id(client, 2)
            assert ids(client) == [2]


async def test_what_waits_is_read_from_redis_and_rebuilt_from_postgres(node: RunningNode, redis_url: str) -> None:
    bob = fresh()
    await fill(node, bob, 3)
    await eventually(node, bob, 3, redis_url)
    async with redis.asyncio.Redis.from_url(redis_url) as control:
        for flush in (False, True, False):
            if flush:
                await control.flushall()
            before = await reads(node)
            async with node.client(bob) as client:
                await until_id(client, 3)
                assert ids(client) == [1, 2, 3]
            after = await reads(node)
            # Only after the flush is Postgres read, and then the copy is back.
            assert (after["redis"] - before["redis"], after["postgres"] - before["postgres"]) == (
                (0, 1) if flush else (1, 0)
            )
            await eventually(node, bob, 3, redis_url)


async def reads(node: RunningNode) -> dict[str, float]:
    """Give how many pages were read from where."""
    text = (await node.request("GET", "/metrics")).text
    found = {"redis": 0.0, "postgres": 0.0}
    for line in text.splitlines():
        for source in found:
            if line.startswith(f'stagewire_inbox_reads_total{{source="{source}"}}'):
                found[source] = float(line.rpartition(" ")[2])
    return found


async def test_a_copy_that_lacks_the_newest_is_not_believed(node: RunningNode, redis_url: str) -> None:
    bob = fresh()
    await fill(node, bob, 3)
    await eventually(node, bob, 3, redis_url)
    # As if the node had crashed between its commit and the copy.
    await node.node.mail._inboxes.append([Entry(bob, "ann", uuid4(), "direct", '{"text":"4"}')])
    async with node.client(bob) as client:
        await until_id(client, 4)
        assert ids(client) == [1, 2, 3, 4]


async def test_what_waits_comes_from_redis_while_postgres_is_away(migrated: str, redis_url: str) -> None:
    bob = fresh()
    async with (
        relayed(migrated) as relay,
        serving(relay.url, redis_url, database_timeout=1.0) as node,
        node.client("ann", SELLER) as ann,
    ):
        await write(ann, bob, "one")
        await eventually(node, bob, 1, redis_url)
        # Another node's, of which the copy does not know.
        async with serving(migrated, NOWHERE) as other:
            await fill(other, bob, 1, "two")
        await relay.cut()
        refused = await write(ann, bob, "three")
        assert (refused["code"], refused["retry_after_ms"] > 0) == ("unavailable", True)
        async with node.client(bob) as client:
            await until_id(client, 1)
            assert (await client.ask("inbox.ack", upto=1))["code"] == "unavailable"
            await relay.listen()
            await until_id(client, 2)
            assert [entry["body"]["text"] for entry in entries(client)] == ["one", "two"]
            assert (await client.ask("inbox.ack", upto=2))["seq"] == 2


async def test_the_oldest_give_way_and_it_is_said_how_many(migrated: str, redis_url: str) -> None:
    bob = fresh()
    async with serving(migrated, redis_url, inbox_entries=5, inbox_page=2) as node:
        await fill(node, bob, 2)
        async with node.client(bob) as client:
            await until_id(client, 2)
            await client.ask("inbox.ack", upto=1)
        for _ in range(7):
            await fill(node, bob, 1)
        for _ in range(2):
            async with node.client(bob) as client:
                await until_id(client, 9)
                assert ids(client) == [5, 6, 7, 8, 9]
                assert [push.get("lost", 0) for push in client.pushes] == [3, 0, 0]
        async with node.client(bob) as client:
            await until_id(client, 9)
            await client.ask("inbox.ack", upto=9)
        async with node.client(bob) as client:
            await settled(node, bob)
            assert client.pushes == []


async def test_what_is_too_old_is_lost_and_that_is_said(migrated: str, redis_url: str) -> None:
    bob = fresh()
    async with serving(migrated, redis_url) as node:
        await fill(node, bob, 3)
        await node.node.mail._inboxes._postgres.rows("UPDATE inbox SET at = 0 WHERE member = $1", bob)
        await node.node.mailroom.sweep()
        async with node.client(bob) as client:
            push = await until_id(client, 3)
            assert (push["lost"], push["entries"]) == (3, [])
            assert (await client.ask("inbox.ack", upto=3))["seq"] == 3


@asynccontextmanager
async def reluctant(node: RunningNode, user: str) -> AsyncIterator[Link]:
    """Connect as one who reads only when told to, and say hello."""
    tasks = Tasks()
    server = Server(node.node, Gate(node.node.limits, node.node.settings), tasks)
    async with linked(node.node.hub, node.node.settings, Format.JSON, service=server) as [link]:
        await link.send({"type": "hello", "id": 1, "token": token(user)})
        assert (await link.receive())["type"] == "welcome"
        yield link
    await tasks.stop()


LONG = "x" * 4000
# What waits for one who does not read: what the loop buffers in peace, and two pages.
MOST = HIGH_WATER + 2 * 50 * 4300


async def read_slowly(link: Link, count: int) -> list[int]:
    """Read so many entries, slower than they are written; give their ids."""
    found: list[int] = []
    while len(found) < count:
        await asyncio.sleep(0.001)
        assert link.connection.outgoing <= MOST
        push = await link.receive()
        assert len(push["entries"]) <= 50
        found += [entry["id"] for entry in push["entries"]]
    return found


async def test_a_full_inbox_is_given_as_fast_as_it_is_read(migrated: str, redis_url: str) -> None:
    bob = fresh()
    async with serving(migrated, redis_url) as node:
        await fill(node, bob, 1000, LONG)
        async with reluctant(node, bob) as link:
            async with asyncio.timeout(5):
                while not link.connection.behind:  # noqa: ASYNC110 - nobody is told
                    await asyncio.sleep(0.01)
            assert await read_slowly(link, 1000) == list(range(1, 1001))
            await fill(node, bob, 1)
            assert (await link.receive())["upto"] == 1001


async def test_what_comes_waits_in_the_inbox_for_who_does_not_read(node: RunningNode) -> None:
    bob = fresh()
    async with node.client(bob) as quick, reluctant(node, bob) as link:
        for _ in range(8):
            await fill(node, bob, 50, LONG)
            assert link.connection.outgoing <= MOST
        assert link.connection.behind
        # A device that reads is not held up.
        await until_id(quick, 400)
        assert ids(quick) == list(range(1, 401))
        assert await read_slowly(link, 400) == list(range(1, 401))


async def test_a_node_that_stops_stores_what_it_took(migrated: str, redis_url: str) -> None:
    bob = fresh()
    async with serving(migrated, redis_url) as node, node.client("ann", SELLER) as ann:
        for n in range(20):
            await ann.send("direct.send", user=bob, key=str(uuid4()), text=f"{n}")
        await ann.ask("pong")
    async with serving(migrated, redis_url) as node, node.client(bob) as client:
        await until_id(client, 20)
        assert [entry["body"]["text"] for entry in entries(client)] == [f"{n}" for n in range(20)]


async def test_a_device_that_comes_in_the_middle_of_a_read_misses_nothing(
    migrated: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = fresh()
    async with serving(migrated, redis_url, inbox_page=2) as node:
        await fill(node, bob, 5)
        backlog = node.node.mailroom._backlog
        reading, go_on = asyncio.Event(), asyncio.Event()
        read = backlog.read

        async def late(after: dict[str, int]) -> dict[str, Page]:
            pages = await read(after)
            if after.get(bob) == 2:
                reading.set()
                await go_on.wait()
            return pages

        monkeypatch.setattr(backlog, "read", late)
        async with node.client(bob) as first:
            await reading.wait()
            async with node.client(bob) as second:
                go_on.set()
                for device in (first, second):
                    await until_id(device, 5)
                    assert ids(device) == [1, 2, 3, 4, 5]


async def test_a_first_entry_that_comes_in_the_middle_of_a_read_comes_at_once(
    migrated: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = fresh()
    # The beat would bring it, too.
    async with serving(migrated, redis_url, head_check_ms=60_000, head_check_alone_ms=60_000) as node:
        backlog = node.node.mailroom._backlog
        reading, go_on = asyncio.Event(), asyncio.Event()
        read = backlog.read

        async def late(after: dict[str, int]) -> dict[str, Page]:
            pages = await read(after)
            reading.set()
            await go_on.wait()
            return pages

        monkeypatch.setattr(backlog, "read", late)
        async with node.client(bob) as client:
            await reading.wait()
            await fill(node, bob, 1)
            go_on.set()
            await until_id(client, 1)
            assert ids(client) == [1]


async def test_hints_that_are_none_of_ours(node: RunningNode, redis_url: str) -> None:
    bob = fresh()
    async with node.client("ann", SELLER) as ann, node.client(bob) as client:
        async with redis.asyncio.Redis.from_url(redis_url) as control:
            await control.publish("sw:hints:inbox", b"\xc1")
        await write(ann, bob)
        await until_id(client, 1)
