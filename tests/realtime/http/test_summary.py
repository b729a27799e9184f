"""What a session comes to after its end, over HTTP."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.support.databases import query
from tests.support.nodes import RunningNode, serving, token
from tokens.access import AccessRole

VIEWER, SELLER = token("bob"), token("host", AccessRole.SELLER)


async def summary(node: RunningNode, session: str) -> Any:
    return (await node.request("GET", f"/v1/sessions/{session}/summary", VIEWER)).json()


async def move(node: RunningNode, session: str, action: str) -> dict[str, Any]:
    return dict((await node.request("POST", f"/v1/sessions/{session}/{action}", SELLER)).json())


async def settled(node: RunningNode, session: str, reactions: dict[str, int]) -> Any:
    """Give a summary once what comes late has come."""
    async with asyncio.timeout(5):
        while True:
            found = await summary(node, session)
            if found["reactions"] == reactions and found["watched_ms"]:
                return found
            await asyncio.sleep(0.02)


async def test_what_a_session_comes_to(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, reactions_save_ms=50, audience_ms=50, watch_beat=0.1) as node:
        session = await node.session()
        async with node.client("bob") as bob, node.client("eve") as eve:
            for client in (bob, eve):
                await client.join(session)
            await bob.ask("playback", session=session, state="playing")
            await bob.say(session, "one")
            deleted = await eve.say(session, "two")
            await eve.ask("chat.delete", session=session, seq=deleted["seq"], key=str(uuid4()))
            await bob.say(session, "three")
            for kind in ("heart", "heart", "fire"):
                await bob.ask("react", session=session, kind=kind)
            await move(node, session, "pause")
            await asyncio.sleep(0.2)
            await move(node, session, "resume")
            refused = (await summary(node, session))["error"]
            assert (refused["code"], refused["state"]) == ("conflict", "live")
            ended = await move(node, session, "end")
        found = await settled(node, session, {"heart": 2, "fire": 1})
        duration = ended["ended_at"] - ended["started_at"]
        media, watched, peak_at = (found.pop(name) for name in ("media_ms", "watched_ms", "peak_at"))
        spans = found.pop("spans")
        assert [span["state"] for span in spans] == ["scheduled", "live", "paused", "live"]
        assert media == sum(span["ended"] - span["began"] for span in spans if span["state"] == "live")
        assert found == {
            "session": session,
            "ended_at": ended["ended_at"],
            "duration_ms": duration,
            "messages": 3,
            "chatters": 2,
            "reactions": {"heart": 2, "fire": 1},
            "users": 2,
            "peak": 2,
        }
        assert ended["started_at"] <= peak_at <= ended["ended_at"]
        assert 0 < watched <= duration
        # The pause does not count.
        assert 0 < media <= duration - 200


async def test_what_was_said_is_counted_at_the_end_unasked(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url) as node:
        session = await node.session()
        await move(node, session, "end")
        async with asyncio.timeout(5):
            counted = f"SELECT messages FROM log_totals WHERE session = '{session}'"
            while (messages := await asyncio.to_thread(query, migrated, counted)) is None:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.02)
        assert messages == 0


async def test_a_session_that_never_started_lasted_for_no_time(node: RunningNode) -> None:
    session = await node.session(live=False)
    await move(node, session, "end")
    found = await summary(node, session)
    assert (found["duration_ms"], found["media_ms"], found["messages"], found["reactions"]) == (0, 0, 0, {})
    assert (found["users"], found["peak"], found["watched_ms"]) == (0, 0, 0)


@pytest.mark.parametrize("session", ["01932c07-3a6e-7cc0-8000-000000000001"])
async def test_of_what_does_not_exist_there_is_no_summary(node: RunningNode, session: str) -> None:
    assert (await summary(node, session))["error"]["code"] == "not_found"
