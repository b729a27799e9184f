"""The writing half of a connection: whole frames, many of them in one write."""

import asyncio
from collections.abc import Iterable
from fcntl import ioctl
from sys import byteorder
from termios import TIOCOUTQ
from typing import Final

# Below this the kernel and the event loop buffer in peace; above it a reader counts as behind.
HIGH_WATER: Final = 65_536


class Outgoing(asyncio.Protocol):
    """Writes frames, in the order in which they are given.

    A write costs some 6 µs, nearly all of it the kernel's, whether it is of one reply or of a hundred. So what is
    posted in one turn of the event loop, like the answers to all that one commit has stored, leaves in one write.
    """

    __slots__ = ("_loop", "_posted", "_posted_size", "_transport", "allowance")

    _loop: asyncio.AbstractEventLoop
    _transport: asyncio.Transport

    def __init__(self) -> None:
        # Bytes of large replies that wait: a long replay is no reason to call the peer slow.
        self.allowance = 0
        self._posted: list[bytes] = []
        self._posted_size = 0

    @property
    def outgoing(self) -> int:
        """Count the bytes that wait for the peer."""
        return self._transport.get_write_buffer_size() + self._posted_size

    @property
    def in_kernel(self) -> int:
        """Count the bytes that the kernel has, and that the peer has not taken yet (tcp(7), `SIOCOUTQ`)."""
        descriptor = self._transport.get_extra_info("socket").fileno()
        return int.from_bytes(ioctl(descriptor, TIOCOUTQ, bytes(4)), byteorder)

    def write(self, frames: bytes) -> None:
        """Write whole frames. Whoever they can't be written to has missed something, and is gone."""
        self.write_to_all((self,), frames)

    @staticmethod
    def write_to_all(connections: "Iterable[Outgoing]", frames: bytes) -> None:
        """Write the same frames to many: a call of `write` for each would take a twentieth of it all."""
        for connection in connections:
            try:
                if connection._posted:
                    connection._write_posted()
                connection._transport.write(frames)
            except RuntimeError:
                # That is how the loop says that it is closing. The others must not pay for it.
                connection._transport.abort()

    def _post(self, frame: bytes) -> None:
        """Write a frame in this turn of the loop."""
        size = len(frame)
        if size > HIGH_WATER:
            # With what still waits, and no more: replies that are read would add up.
            self.allowance = min(self.allowance, self.outgoing) + size
        if not self._posted:
            self._loop.call_soon(self._write_posted)
        self._posted.append(frame)
        self._posted_size += size
        if self._posted_size > HIGH_WATER:
            self._write_posted()
            if not self.outgoing:
                self.allowance = 0

    def _write_posted(self) -> None:
        if self._posted:
            frames = b"".join(self._posted)
            self._forget_posted()
            self._transport.write(frames)

    def _forget_posted(self) -> None:
        self._posted.clear()
        self._posted_size = 0
