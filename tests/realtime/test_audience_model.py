"""Three nodes, and everything that can happen to an audience: exact when all is quiet, and never negative.

Redis and all of a node that counts are real. Connections are what they are to an audience; hints are lost as the
story says, and nodes are killed, stopped for longer than their lease and woken, and Redis forgets everything.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest
import redis as blocking
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from persistence.embedded import Servers
from persistence.log import Record
from persistence.presence import Presence
from persistence.redis import Redis, connect
from persistence.tasks import end
from persistence.watch_times import WatchTimes as Storage
from realtime.attendance import Attendance
from realtime.feeds import Feeds
from realtime.hub import Hub
from realtime.protocol.events import Audience, AudienceSignal
from realtime.settings import Settings
from realtime.watch_times import WatchTimes
from tests.properties.effort import tried
from tests.support.loops import Loop
from tests.support.nodes import audience

SESSION = "01932c07-3a6e-7cc0-8000-000000000001"
LIMIT = 2
SETTINGS = Settings(
    audience_ms=10, lease_ms=400, lease_beat_ms=60, audience_list=LIMIT, leave_grace=0.03, playback_timeout=600.0
)
USERS = ["ann", "bob", "eve"]
PATIENCE = 20.0
PLACES = [0, 1, 2]


class Floor:
    """What nodes have between them: who is told that an audience has changed, and of what is posted."""

    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}
        self.deaf = False

    def announce(self, by: "Node") -> None:
        """Bring a hint to the others, unless it is lost."""
        for node in self.nodes.values():
            if node is not by and not self.deaf:
                node.on_audience(SESSION)


class Node:
    """A node's audience, and around it as much as it needs: feeds and a hub, both for one session."""

    def __init__(self, name: str, client: Redis, floor: Floor) -> None:
        self.on_audience: Any = None
        self.on_records: Any = None
        self._floor = floor
        self.told = Audience()
        self.present: set[str] | None = None
        # Connections, in the order of their coming: user, whether it plays, by its number.
        self.connections: dict[str, str] = {}
        self.playing: set[str] = set()
        times = WatchTimes(cast("Storage", None), SETTINGS)
        presence = Presence(client, name, SETTINGS.lease_ms, LIMIT)
        self.attendance = Attendance(presence, cast("Feeds", self), cast("Hub", self), times, SETTINGS)
        self.running: asyncio.Task[None] | None = None

    def announce_audience(self, session: str) -> None:
        """Tell the other nodes."""
        assert session == SESSION
        self._floor.announce(self)

    def signal(self, session: str, message: AudienceSignal) -> None:
        """Take what clients are told."""
        assert session == SESSION
        numbers = msgspec.structs.astuple(message.audience)
        assert min(numbers) >= 0, "never negative"
        assert max(numbers[1:]) == numbers[1] <= numbers[0], "no more users than connections, and of these the others"
        self.told = message.audience
        if message.present is not msgspec.UNSET:
            self.present = set(message.present)
        elif message.joined is not msgspec.UNSET and message.left is not msgspec.UNSET:
            assert self.present is not None
            self.present = self.present.union(message.joined).difference(message.left)
        else:
            self.present = None

    def wake(self) -> None:
        """Let it run."""
        self.running = asyncio.create_task(self.attendance.run())

    async def sleep(self) -> None:
        """Stop it in the middle of whatever it does."""
        if self.running is not None:
            await end([self.running])
            self.running = None


