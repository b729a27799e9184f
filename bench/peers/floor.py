"""The floor: what a machine takes to write the same bytes, and nothing else: `python -m bench.peers.floor PORT`.

A bare uvloop protocol answers the opening handshake (RFC 6455, section 4.2.2) and whatever comes first after it.
Then, once a line on stdin has said how (`Pour`), it writes events to everyone, as long and in the same frames as
a Stagewire's, at the times at which senders would have sent them. Nobody sends: nothing is read, checked, stored
or acknowledged. What a server takes beyond that is what it does; the rest is the kernel's and the loop's.

What a delivery costs is nearly the cost of a write, shared by the events in it. So there are two floors:

- with as many writes as the server made for the same load (`events_per_write`): what writing costs at best, for a
  server that gathers just as much. It says how much is added to the writes.
- with a write for each event (`joined` is false): what writing costs at best for whoever gathers nothing. It says
  what gathering is worth.
"""

import asyncio
import sys
from base64 import b64encode
from hashlib import sha1
from time import monotonic_ns, time
from typing import Final, cast

import msgspec
import uvloop
from msgspec import Struct

from bench import wire
from bench.pace import SECOND, Schedule

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_JOINED: Final = b'\x81\x11{"type":"joined"}'
_SESSION: Final = "01a1fc40-3411-779b-b3cd-55bf0979533e"
_KEY: Final = "5b49c8d0-8fb8-4f5f-82cb-3ca1c9168bfe"


class Pour(Struct, frozen=True):
    """What to write: texts of `size` characters, and so many events in each write, on average."""

    schedule: Schedule
    size: int
    joined: bool
    events_per_write: float = 1.0


def accepted(head: bytes) -> bytes:
    """Answer the request of an opening handshake."""
    key = next(line[18:].strip() for line in head.split(b"\r\n") if line[:18].lower() == b"sec-websocket-key:")
    accept = b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def frame(seq: int, now_ms: int, text: str) -> bytes:
    """Give the frame of an event: what a Stagewire would write, for a text of 1 to 1,000 characters."""
    payload = (
        f'{{"type":"event","session":"{_SESSION}","seq":{seq},"at":{now_ms},"media_ms":{now_ms % 10_000_000},'
        f'"kind":"chat.posted","by":"bench-100","key":"{_KEY}","body":{{"text":"{text}"}}}}'
    ).encode()
    return b"\x81\x7e" + len(payload).to_bytes(2) + payload


class Flushes(Struct, frozen=True):
    """After which events to write: in steps of a mean that need not be whole."""

    events_per_write: float

    def after(self, written: int) -> int:
        """Give how many events there are at the next flush, once so many are written."""
        flush = int(written / self.events_per_write) + 1
        after = int(flush * self.events_per_write)
        return after if after > written else int((flush + 1) * self.events_per_write)


class Reader(asyncio.Protocol):
    """One connection, whose transport is among `readers` once it has said something after its handshake."""

    def __init__(self, readers: set[asyncio.Transport]) -> None:
        self._readers = readers
        self._head: bytes | None = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Let it in."""
        if self._head is not None:
            self._head += data
            if self._head.endswith(b"\r\n\r\n"):
                self._transport.write(accepted(self._head))
                self._head = None
        elif self._transport not in self._readers:
            self._transport.write(_JOINED)
            self._readers.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why does not matter
        """End."""
        self._readers.discard(self._transport)


async def pour(readers: set[asyncio.Transport], told: Pour) -> None:
    """Write all events when they are due."""
    schedule, flushes, written = told.schedule, Flushes(told.events_per_write if told.joined else 1.0), 0
    while written < schedule.count:
        target = min(flushes.after(written), schedule.count)
        await asyncio.sleep(max(0, schedule.due(target - 1) - monotonic_ns()) / SECOND)
        reached = max(target, schedule.reached(monotonic_ns()))
        now = int(time() * 1000)
        frames = [frame(n + 1, now, wire.stamp(schedule.due(n), told.size)) for n in range(written, reached)]
        for data in [b"".join(frames)] if told.joined else frames:
            for reader in readers:
                reader.write(data)
            # The loop gathers what is written in one round: a write of its own takes a round of its own.
            await asyncio.sleep(0)
        written = reached


async def main(port: int) -> None:
    """Serve until the process is ended."""
    readers: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Reader(readers), "127.0.0.1", port, backlog=4096)
    async with server:
        line = await asyncio.to_thread(sys.stdin.buffer.readline)
        await pour(readers, msgspec.json.decode(line, type=Pour))
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
