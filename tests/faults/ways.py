"""A network between two programs that can be frozen, cut, slowed and half closed, and that can lose hints."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import cast

from tests.faults.resp import Splitter, is_hint

# Where a server listens: on a Unix socket, or on a port of an address.
Place = Path | tuple[str, int]


class Hints:
    """What becomes of the hints on a way: the part `lost` of them, from 0 to 1; the others come `late` by seconds."""

    def __init__(self, random: Random) -> None:
        self.lost = 0.0
        self.late = 0.0
        self.dropped = 0
        self.delayed = 0
        self._random = random

    def sift(self, splitter: Splitter, data: bytes, write: Callable[[bytes], None]) -> None:
        """Write what may pass."""
        passing = [reply for reply in splitter.feed(data) if not (is_hint(reply) and self._hold(reply, write))]
        if passing:
            write(b"".join(passing))

    def _hold(self, hint: bytes, write: Callable[[bytes], None]) -> bool:
        if self._random.random() < self.lost:
            self.dropped += 1
        elif self.late:
            self.delayed += 1
            # Each by another time, so that they also overtake each other.
            asyncio.get_running_loop().call_later(self._random.uniform(0.0, self.late), write, hint)
        else:
            return False
        return True


class Way:
    """Listens on `port` of 127.0.0.1, and passes on to the server at `place` and back."""

    def __init__(self, place: Place, hints: Hints | None = None) -> None:
        self.place = place
        self.hints = hints
        self.frozen = False
        self.slow = 0.0
        self.passages: set[Passage] = set()
        self._refusing = False
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Give where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self) -> None:
        """Take connections."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Passage(self).near, "127.0.0.1", 0, backlog=1024)

    async def close(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.sleep(0)

    def freeze(self) -> None:
        """Hold everything back, as a network does that has gone away without a word."""
        self.frozen = True
        self._regulate()

    def cut(self) -> None:
        """End all connections, and refuse new ones."""
        self._refusing = True
        for passage in list(self.passages):
            passage.close()

    def strand(self, *, near: bool) -> None:
        """End one side of all connections; the other side is told nothing."""
        for passage in list(self.passages):
            passage.strand(passage.near if near else passage.far)

    def mend(self) -> None:
        """Let everything flow again; what is half open is closed."""
        self.frozen = self._refusing = False
        self.slow = 0.0
        if self.hints is not None:
            self.hints.lost = self.hints.late = 0.0
        for passage in [passage for passage in self.passages if passage.stranded]:
            passage.close()
        self._regulate()

    def admits(self) -> bool:
        """Tell whether new connections are taken."""
        return not self._refusing

    def _regulate(self) -> None:
        for passage in self.passages:
            passage.regulate()


class Passage:
    """One connection through a way: the end near to who connected, and the one far from them, at the server."""

    def __init__(self, way: Way) -> None:
        self.stranded = False
        self.near = End(self)
        self.far = End(self)
        self._way = way
        self._splitter = Splitter()
        self._connecting: asyncio.Task[None] | None = None

    def begin(self, end: "End") -> None:
        """Go on when an end is there: from the near one to the server."""
        if end is self.near:
            if not self._way.admits():
                end.abort()
                return
            self._way.passages.add(self)
            self._connecting = asyncio.create_task(self._connect())
        # Not at once: uvloop begins to read after `connection_made`, whatever that has said, and may have read
        # something before it is told not to. An end that is not there yet keeps that.
        asyncio.get_running_loop().call_soon(self.regulate)

    def take(self, end: "End", data: bytes) -> None:
        """Pass on what came in at an end."""
        other = self.other(end)
        if self._way.hints is not None and end is self.far:
            self._way.hints.sift(self._splitter, data, other.write)
        else:
            other.write(data, self._way.slow)

    def other(self, end: "End") -> "End":
        """Give the end across."""
        return self.far if end is self.near else self.near

    def regulate(self) -> None:
        """Read at each end while what is read can be passed on."""
        flows = not self._way.frozen and not self.stranded
        for end in (self.near, self.far):
            end.read(flows and self.other(end).takes)

    def strand(self, end: "End") -> None:
        """End one side alone."""
        self.stranded = True
        end.abort()
        self.regulate()

    def lose(self) -> None:
        """End the other side with the one that is gone."""
        if not self.stranded:
            self.close()

    def close(self) -> None:
        """End both sides."""
        self._way.passages.discard(self)
        if self._connecting is not None:
            self._connecting.cancel()
        self.near.abort()
        self.far.abort()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        place = self._way.place
        try:
            if isinstance(place, Path):
                await loop.create_unix_connection(lambda: self.far, str(place))
            else:
                await loop.create_connection(lambda: self.far, *place)
        except OSError:
            self.close()


class End(asyncio.Protocol):
    """One side of a passage."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage
        self._transport: asyncio.Transport | None = None
        self._full = False
        self._reading = True
        self._early: list[bytes] = []
        self._late: deque[bytes] = deque()

    @property
    def takes(self) -> bool:
        """Tell whether more can be written."""
        return self._transport is not None and not self._full

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.writelines(self._early)
        self._early.clear()
        self._passage.begin(self)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self._passage.take(self, data)

    def pause_writing(self) -> None:
        """Read no more than the other side takes."""
        self._full = True
        self._passage.regulate()

    def resume_writing(self) -> None:
        """Read on."""
        self._full = False
        self._passage.regulate()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the other side learns no reason
        """End the other side, too."""
        self._passage.lose()

    def write(self, data: bytes, late: float = 0.0) -> None:
        """Write, so many seconds late, and never before what is late already."""
        if late or self._late:
            self._late.append(data)
            asyncio.get_running_loop().call_later(late, self._write_oldest)
        else:
            self._write(data)

    def _write_oldest(self) -> None:
        self._write(self._late.popleft())

    def _write(self, data: bytes) -> None:
        if self._transport is None:
            self._early.append(data)
        elif not self._transport.is_closing():
            self._transport.write(data)

    def read(self, wanted: bool) -> None:
        """Read, or leave what comes with the kernel."""
        if self._transport is None or self._transport.is_closing() or wanted is self._reading:
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            with suppress(OSError):
                self._transport.abort()