class AudienceMachine(RuleBasedStateMachine):
    """What happens to three nodes, and what must come of it."""

    redis_url: str

    def __init__(self) -> None:
        super().__init__()
        with blocking.Redis.from_url(self.redis_url) as cleaner:
            cleaner.flushall()
        self.runner = asyncio.Runner(loop_factory=Loop)
        self.floor = Floor()
        self.count = 0
        # Who has posted, and may be a chatter, since it was last seen there; and who is one for certain.
        self.chatters: set[str] = set()
        self.doubtful: set[str] = set()

    @initialize()
    def begin(self) -> None:
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.client = connect(self.redis_url, connections=8, timeout=2)
        for place in PLACES:
            self._start(place)

    def _start(self, place: int) -> None:
        self.count += 1
        node = self.floor.nodes[place] = Node(f"n{self.count}", self.client, self.floor)
        node.wake()

    def teardown(self) -> None:
        try:
            if self.floor.nodes:
                self.settle()
        finally:
            if self.floor.nodes:
                self.runner.run(self._end())
            self.runner.close()

    async def _end(self) -> None:
        for node in self.floor.nodes.values():
            await node.sleep()
        await self.client.aclose()

    @property
    def users(self) -> set[str]:
        return {user for node in self.floor.nodes.values() for user in node.connections.values()}

    @property
    def everyone(self) -> list[tuple[Node, str]]:
        return [(node, number) for node in self.floor.nodes.values() for number in node.connections]

    @rule(users=st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(USERS)), max_size=4))
    def enter(self, users: list[tuple[int, str]]) -> None:
        for place, user in users:
            self.count += 1
            node = self.floor.nodes[place]
            node.connections[f"c{self.count}"] = user
            node.attendance.enter(SESSION, user)

    @precondition(lambda self: self.everyone)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        node, number = data.draw(st.sampled_from(self.everyone))
        user = node.connections.pop(number)
        node.playing.discard(number)
        node.attendance.leave(SESSION, user, number)
        self._forget()

    def _forget(self) -> None:
        """Whoever is gone may still count as a chatter if back at once, and must not be after a while."""
        self.doubtful |= self.chatters - self.users
        self.chatters &= self.users

    @precondition(lambda self: self.everyone)
    @rule(data=st.data(), plays=st.booleans())
    def report(self, data: st.DataObject, plays: bool) -> None:
        node, number = data.draw(st.sampled_from(self.everyone))
        if plays:
            node.playing.add(number)
            node.attendance.play(SESSION, node.connections[number], number)
        else:
            node.playing.discard(number)
            node.attendance.stop(SESSION, number)

    @precondition(lambda self: self.everyone)
    @rule(data=st.data())
    def post(self, data: st.DataObject) -> None:
        node, number = data.draw(st.sampled_from(self.everyone))
        user = node.connections[number]
        self.chatters.add(user)
        for other in self.floor.nodes.values():
            other.on_records(SESSION, [Record(9, 0, "chat.posted", user, None, "{}")])

    @rule(milliseconds=st.sampled_from([1, 5, 20]))
    def wait(self, milliseconds: int) -> None:
        self.runner.run(asyncio.sleep(milliseconds / 1000))

    @rule()
    def flush(self) -> None:
        self.runner.run(self._flush())

    async def _flush(self) -> None:
        await self.client.flushall()

    @rule(deaf=st.booleans())
    def hear(self, deaf: bool) -> None:
        self.floor.deaf = deaf

    @rule(place=st.sampled_from(PLACES), lapses=st.booleans())
    def stop_and_wake(self, place: int, lapses: bool) -> None:
        self.runner.run(self._stop_and_wake(self.floor.nodes[place], SETTINGS.lease_ms * 1.2 if lapses else 5))

    async def _stop_and_wake(self, node: Node, milliseconds: float) -> None:
        await node.sleep()
        await asyncio.sleep(milliseconds / 1000)
        node.wake()

    @rule(place=st.sampled_from(PLACES))
    def kill(self, place: int) -> None:
        self.runner.run(self.floor.nodes[place].sleep())
        self.runner.run(self._restart(place))
        self._forget()

    async def _restart(self, place: int) -> None:
        self._start(place)

    @rule()
    def settle(self) -> None:
        self.runner.run(self._settle())
        self.doubtful.clear()
        self.chatters = self.seen_chatters

    async def _settle(self) -> None:
        try:
            # On a busy machine a lease may lapse again and again before there is quiet.
            async with asyncio.timeout(PATIENCE):
                while not await self._exact():  # noqa: ASYNC110 - what is waited for happens in another program
                    await asyncio.sleep(0.005)
        except TimeoutError:
            pytest.fail(f"expected {self._expected()}, told {[node.told for node in self._watched()]}")

    def _watched(self) -> Iterator[Node]:
        return (node for node in self.floor.nodes.values() if node.connections)

    def _expected(self) -> dict[str, int]:
        nodes = self.floor.nodes.values()
        watching = {node.connections[number] for node in nodes for number in node.playing}
        return audience(len(self.everyone), len(self.users), len(watching), len(self.chatters))

    async def _exact(self) -> bool:
        expected, listed = self._expected(), self.users if len(self.users) <= LIMIT else None
        most = expected["chatters"] + len(self.doubtful & self.users)
        for node in self._watched():
            told = msgspec.structs.asdict(node.told)
            if not expected["chatters"] <= told["chatters"] <= most:
                return False
            if {**told, "chatters": 0} != {**expected, "chatters": 0} or node.present != listed:
                return False
        return await self._stored(expected, most)

    async def _stored(self, expected: dict[str, int], most: int) -> bool:
        whole, users = await self.floor.nodes[0].attendance.page(SESSION, "", 100)
        numbers = msgspec.structs.asdict(whole)
        self.seen_chatters = {user.user for user in users if user.chatter}
        return (
            {**numbers, "chatters": 0} == {**expected, "chatters": 0}
            and expected["chatters"] <= numbers["chatters"] <= most
            and self.chatters <= self.seen_chatters
            and [user.user for user in users] == sorted(self.users)
            and all(msgspec.structs.asdict(node.told) == numbers for node in self._watched())
        )

    @invariant()
    def nobody_is_forgotten(self) -> None:
        for node in self.floor.nodes.values():
            here = Counter(node.connections.values())
            assert all(node.attendance.has(SESSION, user) is (user in here) for user in USERS)


def test_the_audience_is_exact_when_all_is_quiet(servers: Servers) -> None:
    AudienceMachine.redis_url = servers.redis_url
    run_state_machine_as_test(
        AudienceMachine,
        settings=tried(40, steps=15),
    )
