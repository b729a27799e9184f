"""Two nodes, several devices of one user, and everything that can go wrong between: against what must come of it.

Postgres and Redis are real, and so is all of a node that has to do with inboxes; hints are lost as the story
says, and devices are what a connection is to an inbox.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import msgspec
import redis.asyncio
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persistence.hints import Hints
from persistence.inbox import Inboxes
from persistence.inbox_streams import InboxStreams
from persistence.log import Entry, Record
from persistence.postgres import PoolSettings, Postgres
from persistence.redis import connect
from realtime.backlog import Backlog
from realtime.mailroom import Mailroom
from realtime.protocol.codec import JSON
from realtime.settings import Settings
from realtime.tasks import Tasks
from realtime.transport import Connection
from tests.support.loops import Loop

LIMIT = 6
SETTINGS = Settings(inbox_entries=LIMIT, inbox_page=3)


class Wire:
    """Brings one node's hints to the other, unless they are lost."""

    connected = True

    def __init__(self) -> None:
        self.to: Mailroom
        self.broken = False

    def publish(self, name: str, payload: bytes) -> None:
        """Bring a hint over."""
        assert name == "inbox"
        if not self.broken:
            self.to.receive(payload)


class Line:
    """One connection of a device; it checks what it is given."""

    codec = JSON

    def __init__(self, device: "Device") -> None:
        self.open = True
        self.behind = False
        self.reached = 0
        self.got: list[int] = []
        self.lost = 0
        self._device = device

    def send(self, push: Any) -> None:
        """Take a push."""
        assert self.open
        assert not self.behind
        message = msgspec.json.decode(msgspec.json.encode(push))
        ids = [entry["id"] for entry in message["entries"]]
        assert ids == sorted(set(ids))
        assert len(ids) <= SETTINGS.inbox_page
        assert all(number > self.reached for number in ids), "nothing twice, nothing late"
        assert message["upto"] == (ids[-1] if ids else message["upto"]) >= self.reached
        assert ids or message["lost"]
        for entry in message["entries"]:
            self._device.read(entry["id"], entry["body"]["n"])
        self.got += ids
        self.lost += message.get("lost", 0)
        self.reached = message["upto"]


