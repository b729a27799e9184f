"""Runs one server process until it is told to stop."""

import asyncio
import gc
import signal
from collections.abc import Callable
from typing import Final

import uvloop

from realtime.app import running
from realtime.settings import Settings
from realtime.sockets import Sockets

# By how many objects there must be more for the youngest to be looked at; how often that, for the next older ones.
COLLECTIONS: Final = (50_000, 50, 100)


def run(settings: Settings, sockets: Sockets, announce: Callable[[], None]) -> None:
    """Serve; `announce` is called once clients can connect. Returns after SIGINT or SIGTERM.

    Raises:
        StorageError: Postgres cannot be used.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, sockets, announce))


def spare_the_collector() -> None:
    """Have the garbage collector look rarely, and never again at what is there now.

    Each connection is hundreds of objects that live long. With Python's own thresholds the collector walks over all of
    them again and again, for hundreds of milliseconds each time. Cycles are made by mistakes alone.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)


async def _run(settings: Settings, sockets: Sockets, announce: Callable[[], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, sockets):
        spare_the_collector()
        announce()
        await stop.wait()
