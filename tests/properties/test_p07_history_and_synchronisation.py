"""P7: a snapshot and the events after it make a fresh snapshot: from any position, through any outage."""

from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.log import Entry, Outcome, Record
from realtime.domain import session as lifecycle
from realtime.protocol.events import SessionBody
from realtime.protocol.replies import SessionView
from tests.properties.conftest import QUICK
from tests.properties.effort import tried
from tests.properties.world import Reader, World, raw, retold, shown
from tests.support.chats import NOW, chats
from tests.support.nodes import Message, RunningNode, token
from tokens.access import AccessRole

pytestmark = pytest.mark.timeout(300)
NODE = st.integers(0, 1)
# `session.created` and `session.started` come first.
FIRST = 3


async def append(node: RunningNode, session: str, records: list[Record]) -> None:
    """Append what was written on a node that tells nobody."""
    entries = [Entry(session, one.sender, uuid4(), one.kind, one.body, NOW - one.at) for one in records]
    answers = await node.node.log.append(entries)
    assert [(answer.outcome, answer.seq) for answer in answers] == [(Outcome.NEW, one.seq) for one in records]


async def read_all(reader: Reader, limit: int, forwards: bool) -> list[Message]:
    """Read the whole log in pages, in one direction."""
    assert reader.client is not None
    events: list[Message] = []
    edge: dict[str, int] = {"after": 0} if forwards else {}
    while True:
        page = await reader.client.ask("history", session=reader.session, limit=limit, **edge)
        found = page["events"]
        events = [*events, *found] if forwards else [*found, *events]
        if not page["more"]:
            return events
        edge = {"after": found[-1]["seq"]} if forwards else {"before": found[0]["seq"]}


async def read_over_http(node: RunningNode, session: str) -> list[Message]:
    """Read the whole log in pages from the side API."""
    events: list[Message] = []
    while True:
        query = {"after": events[-1]["seq"] if events else 0, "limit": 9}
        reply = await node.request("GET", f"/v1/sessions/{session}/events", token("ann"), params=query)
        events += reply.json()["events"]
        if not reply.json()["more"]:
            return events


@tried(25)
@given(
    log=chats(FIRST, most=20),
    cut=st.integers(0, 20),
    back=st.integers(0, 6),
    nodes=st.tuples(NODE, NODE),
    limit=st.integers(1, 9),
    forwards=st.booleans(),
)
def test_what_was_held_and_what_was_missed_make_what_is_there(
    world: World, log: list[Record], cut: int, back: int, nodes: tuple[int, int], limit: int, forwards: bool
) -> None:
    world.run(_outage(world, log, min(cut, len(log)), back, nodes, limit, forwards))


async def _outage(
    world: World, log: list[Record], cut: int, back: int, nodes: tuple[int, int], limit: int, forwards: bool
) -> None:
    before, after = (world.nodes[node] for node in nodes)
    session = await before.session()
    await append(before, session, log[:cut])
    reader, fresh = Reader(session, "bob", {}), Reader(session, "eve", {})
    try:
        await reader.connect(before)
        await reader.join("anew")
        held = await read_all(reader, limit, forwards)
        assert shown(held) == shown(raw(session, await world.log(session)))
        await reader.drop()
        await append(after, session, log[cut:])
        # A reader may have stored its position less often than it has drawn what it held.
        assert reader.position is not None
        reader.position = {**reader.position, "seq": max(reader.position["seq"] - back, 0)}
        since = reader.position["seq"]
        await reader.connect(after)
        joined = await reader.join("resume")
        await fresh.connect(after)
        await fresh.join("anew")
        everything = await read_all(fresh, limit, forwards)
        # The node may learn of the rest only now: readers hear of it as of anything else.
        _, head = await world.head(session)
        await reader.reach(head)
        await fresh.reach(head)
        if joined["complete"]:
            held += reader.held.values()
        else:
            assert joined["position"]["seq"] - since > QUICK["replay_limit"]
            held = await read_all(reader, limit, forwards)
        stored = await world.log(session)
        assert shown(held) == shown([*everything, *fresh.held.values()]) == shown(raw(session, stored))
        assert await read_over_http(after, session) == retold(session, stored)
    finally:
        await reader.close()
        await fresh.close()


ACTIONS = st.lists(st.sampled_from(["start", "pause", "resume", "end"]), max_size=5)


@tried(15)
@given(missed=ACTIONS, seen=ACTIONS, nodes=st.tuples(NODE, NODE))
def test_the_snapshot_and_the_transitions_after_it_make_the_fresh_snapshot(
    world: World, missed: list[str], seen: list[str], nodes: tuple[int, int]
) -> None:
    world.run(_transitions(world, missed, seen, nodes))


async def _transitions(world: World, missed: list[str], seen: list[str], nodes: tuple[int, int]) -> None:
    one, two = (world.nodes[node] for node in nodes)
    session = await one.session("ann", live=False)
    reader, host = Reader(session, "bob", {}), Reader(session, "ann", {}, AccessRole.SELLER)
    try:
        await reader.connect(one)
        first = (await reader.join("anew"))["session"]
        await reader.drop()
        await host.connect(two)
        await _move(host, missed)
        await reader.connect(one)
        joined = await reader.join("resume")
        await _move(host, seen)
        _, head = await world.head(session)
        await reader.reach(head)
        fresh = (await two.request("GET", f"/v1/sessions/{session}", token("ann"))).json()
        # From the snapshot of the first join, over what the second one gave, and what came live.
        assert _apply(first, list(reader.held.values())) == fresh
        # And from that of the second, to which the events that it gave have nothing to add.
        assert _apply(joined["session"], list(reader.held.values())) == fresh
    finally:
        await reader.close()
        await host.close()


async def _move(host: Reader, actions: list[str]) -> None:
    assert host.client is not None
    for action in actions:
        reply = await host.client.ask(f"session.{action}", session=host.session)
        assert reply["type"] == "ack" or reply["code"] == "conflict"


def _apply(snapshot: Message, events: list[Message]) -> Any:
    view = msgspec.convert(snapshot, SessionView)
    for event in events:
        body = msgspec.convert(event["body"], SessionBody)
        view = lifecycle.apply(view, event["kind"], event["at"], event["media_ms"], body)
    return msgspec.to_builtins(view)
