"""P10 with real parts: a node, a network that drops and stalls, and files."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from stagewire_client import Event, FileStorage, Settings, Stagewire, State, Status
from stagewire_client.stream import Stream
from tests.support.nodes import RunningNode, serving, token
from tests.support.relay import Relay, relayed_websocket
from tests.support.waiting import until as soon

# Quick, so that a test need not wait for long; and no quicker than the node's heartbeat.
SETTINGS = Settings(first_delay=0.05, longest_delay=0.3, welcome=1.0, reply=1.0, dialling=1.0)
MESSAGES = 40


@pytest.fixture
async def node(migrated: str, redis_url: str) -> AsyncIterator[RunningNode]:
    async with serving(migrated, redis_url, heartbeat=1, silence=3) as running:
        yield running


@pytest.fixture
async def relay(node: RunningNode) -> AsyncIterator[Relay]:
    async with relayed_websocket(node.websocket) as relay:
        yield relay


def client(relay: Relay, folder: Path) -> Stagewire:
    return Stagewire(relay.url, token=token("alice"), storage=FileStorage(folder), settings=SETTINGS)


async def until(statuses: Stream[Status], state: State) -> None:
    async with asyncio.timeout(10):
        while (await anext(statuses)).state is not state:
            pass


async def log_of(node: RunningNode, session: str) -> list[str]:
    async with node.client("bob") as reader:
        await reader.join(session)
        page = await reader.ask("history", session=session, limit=200)
    return [event["body"]["text"] for event in page["events"] if event["kind"] == "chat.posted"]


@pytest.mark.parametrize("seed", [1, 2])
async def test_through_drops_and_stalls_each_message_is_stored_once_and_seen(
    node: RunningNode, relay: Relay, tmp_path: Path, seed: int
) -> None:
    random, session = Random(seed), await node.session()
    async with client(relay, tmp_path) as live:
        show = await live.join(session)
        start = show.timeline.head
        for number in range(MESSAGES):
            show.send(f"text {number}")
            await asyncio.sleep(random.uniform(0, 0.03))
            await disturb(relay, random)
        relay.thaw()
        async with asyncio.timeout(20):
            await show.settled()
            told = [await anext(show.__aiter__()) for _ in range(MESSAGES)]
    assert [one.seq for one in told if isinstance(one, Event)] == list(range(start + 1, start + 1 + MESSAGES))
    assert await log_of(node, session) == [f"text {number}" for number in range(MESSAGES)]
    assert not any(tmp_path.rglob("*.json"))  # noqa: ASYNC240 - of an empty folder


async def disturb(relay: Relay, random: Random) -> None:
    match random.randrange(8):
        case 0:
            await relay.drop()
        case 1:
            relay.freeze()
        case 2 | 3:
            relay.thaw()


async def test_a_network_that_goes_away_without_a_word_is_noticed(
    node: RunningNode, relay: Relay, tmp_path: Path
) -> None:
    session = await node.session()
    async with client(relay, tmp_path) as live:
        show = await live.join(session)
        statuses = live.statuses()
        relay.freeze()
        await until(statuses, State.DEGRADED)
        await until(statuses, State.OFFLINE)
        sent = show.send("written in the dark")
        # What was frozen stays so, and is lost with its connection.
        await relay.drop()
        relay.thaw()
        await until(statuses, State.ONLINE)
        ack = await sent
        await soon(lambda: show.timeline.head == ack.seq)
    assert await log_of(node, session) == ["written in the dark"]


async def test_another_process_sends_what_was_left_in_files(node: RunningNode, relay: Relay, tmp_path: Path) -> None:
    session = await node.session()
    async with client(relay, tmp_path) as live:
        show = await live.join(session)
        statuses = live.statuses()
        await relay.cut()
        await until(statuses, State.OFFLINE)
        show.send("one")
        show.send("two")
        position = show.position
    await relay.listen()
    async with client(relay, tmp_path) as live:
        show = await live.join(session, since=position)
        await show.send("three")
        await soon(lambda: [event.body["text"] for event in show.timeline.events()] == ["one", "two", "three"])
    assert await log_of(node, session) == ["one", "two", "three"]
