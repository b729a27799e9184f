"""The audience as clients see it, over sockets and HTTP, on one node and on two."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.support.nodes import Client, Message, RunningNode, audience, serving, token
from tests.support.served import served

QUICK: dict[str, Any] = {"audience_ms": 50, "leave_grace": 0.4, "audience_list": 3, "playback_timeout": 0.6}
# What is told in the time of a test was told because somebody said so, and not on a beat.
UNHURRIED = {**QUICK, "lease_ms": 120_000, "lease_beat_ms": 60_000}


@pytest.fixture
async def quick(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url, **QUICK) as node:
        yield node


class Viewer:
    """A client that holds who is there, from what it is told."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.counts: dict[str, int] = {}
        self.present: list[str] | None = None
        self.history: list[list[str] | None] = []
        client.listener = self._hear

    def _hear(self, message: Message) -> None:
        if message["type"] == "joined" or message.get("kind") == "audience":
            self.counts = message["audience"]
            self._apply(message)
            self.history.append(self.present)

    def _apply(self, message: Message) -> None:
        if "present" in message:
            assert message["present"] == sorted(set(message["present"]))
            self.present = message["present"]
        elif "joined" in message and "left" in message:
            assert self.present is not None
            assert not set(message["joined"]) & set(self.present)
            assert set(message["left"]) <= set(self.present)
            self.present = sorted({*self.present, *message["joined"]} - {*message["left"]})
        else:
            self.present = None

    async def until(self, true: Callable[[], bool], within: float = 5.0) -> None:
        """Wait until what is held is as it should be."""
        async with asyncio.timeout(within):
            while not true():
                await self.client.receive(within)

    async def sees(self, *users: str, **counts: int) -> None:
        """Wait until these are there, and these counts are told."""
        await self.until(lambda: self.present == sorted(users) and counts.items() <= self.counts.items())


@asynccontextmanager
async def viewing(*places: tuple[RunningNode, str]) -> AsyncIterator[tuple[str, list[Viewer]]]:
    """Have users join a new session, each on its node."""
    session = await places[0][0].session()
    async with AsyncExitStack() as stack:
        viewers = []
        for node, user in places:
            viewers.append(Viewer(await stack.enter_async_context(node.client(user))))
            assert (await viewers[-1].client.join(session))["type"] == "joined"
        yield session, viewers


async def test_who_says_that_it_plays_is_watching(quick: RunningNode) -> None:
    async with viewing((quick, "bob"), (quick, "eve")) as (session, [bob, eve]):
        ack = await bob.client.ask("playback", session=session)
        assert ack == {"type": "ack", "re": ack["re"]}
        await eve.until(lambda: eve.counts == audience(2, 2, watching=1))
        await eve.client.send("playback", session=session, state="playing")
        await bob.until(lambda: bob.counts["watching"] == 2)


@pytest.mark.parametrize("state", ["buffering", "paused"])
async def test_who_does_not_play_is_not_watching_any_more(migrated: str, redis_url: str, state: str) -> None:
    async with (
        serving(migrated, redis_url, **{**QUICK, "playback_timeout": 600.0}) as node,
        viewing((node, "bob")) as (session, [bob]),
    ):
        await bob.client.ask("playback", session=session)
        await bob.until(lambda: bob.counts == audience(1, 1, watching=1))
        await bob.client.ask("playback", session=session, state=state)
        await bob.until(lambda: bob.counts == audience(1, 1))


async def test_a_report_is_good_for_a_while(quick: RunningNode) -> None:
    async with viewing((quick, "bob")) as (session, [bob]):
        await bob.client.ask("playback", session=session)
        for _ in range(4):
            await asyncio.sleep(QUICK["playback_timeout"] / 2)
            await bob.client.ask("playback", session=session)
        assert [push["audience"]["watching"] for push in bob.client.pushes][-1] == 1
        await bob.until(lambda: bob.counts == audience(1, 1))


async def test_two_devices_watch_as_one_until_both_stop(quick: RunningNode) -> None:
    async with viewing((quick, "bob"), (quick, "bob"), (quick, "eve")) as (session, [tv, phone, eve]):
        for device in (tv, phone):
            await device.client.ask("playback", session=session)
        await eve.until(lambda: eve.counts == audience(3, 2, watching=1))
        await phone.client.ask("leave", session=session)
        await eve.until(lambda: eve.counts == audience(2, 2, watching=1))
        await tv.client.socket.close()
        await eve.until(lambda: eve.counts == audience(1, 1))


