"""Reactions, over sockets: counted over all nodes, told in bursts, and kept in Postgres."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest

from persistence.postgres import PoolSettings, Postgres
from persistence.reactions import ReactionTotals
from tests.support.nodes import Client, RunningNode, serving
from tests.support.relay import relayed

SOON = {"reactions_ms": 200, "reactions_save_ms": 100}
Pair = tuple[RunningNode, RunningNode]


@pytest.fixture
async def pair(migrated: str, redis_url: str) -> AsyncIterator[Pair]:
    async with serving(migrated, redis_url, **SOON) as one, serving(migrated, redis_url, **SOON) as two:
        yield one, two


async def totals(database_url: str, session: str) -> dict[str, int]:
    """Give the totals as they are stored."""
    postgres = Postgres(PoolSettings(database_url, 1))
    await postgres.open()
    try:
        return await ReactionTotals(postgres, "nobody").of(session)
    finally:
        await postgres.close()


async def reaches(database_url: str, session: str, expected: dict[str, int]) -> None:
    """Wait until the totals are these."""
    async with asyncio.timeout(5):
        while await totals(database_url, session) != expected:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


class Onlooker:
    """Counts what a client is told, and when."""

    def __init__(self, client: Client, session: str) -> None:
        self.client = client
        self.session = session
        self.counts: Counter[str] = Counter()
        self.bursts: list[float] = []

    async def until(self, expected: dict[str, int]) -> None:
        while self.counts != expected:
            push = await self.client.receive()
            if push.get("kind") == "reactions":
                assert push["session"] == self.session
                self.counts.update(push["counts"])
                self.bursts.append(time.monotonic())


async def react(client: Client, session: str, kinds: Sequence[str]) -> None:
    for kind in kinds:
        await client.send("react", session=session, kind=kind)


async def test_reactions_are_told_in_bursts_on_every_node_and_kept(migrated: str, pair: Pair) -> None:
    one, two = pair
    session = await one.session()
    async with one.client("bob") as bob, two.client("ann") as ann, two.client("eve") as eve:
        for client in (bob, ann, eve):
            await client.join(session)
        began = time.monotonic()
        for _ in range(10):
            await asyncio.gather(react(bob, session, ["heart"] * 10), react(ann, session, ["heart", "fire"] * 5))
            await asyncio.sleep(0.05)
        expected = {"heart": 150, "fire": 50}
        for client in (bob, ann, eve):
            onlooker = Onlooker(client, session)
            await onlooker.until(expected)
            assert len(onlooker.bursts) <= (time.monotonic() - began) / 0.2 + 1
        await reaches(migrated, session, expected)


async def test_what_a_reaction_needs(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **SOON, reaction_kinds=2) as node:
        session = await node.session()
        async with node.client("bob") as bob, node.client("host") as host:
            assert (await bob.ask("react", session=session, kind="heart"))["code"] == "forbidden"
            await bob.join(session)
            for kind, code in (
                ("heart", None),
                ("fire", None),
                ("heart", None),
                ("clap", "conflict"),
                ("Clap", "bad_request"),
            ):
                assert (await bob.ask("react", session=session, kind=kind)).get("code") == code
            await host.ask("session.end", session=session)
            await bob.until_event(kind="session.ended")
            refused = await bob.ask("react", session=session, kind="heart")
            assert (refused["code"], refused["state"]) == ("conflict", "ended")


async def test_load_testers_do_not_count(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, **SOON) as node:
        session = await node.session()
        async with node.client("robot", synthetic=True) as robot, node.client("eve") as eve:
            await robot.join(session)
            await eve.join(session)
            assert (await robot.ask("react", session=session, kind="heart"))["type"] == "ack"
            await eve.ask("react", session=session, kind="fire")
            await Onlooker(eve, session).until({"fire": 1})
    assert await totals(migrated, session) == {"fire": 1}


async def test_what_was_counted_is_kept_when_the_node_stops(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, reactions_save_ms=60_000) as node:
        session = await node.session()
        async with node.client("bob") as bob:
            await bob.join(session)
            await react(bob, session, ["heart"] * 5)
            await bob.ask("react", session=session, kind="fire")
    assert await totals(migrated, session) == {"heart": 5, "fire": 1}


async def test_nothing_is_lost_or_counted_twice_while_postgres_is_away(migrated: str, redis_url: str) -> None:
    quick = {"database_timeout": 0.4, "database_pause": 0.1, **SOON}
    async with relayed(migrated) as relay, serving(relay.url, redis_url, **quick) as node:
        session = await node.session()
        async with node.client("bob") as bob:
            await bob.join(session)
            count = 0
            for _ in range(3):
                # Frozen in the midst of traffic: some batch gets there, and its answer does not come back.
                for step in (relay.freeze, relay.thaw):
                    for _ in range(20):
                        await bob.ask("react", session=session, kind="heart")
                        count += 1
                        await asyncio.sleep(0.02)
                    step()
            await reaches(migrated, session, {"heart": count})


async def test_a_session_that_nobody_reacts_in_takes_no_memory(
    migrated: str, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.domain.reactions.KIND_MS", 0)
    session = await pair[0].session()
    async with pair[0].client("bob") as bob, pair[1].client("eve") as eve:
        await bob.join(session)
        await eve.join(session)
        await bob.ask("react", session=session, kind=uuid4().hex)
        await eve.until(kind="reactions")
        async with asyncio.timeout(5):
            while any(len(node.node.reactions) for node in pair):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
