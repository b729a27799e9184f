"""Clients: what does the client for Python take for itself, and how late is it, in one process of many?"""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from typing import Annotated, Final

from msgspec import Meta, Struct

from bench.errors import BenchError
from bench.machine import usage
from bench.options import Rate, Seconds
from bench.pace import SECOND, Schedule
from bench.run import Place, target
from bench.tally import Latencies, Percentiles
from bench.target import Target
from stagewire_client import Event, Session, Settings, Stagewire, StagewireError

# For everybody to join, and for the last message to reach everybody.
_JOIN_WITHIN: Final = 30.0
_ARRIVE_WITHIN: Final = 10.0
_LEAD_NS: Final = SECOND // 2
# Nobody of these reads too slowly: what is late is to be measured, and not left out.
_SETTINGS: Final = Settings(stream=1_000_000)


class Options(Struct, frozen=True, kw_only=True):
    """The load: `clients` in one session, who send `rate` messages a second in turn, for `seconds`."""

    clients: Annotated[int, Meta(ge=1, le=2_000, description="clients, all in this process")] = 100
    rate: Rate = 50
    seconds: Seconds = 10


class Results(Struct, frozen=True, kw_only=True):
    """The figures. Times are from when a message was due until its sender knew it stored, and until a client gave it.

    CPU and memory are this process's, which does nothing but run the clients.
    """

    clients: int
    messages: int
    events: int
    ack_ms: Percentiles | None
    latency_ms: Percentiles | None
    client_cpu_percent: float
    client_cpu_per_event_us: float | None
    client_kib_each: float
    missing: int
    not_acked: int


class _Tally:
    """What has come of it so far. A message's text is the time at which it was due."""

    def __init__(self) -> None:
        self.seen = Latencies()
        self.acked = Latencies()

    async def read(self, session: Session, count: int) -> None:
        """Take so many events."""
        for _ in range(count):
            event = await anext(aiter(session))
            if isinstance(event, Event):
                self.seen.record(time.monotonic_ns() - int(event.body["text"]))

    async def send(self, session: Session, due: int) -> None:
        """Send a message when it is due, and wait until it is stored."""
        await asyncio.sleep(max(0, due - time.monotonic_ns()) / SECOND)
        await session.send(str(due))
        self.acked.record(time.monotonic_ns() - due)


def run(options: Options, place: Place) -> Results:
    """Run the scenario.

    Raises:
        BenchError: it cannot be run.
    """
    with target(place, options.clients) as server:
        return asyncio.run(_run(options, server))


async def _run(options: Options, server: Target) -> Results:
    session, before = server.live_session(), usage(os.getpid())
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(_JOIN_WITHIN), asyncio.TaskGroup() as group:
                joining = [group.create_task(_join(stack, server, session, n)) for n in range(options.clients)]
        except (TimeoutError, ExceptionGroup) as exc:
            raise BenchError(f"not all could join: {exc!r}") from None
        joined = usage(os.getpid())
        tally, spent = await _load(options, [task.result() for task in joining])
    messages = options.rate * options.seconds
    return Results(
        clients=options.clients,
        messages=messages,
        events=tally.seen.count,
        ack_ms=tally.acked.percentiles(),
        latency_ms=tally.seen.percentiles(),
        client_cpu_percent=100 * spent / options.seconds,
        client_cpu_per_event_us=spent / tally.seen.count * 1e6 if tally.seen.count else None,
        client_kib_each=(joined.pss - before.pss) / options.clients,
        missing=messages * options.clients - tally.seen.count,
        not_acked=messages - tally.acked.count,
    )


async def _join(stack: AsyncExitStack, server: Target, session: str, number: int) -> Session:
    url = f"ws://{server.websocket.host}:{server.websocket.port}/v1/ws"
    live = Stagewire(url, token=server.viewer(f"client{number}"), settings=_SETTINGS)
    return await (await stack.enter_async_context(live)).join(session)


async def _load(options: Options, sessions: list[Session]) -> tuple[_Tally, float]:
    """Send everything, and read it everywhere; give what came of it, and the CPU seconds that it took."""
    tally = _Tally()
    plan = Schedule(time.monotonic_ns() + _LEAD_NS, options.rate, options.rate * options.seconds)
    began = time.process_time()
    tasks = [asyncio.create_task(tally.read(session, plan.count)) for session in sessions]
    tasks += [
        asyncio.create_task(tally.send(sessions[number % len(sessions)], plan.due(number)))
        for number in range(plan.count)
    ]
    await asyncio.wait(tasks, timeout=options.seconds + _ARRIVE_WITHIN)
    spent = time.process_time() - began
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        # What a client raises is a message that was not acknowledged, and counts as that.
        if isinstance(outcome, Exception) and not isinstance(outcome, StagewireError):
            raise outcome
    return tally, spent


def broken(results: Results) -> list[str]:
    """Name the promises that were not kept."""
    found = []
    if results.missing:
        found.append(f"{results.missing:,} events missing")
    if results.not_acked:
        found.append(f"{results.not_acked:,} messages not acknowledged")
    return found
