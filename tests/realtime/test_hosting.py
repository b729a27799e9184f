"""Hosts who vanish and come back, devices that take over, and limits in time; on real nodes and their stores."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from persistence.postgres import Postgres
from realtime.feed import Feed
from tests.persistence.conftest import opened
from tests.support.nodes import Client, Message, RunningNode, serving, token
from tests.support.waiting import until
from tokens.access import AccessRole

SELLER = AccessRole.SELLER
# As short as a test needs them, long enough for a machine that is busy.
QUICK = {"host_grace": 0.3, "host_window": 30.0, "timer_ms": 50, "lease_ms": 3000, "lease_beat_ms": 200}


@asynccontextmanager
async def two_nodes(migrated: str, redis_url: str, **overrides: Any) -> AsyncIterator[tuple[RunningNode, RunningNode]]:
    settings = {**QUICK, **overrides}
    async with serving(migrated, redis_url, **settings) as one, serving(migrated, redis_url, **settings) as two:
        yield one, two


async def state(client: Client, session: str, *states: str) -> list[Message]:
    """Wait for the events that lead through these states; give them."""
    return [
        await client.until_event(session=session, **await _like(client, session, name, number))
        for number, name in enumerate(states)
    ]


async def _like(client: Client, session: str, name: str, number: int) -> Message:
    turns: list[Message] = []
    while len(turns) <= number:
        turns = [
            event for event in client.events() if event["session"] == session and event["kind"].startswith("session.")
        ]
        if len(turns) <= number:
            await client.receive()
    assert turns[number]["body"]["state"] == name
    return {"seq": turns[number]["seq"]}


async def test_a_host_who_vanishes_interrupts_the_session_and_goes_on_by_coming_back(
    migrated: str, redis_url: str
) -> None:
    async with two_nodes(migrated, redis_url) as (one, two):
        session = await one.session("ann")
        async with two.client("bob") as bob:
            await bob.join(session)
            async with one.client("ann", SELLER) as ann:
                joined = await ann.join(session)
                assert joined["hosting"] is True
            [gone] = await state(bob, session, "interrupted")
            assert (gone["kind"], gone["by"]) == ("session.interrupted", "@server")
            assert gone["body"]["reason"] == "host_lost"
            assert gone["body"]["ends_at"] == gone["at"] + 30_000
            async with two.client("ann", SELLER) as ann:
                joined = await ann.join(session)
                assert (joined["session"]["state"], joined["hosting"]) == ("live", True)
                [_, back] = await state(bob, session, "interrupted", "live")
                assert (back["kind"], back["by"], back["body"]["reason"]) == ("session.resumed", "ann", "host_returned")
                # The session's clock stood still meanwhile.
                assert back["media_ms"] == gone["media_ms"]
                assert (await ann.ask("session.pause", session=session))["type"] == "ack"


async def test_a_paused_session_is_paused_again_when_its_host_is_back(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url) as (one, two):
        session = await one.session("ann")
        async with two.client("bob") as bob:
            await bob.join(session)
            async with one.client("ann", SELLER) as ann:
                assert (await ann.ask("session.pause", session=session))["type"] == "ack"
            await state(bob, session, "paused", "interrupted")
            async with two.client("ann", SELLER) as ann:
                assert (await ann.join(session))["session"]["state"] == "paused"
                assert (await ann.ask("session.resume", session=session))["type"] == "ack"
                await state(bob, session, "paused", "interrupted", "paused", "live")


async def test_a_host_who_is_back_within_the_grace_interrupts_nothing(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url, host_grace=3.0) as (one, two):
        session = await one.session("ann")
        for node in (one, two, one):
            async with node.client("ann", SELLER) as ann:
                await ann.join(session)
        async with two.client("ann", SELLER) as ann:
            await ann.join(session)
            assert (await ann.ask("session.end", session=session))["type"] == "ack"
        events = (await one.request("GET", f"/v1/sessions/{session}/events", token("bob"))).json()["events"]
        kinds = [event["kind"] for event in events]
        assert kinds == ["session.created", "session.started", "session.ended"]


async def test_a_host_who_is_gone_before_having_joined_is_missed(
    migrated: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_nodes(migrated, redis_url) as (one, two):
        session = await one.session("ann")
        opening, gone = asyncio.Event(), asyncio.Event()
        really = one.node.feeds.open

        async def late(wanted: str) -> Feed:
            opening.set()
            await gone.wait()
            return await really(wanted)

        monkeypatch.setattr(one.node.feeds, "open", late)
        async with two.client("bob") as bob:
            await bob.join(session)
            async with one.client("ann", SELLER) as ann:
                await ann.send("join", session=session)
                await opening.wait()
            gone.set()
            await state(bob, session, "interrupted")
            assert len(one.node.hosting) == 0


@pytest.mark.parametrize("action", ["resume", "end"])
async def test_a_host_may_come_back_with_a_command(migrated: str, redis_url: str, action: str) -> None:
    # So often, that the beat would nearly always be faster than the command.
    async with two_nodes(migrated, redis_url, lease_beat_ms=1) as (one, two):
        session = await one.session("ann")
        async with two.client("bob") as bob:
            await bob.join(session)
            async with one.client("ann", SELLER) as ann:
                await ann.join(session)
            await state(bob, session, "interrupted")
            async with two.client("ann", SELLER) as ann:
                assert (await ann.ask(f"session.{action}", session=session))["type"] == "ack"
                await state(bob, session, "interrupted", "live" if action == "resume" else "ended")


async def test_a_host_who_stays_away_ends_the_session(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url, host_window=0.5) as (one, two):
        session = await one.session("ann")
        async with two.client("bob") as bob:
            await bob.join(session)
            async with one.client("ann", SELLER) as ann:
                await ann.join(session)
            [interrupted, ended] = await state(bob, session, "interrupted", "ended")
            assert (ended["by"], ended["body"]["reason"]) == ("@server", "host_away")
            assert 500 <= ended["at"] - interrupted["at"] < 2500


async def test_a_session_that_is_run_over_http_alone_is_never_interrupted(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url) as (one, _):
        session = await one.session("ann", live=False)
        # A host was there, long before the start.
        async with one.client("ann", SELLER) as ann:
            await ann.join(session)
        await hosts_gone(migrated, session)
        await one.request("POST", f"/v1/sessions/{session}/start", token("ann", SELLER))
        async with opened(migrated) as postgres:
            assert "lost" not in await timers(postgres, session)


async def test_a_cohost_keeps_a_session_going_from_being_named_on(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url) as (one, two):
        session = await one.session("ann")
        async with two.client("bob") as bob, two.client("carol") as carol:
            await bob.join(session)
            assert "hosting" not in await carol.join(session)
            async with one.client("ann", SELLER) as ann:
                await ann.join(session)
                await ann.ask("session.role", session=session, user="carol", role="cohost")
                named = await bob.until_event(kind="session.role")
                assert named["body"]["user"] == "carol"
                await hosts_come(migrated, session, 2)
            await hosts_gone(migrated, session, left=1)
            assert (await carol.ask("session.pause", session=session))["type"] == "ack"
            await bob.until_event(kind="session.paused")
            assert [event["kind"] for event in bob.events()] == ["session.role", "session.paused"]
            async with one.client("carol") as again:
                assert "hosting" not in await again.join(session)
            # Who is a viewer again keeps nothing going.
            await one.request(
                "PUT", f"/v1/sessions/{session}/members/carol", token("ann", SELLER), json={"role": "viewer"}
            )
            event = await bob.until_event(kind="session.interrupted")
            assert event["body"]["reason"] == "host_lost"


async def test_a_host_who_leaves_the_video_channel(migrated: str, redis_url: str) -> None:
    """Agora says so; the socket is there all the while."""
    async with two_nodes(migrated, redis_url) as (one, two):
        session = await one.session("ann")
        async with two.client("bob") as bob, one.client("ann", SELLER) as ann:
            await bob.join(session)
            await ann.join(session)
            await two.node.hosting.left_channel(session)
            event = await bob.until_event(kind="session.interrupted")
            assert event["body"]["reason"] == "host_left_channel"
            # Renewals say nothing of the channel.
            await one.node.hosting.renew()
            view = (await one.request("GET", f"/v1/sessions/{session}", token("bob"))).json()
            assert view["state"] == "interrupted"
            await two.node.hosting.joined_channel(session, "ann")
            event = await bob.until_event(kind="session.resumed")
            assert (event["by"], event["body"]["state"]) == ("ann", "live")


async def test_a_host_who_is_back_in_the_channel_within_the_grace(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url, host_grace=2.0) as (one, two), opened(migrated) as postgres:
        session = await one.session("ann")
        await two.node.hosting.left_channel(session)
        assert "video" in await timers(postgres, session)
        await one.node.hosting.joined_channel(session, "ann")
        assert "video" not in await timers(postgres, session)
        await one.node.hosting.left_channel(session)
        await one.request("POST", f"/v1/sessions/{session}/pause", token("ann", SELLER))
        assert "video" not in await timers(postgres, session)


async def test_nothing_is_kept_of_ended_sessions_that_a_host_has_run_without_joining(
    migrated: str, redis_url: str
) -> None:
    async with two_nodes(migrated, redis_url) as (one, two), one.client("ann", SELLER) as ann:
        for ender in (one, two):
            session = await one.session("ann", live=False)
            assert (await ann.ask("session.start", session=session))["type"] == "ack"
            assert len(one.node.hosting) == 1
            await ender.request("POST", f"/v1/sessions/{session}/end", token("ann", SELLER))
            await until(lambda: not len(one.node.hosting), within=5)


async def test_an_admin_who_watches_does_not_keep_a_session_going(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url) as (one, _):
        session = await one.session("ann")
        async with one.client("root", AccessRole.ADMIN) as root:
            assert "hosting" not in await root.join(session)
            async with one.client("ann", SELLER) as ann:
                await ann.join(session)
            await state(root, session, "interrupted")


async def test_another_device_takes_over_explicitly_and_the_first_is_sent_away(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url) as (one, two):
        session = await one.session("ann")
        async with one.client("ann", SELLER) as first, two.client("ann", SELLER) as second:
            assert (await first.join(session))["hosting"] is True
            assert (await second.join(session))["hosting"] is False
            refused = await second.ask("session.pause", session=session)
            assert (refused["code"], refused["message"]) == (
                "conflict",
                "another device hosts this session: take over first",
            )
            key = str(uuid4())
            taken = await second.ask("session.takeover", session=session, key=key)
            assert (taken["type"], taken["key"]) == ("ack", key)
            event = await second.until_event(seq=taken["seq"])
            assert (event["kind"], event["by"], event["key"]) == ("session.taken_over", "ann", key)
            assert event["body"]["term"] == 2
            assert await close_code(first) == 4409
            # Again, by who has it already: nothing is left to be done.
            assert (await second.ask("session.takeover", session=session))["type"] == "ack"
            assert (await second.ask("session.pause", session=session))["type"] == "ack"
            # And the first may come back, as one that does not run the session.
            async with one.client("ann", SELLER) as again:
                assert (await again.join(session))["hosting"] is False


async def test_every_takeover_has_a_key_of_its_own(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url) as (one, two):
        session = await one.session("ann")
        async with one.client("ann", SELLER) as first, two.client("ann", SELLER) as second:
            await first.join(session)
            key = str(uuid4())
            assert (await second.ask("session.takeover", session=session, key=key))["type"] == "ack"
            async with one.client("ann", SELLER) as third:
                refused = await third.ask("session.takeover", session=session, key=key)
                assert (refused["code"], refused["message"]) == ("conflict", "this key was used before")
                assert (await second.ask("session.pause", session=session))["type"] == "ack"
                assert (await third.ask("session.takeover", session=session, key=str(uuid4())))["type"] == "ack"


async def test_a_command_of_an_old_term_is_refused(migrated: str, redis_url: str) -> None:
    """The first device has heard nothing of the takeover, because its node has not either."""
    async with two_nodes(migrated, redis_url) as (one, two):
        session = await one.session("ann")
        async with one.client("ann", SELLER) as first, two.client("ann", SELLER) as second:
            # Without a join this node does not follow the session, so only Postgres tells it.
            assert (await first.ask("session.pause", session=session))["type"] == "ack"
            assert (await second.ask("session.takeover", session=session))["type"] == "ack"
            assert (await first.ask("session.resume", session=session))["code"] == "conflict"
            assert await close_code(first) == 4409
            view = (await two.request("GET", f"/v1/sessions/{session}", token("ann"))).json()
            assert view["state"] == "paused"


async def test_the_same_device_comes_back_without_asking(migrated: str, redis_url: str) -> None:
    """Its old connection hangs, and nobody has noticed yet."""
    async with two_nodes(migrated, redis_url) as (one, two):
        session = await one.session("ann")
        async with one.client("ann", SELLER, device="phone") as old, two.client("ann", SELLER, device="phone") as new:
            assert (await old.join(session))["hosting"] is True
            assert (await new.join(session))["hosting"] is True
            assert await close_code(old) == 4409
            assert (await new.ask("session.pause", session=session))["type"] == "ack"


async def test_nobody_but_the_host_takes_a_session_over(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url) as (one, _):
        session = await one.session("ann")
        for user, role in (("bob", SELLER), ("root", AccessRole.ADMIN), ("eve", AccessRole.VIEWER)):
            async with one.client(user, role) as client:
                assert (await client.ask("session.takeover", session=session))["code"] == "forbidden"
        async with one.client("ann", SELLER) as ann:
            assert (await ann.ask("session.takeover", session=str(uuid4())))["code"] == "not_found"
            await ann.ask("session.end", session=session)
            refused = await ann.ask("session.takeover", session=session)
            assert (refused["code"], refused["state"]) == ("conflict", "ended")


async def test_a_second_device_keeps_the_session_going_and_runs_it_once_the_first_is_gone(
    migrated: str, redis_url: str
) -> None:
    async with two_nodes(migrated, redis_url) as (one, two):
        session = await one.session("ann")
        async with two.client("ann", SELLER) as second:
            async with one.client("ann", SELLER) as first:
                await first.join(session)
                await second.join(session)
            await hosts_gone(migrated, session, left=1)
            assert (await second.ask("session.pause", session=session))["type"] == "ack"


LIMITS = [
    ("scheduled", {"scheduled_limit": 0.5}, [], "never_started"),
    ("paused", {"paused_limit": 0.5}, ["start", "pause"], "paused_too_long"),
    ("longest", {"longest_limit": 0.5}, ["start"], "too_long"),
    ("longest", {"longest_limit": 0.5}, ["start", "pause"], "too_long"),
    ("empty", {"empty_limit": 0.5}, ["start"], "nobody_there"),
]


@pytest.mark.parametrize(("kind", "limits", "actions", "reason"), LIMITS)
async def test_a_session_that_takes_too_long_ends(
    migrated: str, redis_url: str, kind: str, limits: dict[str, float], actions: list[str], reason: str
) -> None:
    async with two_nodes(migrated, redis_url, **limits) as (one, _), opened(migrated) as postgres:
        session = await one.session("ann", live=False)
        for action in actions:
            await one.request("POST", f"/v1/sessions/{session}/{action}", token("ann", SELLER))
        assert kind in await timers(postgres, session)
        async with one.client("ann", SELLER) as ann:
            joined = await ann.join(session)
            if joined["session"]["state"] != "ended":
                while not any(event["kind"] == "session.ended" for event in ann.events()):
                    await ann.receive()
        view = (await one.request("GET", f"/v1/sessions/{session}", token("ann"))).json()
        assert (view["state"], view["reason"]) == ("ended", reason)
        assert await timers(postgres, session) == {}
        assert await postgres.rows("SELECT FROM hosts WHERE session = $1", session) == []


async def test_a_session_has_limits_of_its_own_which_may_change_while_it_runs(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url) as (one, two), opened(migrated) as postgres:
        seller = token("ann", SELLER)
        body = {"title": "A show", "limits": {"scheduled": 60_000, "longest": 0}}
        made = (await one.request("POST", "/v1/sessions", seller, json=body)).json()
        session = made["id"]
        assert made["settings"]["limits"] == body["limits"]
        assert made["ends_at"] == made["created_at"] + 60_000
        await one.request("POST", f"/v1/sessions/{session}/start", seller)
        assert "longest" not in await timers(postgres, session)
        async with two.client("bob") as bob:
            await bob.join(session)
            path = f"/v1/sessions/{session}"
            view = (await two.request("PATCH", path, seller, json={"limits": {"longest": 90_000}})).json()
            assert view["ends_at"] == view["started_at"] + 90_000
            assert (await bob.until_event(kind="session.updated"))["body"]["ends_at"] == view["ends_at"]
            # What is not given is the server's again; and so is all, where nothing is.
            assert await timers(postgres, session) == {
                "longest": view["ends_at"],
                "empty": (await timers(postgres, session))["empty"],
            }
            view = (await one.request("PATCH", path, seller, json={"limits": None})).json()
            assert "limits" not in view["settings"]
            assert view["ends_at"] == view["started_at"] + 12 * 3_600_000
            # A limit that is over by now ends it.
            await one.request("PATCH", path, seller, json={"limits": {"longest": 1}})
            event = await bob.until_event(kind="session.ended")
            assert event["body"]["reason"] == "too_long"


async def test_the_grace_of_one_session(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url, host_grace=60.0) as (one, two):
        session = await one.session("ann")
        async with two.client("bob") as bob:
            await bob.join(session)
            async with one.client("ann", SELLER) as ann:
                await ann.join(session)
                reply = await ann.ask("session.update", session=session, limits={"grace": 0, "away": 300})
                assert reply["type"] == "ack"
            event = await bob.until_event(kind="session.interrupted")
            assert event["body"]["ends_at"] == event["at"] + 300
            await bob.until_event(kind="session.ended")


async def test_a_session_with_a_viewer_is_not_empty(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url, empty_limit=1.0) as (one, two), opened(migrated) as postgres:
        session = await one.session("ann")
        async with two.client("bob") as bob:
            await bob.join(session)
            before = (await timers(postgres, session))["empty"]
            async with asyncio.timeout(5):
                while (await timers(postgres, session))["empty"] < before + 1500:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.05)
        # And it is, once the viewer has gone.
        async with one.client("ann", SELLER) as ann:
            await ann.join(session)
            [ended] = await state(ann, session, "ended")
            assert ended["body"]["reason"] == "nobody_there"


async def test_what_was_due_while_everything_was_down_is_done_at_once(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url, paused_limit=0.5, host_grace=5.0) as (one, _):
        paused = await one.session("ann")
        await one.request("POST", f"/v1/sessions/{paused}/pause", token("ann", SELLER))
        hosted = await one.session("ann")
        async with one.client("ann", SELLER) as ann:
            await ann.join(hosted)
    async with opened(migrated) as postgres:
        # Ten minutes later, for Postgres.
        await postgres.rows("UPDATE pulse SET at = at - 600000")
        await postgres.rows("UPDATE timers SET due = due - 600000")
        await postgres.rows("UPDATE hosts SET until = until - 600000")
    async with serving(migrated, redis_url, **QUICK) as node, node.client("bob") as bob:
        joined = await bob.join(paused)
        if joined["session"]["state"] != "ended":
            [ended] = await state(bob, paused, "ended")
            assert ended["body"]["reason"] == "paused_too_long"
        # A host could not come back while nobody served, and has a lease and the grace to do so now.
        assert (await bob.join(hosted))["session"]["state"] == "live"
        async with node.client("ann", SELLER) as ann:
            await ann.join(hosted)
            view = (await node.request("GET", f"/v1/sessions/{hosted}", token("bob"))).json()
            assert view["state"] == "live"


async def test_transitions_are_done_once_for_each_key(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url) as (one, two):
        session = await one.session("ann", live=False)
        async with one.client("ann", SELLER) as ann:
            key = str(uuid4())
            first = await ann.ask("session.start", session=session, key=key, reason="  here   we go ")
            again = await ann.ask("session.start", session=session, key=key)
            assert (first["seq"], first["key"]) == (again["seq"], key) == (2, key)
            assert (await ann.ask("session.pause", session=session, key=key))["code"] == "conflict"
            await ann.ask("session.end", session=session)
            late = await ann.ask("session.start", session=session, key=key)
            assert late["seq"] == first["seq"]
        over_http = await two.request("POST", f"/v1/sessions/{session}/start", token("ann", SELLER), json={"key": key})
        assert (over_http.status_code, over_http.json()["state"]) == (200, "ended")
        [_, started, _] = (await one.request("GET", f"/v1/sessions/{session}/events", token("bob"))).json()["events"]
        assert (started["body"]["reason"], started["key"], started["by"]) == ("here   we go", key, "ann")


async def test_another_device_gets_the_answer_to_what_the_first_has_done(migrated: str, redis_url: str) -> None:
    """Its reply was lost with the connection, of which nobody knows yet that it is dead."""
    async with two_nodes(migrated, redis_url) as (one, two):
        session = await one.session("ann")
        async with one.client("ann", SELLER) as first, two.client("ann", SELLER) as second:
            key = str(uuid4())
            done = await first.ask("session.pause", session=session, key=key)
            again = await second.ask("session.pause", session=session, key=key)
            assert (again["type"], again["seq"], again["at"], again["key"]) == ("ack", done["seq"], done["at"], key)
            refused = await second.ask("session.resume", session=session, key=key)
            assert (refused["code"], refused["message"]) == ("conflict", "this key was used for something else")
            refused = await second.ask("session.resume", session=session, key=str(uuid4()))
            assert "another device" in refused["message"]


async def test_a_session_is_created_once_for_each_key(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url) as (one, two):
        seller, key = token("ann", SELLER), str(uuid4())
        made = [
            (await node.request("POST", "/v1/sessions", seller, json={"title": "A show", "key": key})).json()
            for node in (one, two)
        ]
        assert made[0] == made[1]
        other = await one.request("POST", "/v1/sessions", seller, json={"title": "Another", "key": key})
        assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")
        async with two.client("ann", SELLER) as ann:
            again = await ann.ask("session.create", title="A show", key=key)
            assert again["session"] == made[0]


async def test_the_sessions_clock_counts_what_was_live(migrated: str, redis_url: str) -> None:
    async with two_nodes(migrated, redis_url) as (one, two):
        session = await one.session("ann", live=False)
        async with one.client("ann", SELLER) as ann, two.client("bob") as bob:
            await bob.join(session)
            await ann.join(session)
            before = await bob.say(session, "too early")
            assert (await ann.until_event(seq=before["seq"]))["media_ms"] == 0
            await ann.ask("session.start", session=session)
            await asyncio.sleep(0.05)
            await bob.say(session, "first")
            await ann.ask("session.pause", session=session)
            await asyncio.sleep(0.05)
            await bob.say(session, "in the break")
            await ann.ask("session.resume", session=session)
            last = await bob.say(session, "second")
            await bob.until_event(seq=last["seq"])
            started, first, paused, within, resumed, second = bob.events()[1:]
            assert started["media_ms"] == 0
            assert first["media_ms"] == first["at"] - started["at"] >= 50
            assert paused["media_ms"] == within["media_ms"] == resumed["media_ms"] == paused["at"] - started["at"]
            assert second["media_ms"] == paused["media_ms"] + second["at"] - resumed["at"]
            # Read again, from Postgres and from memory, it is the same.
            stored = (await one.request("GET", f"/v1/sessions/{session}/events", token("bob"))).json()["events"]
            held = (await bob.ask("history", session=session))["events"]
            assert stored == held
            assert stored[2:] == [event for event in bob.events() if event["seq"] > 2]
            view = (await two.request("GET", f"/v1/sessions/{session}", token("bob"))).json()
            assert view["media"] == {"ms": resumed["media_ms"], "at": resumed["at"], "running": True}


async def close_code(client: Client) -> int | None:
    async with asyncio.timeout(5):
        await client.socket.wait_closed()
    return client.socket.close_code


async def timers(postgres: Postgres, session: str) -> dict[str, int]:
    rows = await postgres.rows("SELECT kind, due FROM timers WHERE session = $1", session)
    return {row["kind"]: row["due"] for row in rows}


async def hosts_come(database_url: str, session: str, count: int) -> None:
    """Wait until so many hosts count."""
    async with opened(database_url) as postgres, asyncio.timeout(5):
        query = "SELECT FROM hosts WHERE session = $1 AND until > now_ms()"
        while len(await postgres.rows(query, session)) < count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


async def hosts_gone(database_url: str, session: str, *, left: int = 0) -> None:
    """Wait until no more hosts than these count."""
    async with opened(database_url) as postgres, asyncio.timeout(5):
        query = "SELECT FROM hosts WHERE session = $1 AND until > now_ms()"
        while len(await postgres.rows(query, session)) > left:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.02)
