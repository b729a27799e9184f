"""How a node lets go of its connections: each is told when to come back, and goes when its time has come.

A node that closed all at once would have them all back at once, on the nodes that are left.
"""

import asyncio
import random
from collections import deque
from typing import Final

import structlog
from msgspec import Struct

from realtime.domain.drain import slots
from realtime.protocol.codes import Close
from realtime.protocol.events import Drain
from realtime.server import Server
from realtime.settings import Settings
from realtime.transport import Connection

# How often it is looked which connections are due, and how many are told at a time.
BEAT_SECONDS: Final = 0.01
SLICE: Final = 500
# For those who were accepted at the last moment to shake hands.
HANDSHAKE_SECONDS: Final = 0.5
_GOODBYE: Final = "the server restarts"
log = structlog.get_logger("draining")


class _Due(Struct, frozen=True):
    """A connection, and when it has to go, on the loop's clock."""

    connection: Connection
    at: float


async def drain(server: Server, settings: Settings) -> None:
    """Send every connection away, `drain_rate` a second, the last ones all at once after `drain_timeout`.

    What a connection has asked for before its time is answered before it is closed. Who has just been accepted may
    shake hands first, and is then told to come back: a handshake that breaks off tells nobody why.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + settings.drain_timeout
    late = loop.time() + HANDSHAKE_SECONDS
    due = await _tell(server, settings)
    strangers = [connection for connection in server.connections if connection.peer is None]
    leaving: list[Connection] = []
    log.info("draining", connections=len(due), rate=settings.drain_rate)
    while (due or leaving or (strangers and loop.time() < late)) and loop.time() < deadline:
        while due and due[0].at <= loop.time():
            connection = due.popleft().connection
            connection.retire()
            leaving.append(connection)
        leaving = [connection for connection in leaving if not _close_idle(connection)]
        strangers = [connection for connection in strangers if not _dismiss(connection)]
        await asyncio.sleep(BEAT_SECONDS)
    for connection in list(server.connections):
        connection.close(Close.DRAIN, _GOODBYE)


async def _tell(server: Server, settings: Settings) -> deque[_Due]:
    """Tell everyone when to come back. Whoever has not said hello yet may do so elsewhere at once."""
    began = asyncio.get_running_loop().time()
    deadline_ms = int(settings.drain_timeout * 1000)
    connections = list(server.connections)
    # Not in the order of their arrival: those of one network should not come back together.
    random.shuffle(connections)
    due: deque[_Due] = deque()
    for number, after in enumerate(slots(len(connections), settings.drain_rate, deadline_ms)):
        connection = connections[number]
        if connection.peer is None:
            continue
        connection.send(Drain(reconnect_in_ms=after, deadline_ms=deadline_ms))
        due.append(_Due(connection, began + after / 1000))
        if number % SLICE == SLICE - 1:
            await asyncio.sleep(0)
    return due


def _dismiss(stranger: Connection) -> bool:
    """Send away one who has not said hello, unless the handshake is still to come."""
    if stranger.peer is None and not stranger.arriving:
        stranger.close(Close.DRAIN, _GOODBYE)
    return not stranger.arriving


def _close_idle(connection: Connection) -> bool:
    if connection.busy:
        return False
    connection.close(Close.DRAIN, _GOODBYE)
    return True
