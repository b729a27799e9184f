"""One load process: it connects its share, sends and counts when told, and says what it saw.

Between the conductor and its workers go `Plan` → `Ready`, then `Go` → `Sent`, then `Finish` → `Result`;
a `Failed` instead of any answer. The end of the pipe ends the process.
"""

import asyncio
import gc
import multiprocessing
import multiprocessing.connection
import signal
from collections.abc import Iterable
from time import monotonic_ns, time
from typing import Any

import uvloop
from msgspec import Struct

from bench.load import Acks, Client, Findings, Sample, Sender, Viewer, connect
from bench.pace import SECOND, Schedule, Window
from bench.tally import Latencies
from bench.wire import Admission, Unexpected
from persistence.embedded.child import tie_to
from tokens.access import AccessRole, SharedSecret, mint

# Handshakes under way at a time, in each process.
CONNECTING = 64
# A heartbeat is due within 30 s; one spoke of the wheel of beats is 1 s.
BEAT_SECONDS = 20
# After the head is known, how long a straggler may take.
GRACE_SECONDS = 10.0
TOKEN_SECONDS = 6 * 3600
_POLL_SECONDS = 0.02


class Plan(Struct, frozen=True, kw_only=True):
    """Who connects to where. Users are numbered from `first` on; no session means hello alone."""

    host: str
    port: int
    secret: str
    session: str | None
    first: int
    viewers: int = 0
    samples: int = 0
    senders: int = 0
    size: int = 100
    synthetic: bool = True

    @property
    def connections(self) -> int:
        """Count the connections."""
        return self.viewers + self.samples + self.senders


class Ready(Struct, frozen=True):
    """Everyone is let in."""


class Go(Struct, frozen=True):
    """Send by this schedule, if there are senders; count what arrives in the window."""

    schedule: Schedule
    window: Window


class Sent(Struct, frozen=True, kw_only=True):
    """All is sent, and answered or overdue."""

    acked: int = 0
    refused: int = 0
    unanswered: int = 0
    latencies: bytes
    lateness: bytes


class Finish(Struct, frozen=True):
    """The log goes up to `head`: wait for the stragglers, and report."""

    head: int


class Result(Struct, frozen=True, kw_only=True):
    """What a worker saw. `deliveries` arrived within `window`, as it was really kept."""

    lost: int
    deliveries: int
    window: Window
    missing: int
    surplus: int
    samples: list[Findings]
    latencies: bytes


class Failed(Struct, frozen=True):
    """Why a worker could not go on, in one line."""

    reason: str


def work(pipe: "multiprocessing.connection.Connection[Any, Any]", plan: Plan) -> None:
    """Be a load process, until the pipe ends or the conductor does."""
    conductor = multiprocessing.parent_process()
    assert conductor is not None
    assert conductor.pid is not None
    tie_to(conductor.pid, signal.SIGKILL)()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_work(pipe, plan))
        except (EOFError, KeyboardInterrupt):
            pass
        except (Unexpected, OSError) as exc:
            pipe.send(Failed(str(exc)))


async def _work(pipe: "multiprocessing.connection.Connection[Any, Any]", plan: Plan) -> None:
    worker = Worker(plan)
    await worker.enter()
    beating = asyncio.create_task(worker.beat())
    pipe.send(Ready())
    try:
        while True:
            pipe.send(await worker.serve(await _receive(pipe)))
    finally:
        beating.cancel()


