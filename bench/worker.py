"""One load process: it connects its share, does and counts what it is told, and says what it saw."""

import asyncio
import os
from itertools import chain
from multiprocessing.connection import Connection
from random import uniform
from time import monotonic_ns
from typing import Any

import uvloop

from bench.acts import Act, act_of
from bench.asks import Asked
from bench.cast import Cast, sleep_until, until
from bench.load import Client
from bench.orders import GRACE_SECONDS, Back, Done, Failed, Finish, Go, Plan, Ready, Result, Storm
from bench.pace import SECOND, Flight, Schedule, Window
from bench.process import end_with_conductor
from bench.tally import Latencies
from bench.wire import Unexpected

# How long a closed loop rests before it looks who was answered.
_REST_SECONDS = 0.001


def work(pipe: "Connection[Any, Any]", plan: Plan) -> None:
    """Be a load process, until the pipe ends or the conductor does."""
    end_with_conductor()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_work(pipe, plan))
        except (EOFError, BrokenPipeError):
            pass
        except (Unexpected, OSError) as exc:
            pipe.send(Failed(str(exc)))


async def _work(pipe: "Connection[Any, Any]", plan: Plan) -> None:
    cast = Cast(plan)
    worker = Worker(cast)
    # Who came first must not fall silent until the last one is there.
    beating = asyncio.create_task(cast.beat())
    try:
        await cast.enter()
        pipe.send(Ready())
        while True:
            pipe.send(await worker.serve(await receive(pipe)))
    finally:
        beating.cancel()


async def receive(pipe: "Connection[Any, Any]") -> Any:
    """Give what comes next, however long that takes.

    Raises:
        EOFError: the other end is closed.
    """
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(pipe.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(pipe.fileno())
        # The loop has it wait for nobody (libuv's `uv_poll_init`); but what is larger than its buffer has to wait.
        os.set_blocking(pipe.fileno(), True)
    return pipe.recv()


class Worker:
    """Carries out what the conductor says, with the clients of one process."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._marks: list[tuple[int, int]] = []

    async def serve(self, order: Go | Finish) -> Done | Result:
        """Carry out one order."""
        return await (self._go(order) if isinstance(order, Go) else self._finish(order))

    async def _go(self, go: Go) -> Done:
        for sample in chain(self._cast.samples, self._cast.hosts):
            sample.watch(go.window)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._mark(go.window))
            playing = {
                name: tasks.create_task(self._play(act, plan, go.window))
                for name, plan in go.acts.items()
                if (act := act_of(self._cast, name))
            }
            if go.stall:
                tasks.create_task(self._cast.stall(go.window.start, go.window.end))
            storming = tasks.create_task(_storm(self._cast, go.storm)) if go.storm else None
        sent = {name: task.result().sent() for name, task in playing.items()}
        return Done(sent, storming.result() if storming else None)

    async def _play(self, act: Act, plan: Schedule | Flight, window: Window) -> Asked:
        """Do one thing as it is planned, and wait for its answers."""
        asked = Asked(window)
        await (_on_time if isinstance(plan, Schedule) else _on_answer)(self._cast, act, plan, asked)
        await until(lambda: not asked.pending, GRACE_SECONDS)
        return asked

    async def _mark(self, window: Window) -> None:
        """Note the count at both ends of the window, and when exactly that was."""
        self._marks.clear()
        for end in (window.start, window.end):
            await sleep_until(end)
            self._marks.append((monotonic_ns(), self._cast.events))

    async def _finish(self, finish: Finish) -> Result:
        cast = self._cast
        await cast.complete(GRACE_SECONDS)
        await until(lambda: not any(self._lacking(finish)) and not self._lost_letters(finish), GRACE_SECONDS)
        (start, before), (end, after) = self._marks
        clients, readers = cast.clients, [*cast.samples, *cast.hosts]
        return Result(
            lost=sum(not client.here for client in clients),
            deliveries=after - before,
            window=Window(start, end),
            missing=sum(self._lacking(finish)),
            surplus=sum(max(0, client.reached - _head(finish, client)) for client in clients),
            resets=sum(client.resets for client in clients),
            torn_pages=sum(reader.torn_pages for reader in readers),
            lost_letters=self._lost_letters(finish),
            samples=[reader.findings(_head(finish, reader)) for reader in readers],
            states=[reader.state for reader in readers],
            latencies=Latencies.merged(reader.latencies.encode() for reader in readers).encode(),
            letters=Latencies.merged(host.letters.encode() for host in cast.hosts).encode(),
        )

    def _lacking(self, finish: Finish) -> list[int]:
        return [max(0, _head(finish, client) - client.reached) for client in self._cast.clients]

    def _lost_letters(self, finish: Finish) -> int:
        return sum(max(0, finish.letters - host.got_letters) for host in self._cast.hosts)


def _head(finish: Finish, client: Client) -> int:
    """Give what a client must have reached: the head of its session, or nothing where it follows none."""
    return 0 if client.session is None else finish.heads[client.session]


async def _storm(cast: Cast, storm: Storm) -> Back:
    """Let everybody lose the server, and come back."""
    await sleep_until(storm.at)
    crowds: list[list[Any]] = [cast.viewers, cast.samples]
    if storm.cut:
        for client in chain(*crowds):
            client.leave()
    else:
        crowds += [cast.senders, cast.hosts]
    patience = (storm.until - storm.at) / SECOND
    await until(lambda: all(client.lost for client in chain(*crowds)), patience)
    took, in_vain = Latencies(), list[int]()
    returning = [
        cast.bring_back(crowd, place, uniform(0, storm.spread / SECOND))
        for crowd in crowds
        for place in range(len(crowd))
    ]

    def take(done: asyncio.Task[int]) -> None:
        if not done.cancelled():
            took.record(monotonic_ns() - storm.at)
            in_vain.append(done.result())

    for task in returning:
        task.add_done_callback(take)
    await _wait(returning, (storm.until - monotonic_ns()) / SECOND)
    return Back(took=took.encode(), in_vain=sum(in_vain))


async def _wait(tasks: list[asyncio.Task[int]], seconds: float) -> None:
    """Wait for tasks for so long, and cancel what is not done then."""
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=max(0, seconds))
        for task in late:
            task.cancel()


async def _on_time(cast: Cast, act: Act, schedule: Any, asked: Asked) -> None:
    done = 0
    while done < schedule.count:
        reached = schedule.reached(monotonic_ns())
        for number in range(done, reached):
            act(cast, number, schedule.due(number), asked)
        done = reached
        await sleep_until(schedule.due(done))


async def _on_answer(cast: Cast, act: Act, flight: Any, asked: Asked) -> None:
    while (now := monotonic_ns()) < flight.end:
        for place, sender in enumerate(cast.senders):
            for _ in range(flight.free(now, len(sender.unanswered))):
                act(cast, place, now, asked)
        await asyncio.sleep(_REST_SECONDS)
