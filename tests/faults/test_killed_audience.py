"""A node dies with a thousand viewers: they are gone from the audience within 16 seconds, and nobody else is."""

import asyncio
import time
from contextlib import AsyncExitStack

from tests.support.nodes import Client, Target, audience, serving
from tests.support.served import served

VIEWERS = 1000
# How many connect at the same time.
ABREAST = 50
WITHIN = 16.0


async def _watch(stack: AsyncExitStack, node: Target, user: str, session: str) -> Client:
    client = await stack.enter_async_context(node.client(user))
    await client.join(session)
    await client.send("playback", session=session)
    return client


async def test_the_viewers_of_a_killed_node_are_gone_in_time(migrated: str, redis_url: str) -> None:
    with served(migrated, redis_url) as killed:
        async with serving(migrated, redis_url) as alive, AsyncExitStack() as stack:
            session = await alive.session()
            bob, eve = [await _watch(stack, alive, user, session) for user in ("bob", "eve")]
            await eve.say(session, "hi")
            for first in range(0, VIEWERS, ABREAST):
                users = [f"u{n}" for n in range(first, first + ABREAST)]
                await asyncio.gather(*(_watch(stack, killed, user, session) for user in users))
            # bob has a device there, too.
            await _watch(stack, killed, "bob", session)
            everyone = audience(VIEWERS + 3, VIEWERS + 2, watching=VIEWERS + 2, chatters=1)
            await bob.until(kind="audience", audience=everyone, within=WITHIN)
            # What was told as they came must not count as told later.
            bob.pushes.clear()
            killed.process.kill()
            began = time.monotonic()
            left = await bob.until(kind="audience", audience=audience(2, 2, watching=2, chatters=1), within=WITHIN)
            assert time.monotonic() - began < WITHIN
            # There are few enough for a list again.
            assert left["present"] == ["bob", "eve"]
            # All at once: nobody is told a number that never was.
            assert [push["audience"]["users"] for push in bob.pushes if push.get("kind") == "audience"] == [2]
