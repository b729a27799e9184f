"""Nodes that live over many examples, readers that check whatever they hear, and the log as Postgres has it."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, Self, TypeVar
from uuid import uuid4

import asyncpg
import msgspec
from websockets.exceptions import ConnectionClosed

from persistence.log import Record, records
from realtime.domain import timeline
from realtime.domain.timeline import Timeline
from realtime.feed import event_of
from realtime.protocol.events import ChatBody, Event
from tests.support.loops import Loop
from tests.support.nodes import Client, Message, RunningNode, serving
from tests.support.sessions import course_in
from tokens.access import AccessRole

T = TypeVar("T")
# Seconds in which anything that is waited for has come, on a busy machine.
PATIENCE = 10.0


class World:
    """Two nodes on one Postgres and one Redis, on an event loop of their own that turns while something is asked."""

    def __init__(self, database_url: str, redis_url: str, **settings: Any) -> None:
        self._urls = database_url, redis_url
        self.redis_url = redis_url
        self._settings = settings
        self._runner = asyncio.Runner(loop_factory=Loop)
        self.nodes: list[RunningNode] = []
        self._stacks: list[AsyncExitStack] = []
        self.postgres: asyncpg.Connection[Any]

    def __enter__(self) -> Self:
        self.run(self._open())
        return self

    def __exit__(self, *exc: object) -> None:
        self.run(self._close())
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the loop turn until something is done."""
        return self._runner.run(work)

    async def _open(self) -> None:
        self.postgres = await asyncpg.connect(self._urls[0])
        for _ in range(2):
            node, stack = await self._start()
            self.nodes.append(node)
            self._stacks.append(stack)

    async def _close(self) -> None:
        for stack in self._stacks:
            await stack.aclose()
        await self.postgres.close()

    async def _start(self) -> tuple[RunningNode, AsyncExitStack]:
        stack = AsyncExitStack()
        return await stack.enter_async_context(serving(*self._urls, **self._settings)), stack

    async def kill(self, index: int) -> None:
        """End a node without a word to anyone, and start another in its place."""
        node = self.nodes[index].node
        mute(self.nodes[index])
        for connection in list(node.heartbeat._spoke_of):
            connection._transport.abort()
        await self._stacks[index].aclose()
        self.nodes[index], self._stacks[index] = await self._start()

    async def log(self, session: str) -> list[Record]:
        """Give a session's log as it was written."""
        return records(
            await self.postgres.fetch(
                "SELECT seq, at, kind, sender, key, body FROM events WHERE session = $1 ORDER BY seq", session
            )
        )

    async def head(self, session: str) -> tuple[str, int]:
        """Give epoch and seq of a session's head."""
        row = await self.postgres.fetchrow("SELECT epoch, seq FROM log_heads WHERE session = $1", session)
        assert row is not None
        return row[0], row[1]

    async def restore(self, session: str, lose: int) -> None:
        """Put a log back by some events, in another epoch, as an operator does who restores a backup."""
        async with self.postgres.transaction():
            head = await self.postgres.fetchval("SELECT seq FROM log_heads WHERE session = $1 FOR UPDATE", session)
            kept = max(head - lose, 2)
            await self.postgres.execute("DELETE FROM events WHERE session = $1 AND seq > $2", session, kept)
            await self.postgres.execute(
                "UPDATE log_heads SET epoch = $2, seq = $3 WHERE session = $1", session, uuid4().hex, kept
            )

    async def until_all_know(self, session: str) -> None:
        """Wait until no node holds a session's log of another epoch."""
        epoch, _ = await self.head(session)
        async with asyncio.timeout(PATIENCE):
            while [node for node in self.nodes if (feed := node.node.feeds.get(session)) and feed.epoch != epoch]:  # noqa: ASYNC110 - nodes tell nobody
                await asyncio.sleep(0.01)


def mute(node: RunningNode) -> None:
    """Have all hints of a node get lost."""
    node.node.feeds.hints.publish = lambda *_: None  # type: ignore[method-assign] # as a network does


def unmute(node: RunningNode) -> None:
    """Have them arrive again."""
    with suppress(AttributeError):
        del node.node.feeds.hints.publish