async def test_playback_needs_a_join_and_a_state_that_there_is(quick: RunningNode) -> None:
    session = await quick.session()
    async with quick.client("bob") as bob:
        assert (await bob.ask("playback", session=session))["code"] == "forbidden"
        await bob.join(session)
        assert (await bob.ask("playback", session=session, state="stopped"))["code"] == "bad_request"


async def test_synthetic_users_are_in_none_of_the_numbers(quick: RunningNode) -> None:
    async with viewing((quick, "bob")) as (session, [bob]), quick.client("robot", synthetic=True) as robot:
        assert (await robot.join(session))["audience"]["users"] == 1
        for state in ("playing", "paused"):
            assert (await robot.ask("playback", session=session, state=state))["type"] == "ack"
        await robot.say(session, "beep")
        await bob.client.ask("playback", session=session)
        await bob.sees("bob", **audience(1, 1, watching=1))
        # What is told may be a write ahead of what Redis knows.
        await quick.node.attendance.write_all()
        page = (await quick.request("GET", f"/v1/sessions/{session}/audience", token("robot", synthetic=True))).json()
        assert page == {
            "audience": audience(1, 1, watching=1),
            "users": [{"user": "bob", "watching": True, "chatter": False}],
        }
    assert await stored(quick, session) == ["bob"]


async def stored(node: RunningNode, session: str) -> list[str]:
    """Give those who are stored as ever there, once what is known is written."""
    await node.node.watch_times.write()
    postgres = node.node.log._postgres
    rows = await postgres.rows("SELECT member FROM watch_times WHERE session = $1::uuid ORDER BY member", session)
    return [row[0] for row in rows]


async def test_chatters_are_those_who_have_posted_and_are_still_there(migrated: str, redis_url: str) -> None:
    async with (
        serving(migrated, redis_url, **UNHURRIED) as one,
        serving(migrated, redis_url, **UNHURRIED) as two,
        viewing((one, "bob"), (two, "eve"), (two, "bob")) as (session, [bob, eve, phone]),
    ):
        await phone.client.say(session, "hi")
        await eve.until(lambda: eve.counts == audience(3, 2, chatters=1))
        await phone.client.socket.close()
        # Posted on one node, and there on the other.
        await eve.until(lambda: eve.counts == audience(2, 2, chatters=1))
        await eve.client.say(session, "hi")
        await bob.until(lambda: bob.counts == audience(2, 2, chatters=2))
        await bob.client.socket.close()
        await eve.until(lambda: eve.counts == audience(1, 1, chatters=1))


async def test_who_is_there_is_told_by_name(migrated: str, redis_url: str) -> None:
    async with (
        serving(migrated, redis_url, **UNHURRIED) as one,
        serving(migrated, redis_url, **UNHURRIED) as two,
        viewing((one, "bob"), (two, "eve")) as (session, [bob, eve]),
    ):
        for viewer in (bob, eve):
            await viewer.sees("bob", "eve", users=2)
        async with two.client("zoe") as client:
            zoe = Viewer(client)
            assert (await client.join(session))["present"] == ["bob", "eve"]
            for viewer in (bob, eve, zoe):
                await viewer.sees("bob", "eve", "zoe", users=3)
        for viewer in (bob, eve):
            # The count goes down at once, the name after the grace.
            await viewer.sees("bob", "eve", "zoe", users=2)
            await viewer.sees("bob", "eve", users=2)


async def test_who_only_reconnects_has_neither_left_nor_joined(migrated: str, redis_url: str) -> None:
    async with (
        serving(migrated, redis_url, **{**UNHURRIED, "leave_grace": 600.0}) as one,
        serving(migrated, redis_url, **UNHURRIED) as two,
        viewing((one, "bob")) as (session, [bob]),
    ):
        await bob.sees("bob")
        for node in (one, two):
            async with node.client("eve") as eve:
                await eve.join(session)
                await bob.sees("bob", "eve", users=2)
            await bob.sees("bob", "eve", users=1)
        told = [push for push in bob.client.pushes if "joined" in push]
        assert [push["joined"] for push in told if push["joined"]] == [["eve"]]
        assert not any(push["left"] for push in told)


