"""Runs one server process until it is told to stop."""

import asyncio
import signal
from collections.abc import Callable

import uvloop

from realtime.app import running
from realtime.settings import Settings
from realtime.sockets import Sockets


def run(settings: Settings, sockets: Sockets, announce: Callable[[], None]) -> None:
    """Serve; `announce` is called once clients can connect. Returns after SIGINT or SIGTERM.

    Raises:
        StorageError: Postgres cannot be used.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, sockets, announce))


async def _run(settings: Settings, sockets: Sockets, announce: Callable[[], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, sockets):
        announce()
        await stop.wait()
