"""Redis goes away in the middle: chat goes on between nodes, each counts its own, and all of it mends itself."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.nodes import Client, RunningNode, audience, serving
from tests.support.relay import Relay, relayed

QUICK = {"lease_ms": 900, "lease_beat_ms": 300, "audience_ms": 100, "redis_timeout": 0.5}
EVERYONE = audience(3, 2)


@asynccontextmanager
async def scene(url: str, relay: Relay) -> AsyncIterator[tuple[RunningNode, RunningNode, str, Client, Client]]:
    """Two nodes with a session between them: bob on one of them, and on both eve."""
    async with serving(url, relay.url, **QUICK) as one, serving(url, relay.url, **QUICK) as two:
        session = await one.session()
        async with one.client("bob") as bob, two.client("eve") as eve, one.client("eve") as phone:
            for client in (bob, eve, phone):
                await client.join(session)
            await bob.until(kind="audience", audience=EVERYONE)
            await eve.until(kind="audience", audience=EVERYONE)
            yield one, two, session, bob, eve


async def _talk(session: str, speaker: Client, listener: Client, text: str) -> tuple[float, float]:
    """Say something; give the seconds to its acknowledgement, and to its arrival."""
    began = time.monotonic()
    ack = await speaker.say(session, text)
    assert ack["type"] == "ack", ack
    acked = time.monotonic() - began
    await listener.until_event(seq=ack["seq"], by=speaker.user)
    return acked, time.monotonic() - began


@pytest.mark.parametrize("how", ["cut", "frozen"])
async def test_chat_goes_on_between_nodes_and_counts_are_each_nodes_own(
    migrated: str, redis_url: str, how: str
) -> None:
    async with relayed(redis_url) as relay, scene(migrated, relay) as (one, two, session, bob, eve):
        for client in (bob, eve):
            client.pushes.clear()
        if how == "cut":
            await relay.cut()
        else:
            relay.freeze()
        for n in range(2):
            for speaker, listener in ((bob, eve), (eve, bob)):
                acked, arrived = await _talk(session, speaker, listener, f"{speaker.user} {n}")
                # Acknowledged as fast as ever; there by the check of the heads.
                assert acked < 0.5
                assert arrived < 2.0
        await bob.until(kind="audience", audience=audience(2, 2, chatters=2))
        await eve.until(kind="audience", audience=audience(1, 1, chatters=1))
        for node in (one, two):
            assert (await node.request("GET", "/readyz")).json()["checks"] == {
                "postgres": "ok",
                "redis": "unavailable",
                "draining": "ok",
            }
        if how == "cut":
            await relay.listen()
        else:
            relay.thaw()
        for client in (bob, eve):
            client.pushes = [push for push in client.pushes if push.get("kind") != "audience"]
            await client.until(kind="audience", audience={**EVERYONE, "chatters": 2})
        hints = two.node.feeds.hints
        received = hints.received
        async with asyncio.timeout(10):
            while hints.received == received:
                await _talk(session, bob, eve, "and back")
        seqs = [event["seq"] for event in eve.events()]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