async def test_above_the_limit_only_counts_are_told(quick: RunningNode) -> None:
    async with viewing((quick, "bob"), (quick, "eve"), (quick, "zoe")) as (session, [bob, *_]):
        await bob.sees("bob", "eve", "zoe", users=3)
        async with quick.client("dan") as dan:
            await dan.join(session)
            await bob.until(lambda: bob.counts["users"] == 4)
            assert bob.present is None
            assert not {"present", "joined", "left"} & bob.client.pushes[-1].keys()
            async with quick.client("ann") as ann:
                assert "present" not in await ann.join(session)
        await bob.sees("bob", "eve", "zoe", users=3)
        assert bob.client.pushes[-1]["present"] == ["bob", "eve", "zoe"]


async def test_pages_of_who_is_there_on_all_nodes(migrated: str, redis_url: str) -> None:
    async with (
        serving(migrated, redis_url, **UNHURRIED) as one,
        serving(migrated, redis_url, **UNHURRIED) as two,
        viewing((one, "bob"), (two, "eve"), (one, "ann"), (two, "bob"), (two, "Zoe")) as (session, [bob, eve, *_]),
    ):
        await bob.client.ask("playback", session=session)
        await eve.client.say(session, "hi")
        everything = audience(5, 4, watching=1, chatters=1)
        await bob.until(lambda: bob.counts == everything)
        pages, cursor = [], ""
        while True:
            answer = await one.request("GET", f"/v1/sessions/{session}/audience?limit=2&cursor={cursor}", token("any"))
            pages.append(answer.json())
            if "cursor" not in pages[-1]:
                break
            cursor = pages[-1]["cursor"]
        assert [page["audience"] for page in pages] == [everything] * 3
        assert [tuple(user.values()) for page in pages for user in page["users"]] == [
            ("Zoe", False, False),
            ("ann", False, False),
            ("bob", True, False),
            ("eve", False, True),
        ]


async def test_what_a_page_is_refused_for(quick: RunningNode) -> None:
    session = await quick.session()
    path = f"/v1/sessions/{session}/audience"
    assert (await quick.request("GET", path)).status_code == 401
    for wrong in ("limit=0", "limit=1001", f"cursor={'x' * 65}", "page=2"):
        assert (await quick.request("GET", f"{path}?{wrong}", token("any"))).status_code == 400
    nowhere = "/v1/sessions/01932c07-3a6e-7cc0-8000-000000000001/audience"
    assert (await quick.request("GET", nowhere, token("any"))).status_code == 404
    empty = (await quick.request("GET", path, token("any"))).json()
    assert empty == {"audience": audience(0, 0), "users": []}


async def test_a_page_without_redis_is_unavailable(migrated: str) -> None:
    async with serving(migrated, "unix:///nonexistent/valkey.sock", **QUICK) as node:
        session = await node.session()
        answer = await node.request("GET", f"/v1/sessions/{session}/audience", token("any"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")


async def test_a_node_that_was_stopped_for_longer_than_its_lease_is_told_of_again(
    migrated: str, redis_url: str
) -> None:
    short = {"STAGEWIRE_LEASE_MS": "600", "STAGEWIRE_LEASE_BEAT_MS": "200", "STAGEWIRE_AUDIENCE_MS": "50"}
    with served(migrated, redis_url, **short) as stopped:
        async with (
            serving(migrated, redis_url, **UNHURRIED) as node,
            viewing((node, "bob")) as (session, [bob]),
            stopped.client("eve") as eve,
        ):
            await eve.join(session)
            await bob.sees("bob", "eve", connections=2, users=2)
            os.kill(stopped.process.pid, signal.SIGSTOP)
            try:
                # Nobody tells of a lease that lapses: whoever writes next finds out.
                while bob.counts["users"] == 2:
                    await bob.client.ask("playback", session=session)
                    await bob.client.ask("playback", session=session, state="paused")
                await bob.sees("bob", connections=1, users=1)
            finally:
                os.kill(stopped.process.pid, signal.SIGCONT)
            await bob.sees("bob", "eve", connections=2, users=2)
            eve.pushes.clear()
            await bob.client.ask("playback", session=session)
            await eve.until(kind="audience", audience=audience(2, 2, watching=1))
