"""Two nodes on one Postgres, and on a Redis of several servers, which lose each other."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from msgspec.structs import asdict

from tests.support.clusters import Cluster, Deployment, Sentinels, clustered, sentinelled
from tests.support.nodes import Client, RunningNode, audience, serving
from tests.support.waiting import until

Pair = tuple[RunningNode, RunningNode]
# What is told in so short a time was told by a hint.
PATIENT = {"head_check_ms": 60_000, "audience_ms": 100}
QUICK = {"head_check_ms": 200, "audience_ms": 100, "lease_beat_ms": 500, "lease_ms": 3000, "redis_timeout": 0.5}
EVERYONE = audience(2, 2)


@asynccontextmanager
async def pair(database_url: str, redis_url: str, **settings: Any) -> AsyncIterator[Pair]:
    """Run two nodes."""
    async with serving(database_url, redis_url, **settings) as one, serving(database_url, redis_url, **settings) as two:
        yield one, two


@asynccontextmanager
async def watching(nodes: Pair, session: str, name: str = "") -> AsyncIterator[tuple[Client, Client]]:
    """Have bob join on one node and eve on the other, and see each other."""
    async with nodes[0].client(f"bob{name}") as bob, nodes[1].client(f"eve{name}") as eve:
        for client in (bob, eve):
            await client.join(session)
        for client in (bob, eve):
            await client.until(kind="audience", audience=EVERYONE)
        yield bob, eve


async def until_hints(nodes: Pair) -> None:
    """Wait until both nodes can receive all their hints."""
    await until(lambda: all(node.node.feeds.hints.connected for node in nodes))


async def say(bob: Client, eve: Client, session: str, text: str) -> float:
    """Say something, and give the seconds until the other has heard it."""
    began = time.monotonic()
    seq = (await bob.say(session, text))["seq"]
    await eve.until_event(seq=seq)
    return time.monotonic() - began


def seqs(client: Client) -> list[int]:
    """Give the seqs that were pushed, in their order."""
    return [event["seq"] for event in client.events()]


async def test_hints_and_counts_cross_nodes(migrated: str, deployment: Deployment) -> None:
    async with pair(migrated, deployment.url, **PATIENT) as nodes:
        for _ in range(3):
            session = await nodes[0].session()
            async with watching(nodes, session) as (bob, eve):
                for n in range(5):
                    assert await say(bob, eve, session, f"{n}") < 2
                await bob.ask("typing", session=session, on=True)
                await eve.until(kind="typing", users=["bob"], count=1)
            assert (await nodes[1].request("GET", "/readyz")).status_code == 200


@pytest.fixture(scope="module")
def breakable_sentinels() -> Iterator[Sentinels]:
    with sentinelled() as running:
        yield running


@pytest.fixture(scope="module")
def breakable_cluster() -> Iterator[Cluster]:
    with clustered(3, replicas=1) as running:
        yield running


async def test_chat_goes_on_while_sentinels_change_the_master(migrated: str, breakable_sentinels: Sentinels) -> None:
    async with pair(migrated, breakable_sentinels.url, **QUICK) as nodes:
        session = await nodes[0].session()
        async with watching(nodes, session) as (bob, eve):
            old = breakable_sentinels.master
            old.kill()
            eve.pushes.clear()
            delays: list[float] = []
            while breakable_sentinels.master is old or not delays:
                delays.append(await say(bob, eve, session, "is anyone there?"))
            assert max(delays) < 2
            await _mended(nodes, bob, eve, session)
            assert seqs(eve) == list(range(seqs(eve)[0], seqs(eve)[0] + len(seqs(eve))))


async def _mended(nodes: Pair, bob: Client, eve: Client, session: str) -> None:
    """See that hints flow, and that everyone is counted."""
    await until_hints(nodes)
    for client, listener in ((bob, nodes[1]), (eve, nodes[0])):
        other = eve if client is bob else bob
        received = listener.node.feeds.hints.received
        await say(client, other, session, "back again")
        await until(partial(_has_received_more, listener, received))
    await until(lambda: all(_counted(node, session) == {**EVERYONE, "chatters": 2} for node in nodes))


def _has_received_more(node: RunningNode, than: int) -> bool:
    return node.node.feeds.hints.received > than


def _counted(node: RunningNode, session: str) -> dict[str, int]:
    return asdict(node.node.attendance.audience(session))


async def test_a_shard_that_changes_its_master_holds_up_no_other(migrated: str, breakable_cluster: Cluster) -> None:
    async with pair(migrated, breakable_cluster.url, **QUICK) as nodes:
        hit, spared = await _two_sessions(nodes[0], breakable_cluster)
        async with watching(nodes, hit) as (bob, eve), watching(nodes, spared, "2") as (bob2, eve2):
            old = breakable_cluster.master_of(_key(hit))
            old.kill()
            for client in (eve, eve2):
                client.pushes.clear()
            received = nodes[1].node.feeds.hints.received
            delays: list[float] = []
            others: list[float] = []
            while breakable_cluster.master_of(_key(hit)) is old or not delays:
                delays.append(await say(bob, eve, hit, "is anyone there?"))
                others.append(await say(bob2, eve2, spared, "as ever"))
            assert max(delays + others) < 2
            # These came as hints all the time.
            assert nodes[1].node.feeds.hints.received >= received + len(others)
            assert not any(push["audience"]["users"] == 1 for push in eve2.pushes if "audience" in push)
            await _mended(nodes, bob, eve, hit)
            await _mended(nodes, bob2, eve2, spared)
            for client in (eve, eve2):
                assert seqs(client) == list(range(seqs(client)[0], seqs(client)[0] + len(seqs(client))))


def _key(session: str) -> str:
    return f"sw:{{{session}}}:hints"


async def _two_sessions(node: RunningNode, cluster: Cluster) -> tuple[str, str]:
    """Give two sessions of different shards."""
    first = await node.session()
    while True:
        second = await node.session()
        if cluster.master_of(_key(first)) is not cluster.master_of(_key(second)):
            return first, second


async def test_a_session_follows_its_slot(migrated: str, breakable_cluster: Cluster) -> None:
    async with pair(migrated, breakable_cluster.url, **QUICK) as nodes:
        session = await nodes[0].session()
        async with watching(nodes, session) as (bob, eve):
            for _ in range(2):
                holder = breakable_cluster.master_of(_key(session))
                other = next(master for master in breakable_cluster.masters if master is not holder)
                breakable_cluster.move(_key(session), other)
                assert await say(bob, eve, session, "moving house") < 2
                await until(lambda: breakable_cluster.subscribers(_key(session)) == 2)
                await _mended(nodes, bob, eve, session)
            assert seqs(eve) == list(range(3, 3 + len(seqs(eve))))
