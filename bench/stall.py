"""Readers that stop reading."""

import asyncio
import socket
from time import monotonic_ns
from typing import Any, Final

from bench.load import Viewer, come_back
from bench.orders import Stalled
from bench.tally import Latencies

# What such a reader lets the kernel keep for it, so that it is the server that notices.
RECEIVE_BYTES: Final = 4096
_POLL_SECONDS: Final = 0.05
# <netinet/tcp.h>
_ESTABLISHED: Final = 1


class Staller(Viewer):
    """A viewer that can stop reading, without a word, and notices all the same when it is closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with little room for what is not read."""
        self._socket: Any = transport.get_extra_info("socket")
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        super().connection_made(transport)

    def stall(self) -> None:
        """Read nothing from now on."""
        self._transport.pause_reading()

    @property
    def closed(self) -> bool:
        """Tell whether the server has given it up. Nobody reads, so the socket must be asked."""
        if self.lost or self._transport.is_closing():
            return True
        return bool(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED)


async def stall_all(clients: list[Staller], until: int) -> Stalled:
    """Stall them all until a moment; whoever is closed comes back and stalls again. Leave them reading."""
    took = Latencies()
    ended = await asyncio.gather(*(_stall(clients, place, until, took) for place in range(len(clients))))
    return Stalled(closed=sum(ended), after=took.encode())


async def _stall(clients: list[Staller], place: int, until: int, took: Latencies) -> int:
    closed = 0
    while monotonic_ns() < until:
        began = monotonic_ns()
        clients[place].stall()
        while not clients[place].closed and monotonic_ns() < until:  # noqa: ASYNC110 - only the kernel knows
            await asyncio.sleep(_POLL_SECONDS)
        if clients[place].closed:
            closed += 1
            took.record(monotonic_ns() - began)
        # Also who stalls still: what waits for it would take long to read.
        clients[place].leave()
        await come_back(clients, place)
    return closed