async def _receive(pipe: "multiprocessing.connection.Connection[Any, Any]") -> Any:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(pipe.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(pipe.fileno())
    return pipe.recv()


class Worker:
    """The clients of one process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._viewers: list[Viewer] = []
        self._samples: list[Sample] = []
        self._senders: list[Sender] = []
        self._marks: list[tuple[int, int]] = []

    @property
    def _clients(self) -> list[Client]:
        return [*self._viewers, *self._samples, *self._senders]

    async def enter(self) -> None:
        """Connect everyone, `CONNECTING` at a time."""
        plan, index = self._plan, self._plan.first
        for kind, count, clients in (
            (Viewer, plan.viewers, self._viewers),
            (Sample, plan.samples, self._samples),
            (Sender, plan.senders, self._senders),
        ):
            await self._enter(kind, range(index, index + count), clients)
            index += count
        # What is alive now stays so: no pause of ours to look through it all again.
        gc.collect()
        gc.freeze()

    async def _enter(self, kind: type[Client], users: range, clients: list[Any]) -> None:
        for begin in range(0, len(users), CONNECTING):
            some = users[begin : begin + CONNECTING]
            clients += await asyncio.gather(*(self._connect(kind, index) for index in some))

    async def _connect(self, kind: type[Client], index: int) -> Client:
        plan = self._plan
        token = mint(
            f"bench-{index}",
            AccessRole.VIEWER,
            SharedSecret(plan.secret),
            int(time()),
            TOKEN_SECONDS,
            synthetic=plan.synthetic,
        )
        client: Client = await connect(kind, plan.host, plan.port, index, Admission(token, plan.session))
        return client

    async def beat(self) -> None:
        """Keep everyone alive, a few at a time."""
        while True:
            for spoke in range(BEAT_SECONDS):
                for client in self._clients[spoke::BEAT_SECONDS]:
                    client.beat()
                await asyncio.sleep(1)

    async def serve(self, command: Go | Finish) -> Sent | Result:
        """Carry out one command."""
        return await (self._go(command) if isinstance(command, Go) else self._finish(command))

    async def _go(self, go: Go) -> Sent:
        acks, lateness = Acks(go.window), Latencies()
        for sample in self._samples:
            sample.window = go.window
        for sender in self._senders:
            sender.arm(acks)
        marks = asyncio.create_task(self._mark(go.window))
        if self._senders:
            await self._send(go.schedule, lateness)
            await _until(lambda: not acks.pending, GRACE_SECONDS)
        await marks
        return Sent(
            acked=acks.acked,
            refused=acks.refused,
            unanswered=len(acks.pending),
            latencies=acks.latencies.encode(),
            lateness=lateness.encode(),
        )

    async def _send(self, schedule: Schedule, lateness: Latencies) -> None:
        session, size, sent = self._plan.session, self._plan.size, 0
        assert session is not None
        while sent < schedule.count:
            now = monotonic_ns()
            reached = schedule.reached(now)
            for number in range(sent, reached):
                due = schedule.due(number)
                lateness.record(monotonic_ns() - due)
                self._senders[number % len(self._senders)].say(number, due, session, size)
            sent = reached
            await asyncio.sleep(max(0, schedule.due(sent) - monotonic_ns()) / SECOND)

    async def _mark(self, window: Window) -> None:
        """Note the count at both ends of the window, and when exactly that was."""
        self._marks.clear()
        for end in (window.start, window.end):
            await asyncio.sleep(max(0, end - monotonic_ns()) / SECOND)
            self._marks.append((monotonic_ns(), sum(client.events for client in self._clients)))

    async def _finish(self, finish: Finish) -> Result:
        clients = self._clients
        await _until(lambda: not any(_lacking(clients, finish.head)), GRACE_SECONDS)
        (start, before), (end, after) = self._marks
        return Result(
            lost=sum(client.lost for client in clients),
            deliveries=after - before,
            window=Window(start, end),
            missing=sum(_lacking(clients, finish.head)),
            surplus=sum(max(0, client.position + client.events - finish.head) for client in clients),
            samples=[sample.findings(finish.head) for sample in self._samples],
            latencies=Latencies.merged(sample.latencies.encode() for sample in self._samples).encode(),
        )


def _lacking(clients: Iterable[Client], head: int) -> Iterable[int]:
    return (max(0, head - client.position - client.events) for client in clients)


async def _until(done: Any, seconds: float) -> None:
    """Wait for something, but not for ever."""
    deadline = monotonic_ns() + int(seconds * SECOND)
    while not done() and monotonic_ns() < deadline:  # noqa: ASYNC110 - an event would be set per chunk read
        await asyncio.sleep(_POLL_SECONDS)