class Reader:
    """A client of one session. It believes nothing: what comes must follow what it has, or say that it doesn't."""

    def __init__(self, session: str, user: str, furthest: dict[str, int], role: AccessRole = AccessRole.VIEWER) -> None:
        self.session = session
        self.user = user
        self.role = role
        self.client: Client | None = None
        self.joined = False
        self.position: Message | None = None
        # What it holds: all events above `began`, up to its position.
        self.began = 0
        self.held: dict[int, Message] = {}
        # How far the user has got in each epoch, on any device.
        self.furthest = furthest
        self.acks: dict[str, Message] = {}
        self._since: Message | str | None = None
        self._stack = AsyncExitStack()

    async def connect(self, node: RunningNode, **hello: Any) -> None:
        """Connect, anew if need be."""
        await self.close()
        self.client = await self._stack.enter_async_context(node.client(self.user, self.role, **hello))
        self.client.listener = self.take

    async def close(self) -> None:
        """Close the connection."""
        self.client, self.joined = None, False
        await self._stack.aclose()

    async def drop(self) -> None:
        """Lose the connection, without a close."""
        if self.client is not None:
            self.client.socket.transport.abort()
            await self.close()

    async def join(self, how: str) -> Message:
        """Join: `resume` from the position, from the `last`, which drops all that was there before, or `anew`."""
        assert self.client is not None
        self._since = {"resume": self.position, "last": "last", "anew": None}[how]
        fields = {"since": self._since} if self._since else {}
        return await self.client.join(self.session, **fields)

    async def leave(self) -> None:
        """Leave."""
        assert self.client is not None
        await self.client.ask("leave", session=self.session)
        assert not self.joined

    def take(self, message: Message) -> None:
        """Check and keep a message."""
        kind = message["type"]
        if kind == "joined":
            self._take_joined(message)
        elif kind == "event":
            self._take_event(message)
        elif kind == "signal":
            assert (self.joined, message["session"]) == (True, self.session), message
        elif kind == "left":
            self.joined = False
        elif kind == "ack" and "key" in message:
            self.acks[message["key"]] = message

    def _take_joined(self, reply: Message) -> None:
        position, events = reply["position"], reply["events"]
        assert reply["session"]["id"] == self.session
        assert reply["complete"] or not events
        first = position["seq"] - len(events) + 1
        assert [event["seq"] for event in events] == list(range(first, position["seq"] + 1))
        if isinstance(self._since, dict) and reply["complete"]:
            assert (self._since["epoch"], self._since["seq"]) == (position["epoch"], first - 1)
        else:
            self.held, self.began = {}, first - 1
        if self._since == "last" and reply["complete"]:
            # What the server has kept can't be more than the user has got.
            assert self.began <= self.furthest.get(position["epoch"], -1), self.furthest
        self.held.update((event["seq"], event) for event in events)
        self.joined = True
        self._move(position)

    def _take_event(self, event: Message) -> None:
        assert (self.joined, event["session"]) == (True, self.session), event
        assert self.position is not None
        assert event["seq"] == self.position["seq"] + 1, (event, self.position)
        self.held[event["seq"]] = event
        self._move({**self.position, "seq": event["seq"]})

    def _move(self, position: Message) -> None:
        self.position = position
        self.furthest[position["epoch"]] = max(position["seq"], self.furthest.get(position["epoch"], 0))

    async def reach(self, seq: int) -> None:
        """Read on until an event is there, answering pings."""
        async with asyncio.timeout(PATIENCE):
            while self.position is not None and self.position["seq"] < seq:
                await self.hear()

    async def hear(self) -> None:
        """Take the next message, and answer it if it is a ping."""
        assert self.client is not None
        await self.client.hear(PATIENCE)

    async def closed(self) -> int | None:
        """Read to the end, and give the close code."""
        assert self.client is not None
        socket = self.client.socket
        with suppress(ConnectionClosed):
            while True:
                await self.hear()
        await self.close()
        return socket.close_code

    def check(self, log: list[Record]) -> None:
        """Make sure that what is held is one run of the log, without a hole, and nothing else."""
        assert self.position is not None
        assert sorted(self.held) == list(range(self.began + 1, self.position["seq"] + 1))
        stored = {record.seq: record for record in log}
        for seq, event in self.held.items():
            record = stored[seq]
            expected = [record.at, record.kind, record.sender, record.key]
            assert [event["at"], event["kind"], event["by"], event.get("key")] == expected


def learned(events: list[Message]) -> Timeline:
    """Merge events, as a client does."""
    typed = [msgspec.json.decode(msgspec.json.encode(event), type=Event) for event in events]
    return timeline.absorb({}, [fact for event in typed if (fact := timeline.read(event))])


def shown(events: list[Message]) -> list[tuple[int, ChatBody]]:
    """Give what a client displays that has these events, in whatever order."""
    return timeline.display(learned(events))


def raw(session: str, log: list[Record]) -> list[Message]:
    """Give a log as pushes, each as it was written."""
    course = course_in(log)
    return [msgspec.json.decode(msgspec.json.encode(event_of(session, record, course))) for record in log]


def retold(session: str, log: list[Record]) -> list[Message]:
    """Give a log as pushes, with everything merged in, by the pure merge."""
    known, course = learned(raw(session, log)), course_in(log)
    told = []
    for record in log:
        event = event_of(session, record, course)
        fact = timeline.read(event)
        told.append(timeline.retell(event, known[fact.seq]) if fact else event)
    return [msgspec.json.decode(msgspec.json.encode(event)) for event in told]
