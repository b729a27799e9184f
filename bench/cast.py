"""Who is there in one load process: they come, show that they live, and come back."""

import asyncio
import gc
from collections.abc import Callable
from itertools import chain
from time import monotonic_ns, time
from typing import Any

from bench.asks import Asks
from bench.guests import guest
from bench.load import AnyClient, Client, Route, Sender, Staller, Viewer, come_back, connect, source
from bench.orders import Plan
from bench.pace import SECOND
from bench.sample import Host, Sample
from bench.target import HOST_USER
from bench.wire import Admission
from tokens.access import AccessRole, SharedSecret, mint

# Handshakes under way at a time, in each process.
CONNECTING = 64
# A heartbeat is due within 30 s, also where the load leaves little time for it. One spoke of the wheel of beats is 1 s.
BEAT_SECONDS = 12
TOKEN_SECONDS = 25 * 3600
_POLL_SECONDS = 0.02


class Cast:
    """The clients of one process."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.asks = Asks()
        self.viewers: list[Viewer] = []
        self.samples: list[Sample] = []
        self.senders: list[Sender] = []
        self.hosts: list[Host] = []
        self.stalled: list[Staller] = []
        self._secret = SharedSecret(plan.secret)
        self._returning: set[asyncio.Task[int]] = set()

    @property
    def clients(self) -> list[Client]:
        """Give all that read."""
        return [*self.viewers, *self.samples, *self.senders, *self.hosts]

    @property
    def events(self) -> int:
        """Count the deliveries so far."""
        return sum(client.events for client in self.clients)

    async def enter(self) -> None:
        """Connect everyone, `CONNECTING` at a time."""
        plan, index = self.plan, self.plan.first
        for kind, count, clients in (
            (Viewer, plan.viewers, self.viewers),
            (Sample, plan.samples, self.samples),
            (Sender, plan.senders, self.senders),
            (Host, plan.hosts, self.hosts),
            (Staller, plan.stalled, self.stalled),
        ):
            await self._enter(kind, range(index, index + count), clients)
            index += count
        for client in self.senders:
            client.arm(self.asks)
        for reader in chain(self.samples, self.hosts):
            reader.arm(self.asks)
        # What is alive now stays so: no pause of ours to look through it all again.
        gc.collect()
        gc.freeze()

    async def _enter(self, kind: type[Client], users: range, clients: list[Any]) -> None:
        for begin in range(0, len(users), CONNECTING):
            some = users[begin : begin + CONNECTING]
            clients += await asyncio.gather(*(connect(self._client(kind, index)) for index in some))

    def _client(self, kind: type[Client], index: int) -> Client:
        plan = self.plan
        route = Route(source(index), plan.host, plan.port)
        if plan.dialect:
            return guest(kind, route, plan.dialect, f"bench-{index}")
        user, role = (HOST_USER, AccessRole.SELLER) if kind is Host else (f"bench-{index}", AccessRole.VIEWER)
        token = mint(user, role, self._secret, int(time()), TOKEN_SECONDS, synthetic=plan.synthetic)
        session = plan.sessions[index % len(plan.sessions)] if plan.sessions else None
        return kind(route, Admission(token, session))

    async def beat(self) -> None:
        """Keep everyone alive, a few at a time."""
        while True:
            for spoke in range(BEAT_SECONDS):
                for client in [*self.clients, *self.stalled][spoke::BEAT_SECONDS]:
                    client.beat(playing=not self.plan.synthetic)
                await asyncio.sleep(1)

    def bring_back(self, members: list[AnyClient], place: int, after: float) -> "asyncio.Task[int]":
        """Let one of `members` come back, in some seconds, and have its place again.

        Done, it tells how often it has tried in vain.
        """
        task = asyncio.create_task(self._bring_back(members, place, after))
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)
        return task

    async def _bring_back(self, members: list[AnyClient], place: int, after: float) -> int:
        await asyncio.sleep(after)
        return await come_back(members, place)

    async def stall(self, begin: int, end: int) -> None:
        """Have those read nothing who are there for it, from one moment to another; they come back afterwards."""
        await sleep_until(begin)
        for client in self.stalled:
            client.stall()
        await sleep_until(end)
        for client in self.stalled:
            client.leave()
        await asyncio.gather(*(self.bring_back(self.stalled, place, 0) for place in range(len(self.stalled))))

    async def complete(self, seconds: float) -> None:
        """Wait until everybody is back, but not for ever."""
        await until(lambda: not self._returning, seconds)


async def until(done: Callable[[], bool], seconds: float) -> None:
    """Wait for something, but not for ever."""
    deadline = monotonic_ns() + int(seconds * SECOND)
    while not done() and monotonic_ns() < deadline:  # noqa: ASYNC110 - an event would be set per chunk read
        await asyncio.sleep(_POLL_SECONDS)


async def sleep_until(moment: int) -> None:
    """Wait for a moment of the monotonic clock, in nanoseconds."""
    await asyncio.sleep(max(0, moment - monotonic_ns()) / SECOND)