class Device:
    """A client that knows each entry by its id, over all its connections."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self.node = 0
        self.seen: dict[int, int] = {}

    def read(self, number: int, content: int) -> None:
        """Take an entry; again is the same."""
        assert self.seen.setdefault(number, content) == content


class Story:
    """What has happened, and the nodes that it happens to."""

    def __init__(self, inboxes: Inboxes, rooms: list[Mailroom], wires: list[Wire], client: redis.asyncio.Redis) -> None:
        self.user = f"bob-{uuid4().hex}"
        self.inboxes = inboxes
        self.rooms = rooms
        self.wires = wires
        self.client = client
        self.devices = [Device() for _ in range(3)]
        self.written: list[int] = []
        self.acked = 0

    async def write(self, node: int, count: int, told: str) -> None:
        """Append entries; then tell everyone, or only this node, or (as after a crash) nobody."""
        first = len(self.written) + 1
        contents = list(range(first, first + count))
        entries = [Entry(self.user, "ann", uuid4(), "direct", f'{{"n":{n}}}') for n in contents]
        answers = await self.inboxes.append(entries)
        assert [answer.seq for answer in answers] == contents
        self.written += contents
        if told != "crash":
            self.wires[node].broken = told == "lost"
            records = [
                Record(a.seq, a.at, e.kind, e.sender, str(e.key), e.body) for a, e in zip(answers, entries, strict=True)
            ]
            self.rooms[node].committed(self.user, answers[0].epoch, records)

    async def connect(self, device: Device, node: int) -> None:
        """Connect a device."""
        if device.line is None:
            device.line, device.node = Line(device), node
            self.rooms[node].enter(cast("Connection", device.line), self.user)

    def cut(self, device: Device) -> None:
        """Cut a device off."""
        if device.line is not None:
            device.line.open = False
            self.rooms[device.node].leave(cast("Connection", device.line), self.user)
            device.line = None

    def slow(self, device: Device, *, behind: bool) -> None:
        """Have a device fall behind, or catch up."""
        if device.line is not None:
            device.line.behind = behind
            self.rooms[device.node].catch_up(self.user)

    async def ack(self, device: Device) -> None:
        """Have a device acknowledge what it was given."""
        if device.line is not None:
            upto = device.line.reached
            assert await self.rooms[device.node].ack(cast("Connection", device.line), self.user, 2**53 - 1) == upto
            self.acked = max(self.acked, upto)

    async def beat(self) -> None:
        """Let the nodes ask Postgres."""
        for room in self.rooms:
            await room._check()
            room._retry()

    async def end(self) -> None:
        """Let everyone read to the end, and see what each has got."""
        await self.beat()
        for device in self.devices:
            self.slow(device, behind=False)
        for device in self.devices:
            await self.connect(device, device.node)
        async with asyncio.timeout(5):
            for device in self.devices:
                while self._given(device) < len(self.written):  # noqa: ASYNC110 - nobody is told
                    await asyncio.sleep(0.001)
        for device in self.devices:
            self._judge(cast("Line", device.line))

    def _given(self, device: Device) -> int:
        # What was acknowledged before it came is not pushed to a device, and so is not told by its line.
        box = self.rooms[device.node]._boxes[self.user]
        return box.given[cast("Connection", device.line)]

    def _judge(self, line: Line) -> None:
        # Everything is either given on this connection, or acknowledged, or said to be lost.
        missing = set(range(self.acked + 1, len(self.written) + 1)) - set(line.got)
        assert len(missing) <= line.lost
        assert line.lost <= len(self.written) - len(line.got)
        assert set(range(max(self.acked, len(self.written) - LIMIT) + 1, len(self.written) + 1)) <= set(line.got)


DEVICE = st.integers(0, 2)
NODE = st.integers(0, 1)
WRITE = st.tuples(st.just("write"), NODE, st.integers(1, 4), st.sampled_from(["all", "all", "lost", "crash"]))
STEPS = st.lists(
    st.one_of(
        WRITE,
        WRITE,
        WRITE,
        st.tuples(st.just("connect"), DEVICE, NODE),
        st.tuples(st.just("cut"), DEVICE),
        st.tuples(st.just("behind"), DEVICE),
        st.tuples(st.just("caught up"), DEVICE),
        st.tuples(st.just("ack"), DEVICE),
        st.tuples(st.just("flush")),
        st.tuples(st.just("evict"), st.sampled_from(["", ":head"])),
        st.tuples(st.just("beat")),
        st.tuples(st.just("breathe")),
    ),
    min_size=3,
    max_size=30,
)


async def tell(story: Story, step: tuple[Any, ...]) -> None:
    """Have one thing happen."""
    match step:
        case ("write", node, count, told):
            await story.write(node, count, told)
        case ("connect", device, node):
            await story.connect(story.devices[device], node)
        case ("cut", device):
            story.cut(story.devices[device])
        case ("behind" | "caught up" as how, device):
            story.slow(story.devices[device], behind=how == "behind")
        case ("ack", device):
            await story.ack(story.devices[device])
        case ("flush",):
            await story.client.flushall()
        case ("evict", key):
            await story.client.delete(f"sw:inbox:{{{story.user}}}{key}")
        case ("beat",):
            await story.beat()
        case _:
            await asyncio.sleep(0.003)


@asynccontextmanager
async def stage(database_url: str, redis_url: str) -> AsyncIterator[Story]:
    """Set up two nodes' mailrooms."""
    postgres = Postgres(PoolSettings(database_url, 4))
    tasks = Tasks()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connect(redis_url, connections=4, timeout=2))
        stack.push_async_callback(postgres.close)
        stack.push_async_callback(tasks.stop)
        await postgres.open()
        inboxes = Inboxes(postgres, LIMIT)
        rooms, wires = [], [Wire(), Wire()]
        for n in range(2):
            backlog = Backlog(inboxes, InboxStreams(client, LIMIT, 60_000), SETTINGS)
            room = Mailroom(f"n{n}", inboxes, backlog, tasks, SETTINGS)
            room.hints = cast("Hints", wires[n])
            # Their beat is the story's.
            tasks.start(room._read_always())
            tasks.start(backlog.copy_always())
            rooms.append(room)
        wires[0].to, wires[1].to = rooms[1], rooms[0]
        yield Story(inboxes, rooms, wires, client)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_every_entry_once_in_order_until_acknowledged(
    migrated: str, redis_url: str, steps: list[tuple[Any, ...]]
) -> None:
    async def play() -> None:
        async with stage(migrated, redis_url) as story:
            for step in steps:
                await tell(story, step)
            await story.end()

    uvloop.run(play(), loop_factory=Loop)
