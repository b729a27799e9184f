"""A client in virtual time, with a scripted server, and what is done with it."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, TypeAlias

from stagewire_client import Event, Gap, Position, Session, Stagewire, State, Status
from stagewire_client.stream import Stream
from tests.clients.python import virtual
from tests.clients.python.scripted import SESSION, Message, Server, client

Act: TypeAlias = Callable[[Server, Stagewire], Awaitable[None]]
SessionAct: TypeAlias = Callable[[Server, Stagewire, Session], Awaitable[None]]


def play(act: Act, *, logged: int = 0, **options: Any) -> Server:
    """Have a client open, and do something with it. So many events are in the log."""

    async def run() -> Server:
        server = Server()
        for number in range(logged):
            server.append("eve", f"text {number}")
        beating = asyncio.create_task(server.beat())
        async with client(server, Random(1), **options) as live:
            await act(server, live)
        beating.cancel()
        return server

    return virtual.run(run())


def play_in_session(act: SessionAct, *, logged: int = 0, since: Position | None = None, **options: Any) -> Server:
    """Have a client join, and do something with it."""

    async def joined(server: Server, live: Stagewire) -> None:
        await act(server, live, await live.join(SESSION, since=since))

    return play(joined, logged=logged, **options)


def seqs(told: list[Event | Gap]) -> list[int]:
    """Give the events' places, and 0 for a gap."""
    return [one.seq if isinstance(one, Event) else 0 for one in told]


def said(server: Server, kind: str) -> list[Message]:
    """Give the commands of one kind that the server has heard."""
    return [command for command in server.heard if command["type"] == kind]


async def until(stream: Stream[Status], state: State) -> Status:
    """Wait for a state, for ten minutes at most."""
    async with asyncio.timeout(600):
        while (status := await anext(stream)).state is not state:
            pass
    return status


def now() -> float:
    """Give the time, in seconds from the beginning."""
    return asyncio.get_running_loop().time()
