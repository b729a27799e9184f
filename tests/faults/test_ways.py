"""A way passes everything on while it flows, and fails in each of the ways that it offers."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from tests.faults.ways import Hints, Way

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
GONE = (ConnectionError, asyncio.IncompleteReadError)
HINT = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n"


class Server:
    """Echoes, and keeps its connections."""

    def __init__(self) -> None:
        self.met: asyncio.Queue[Streams] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Echo until the end."""
        self._writers.append(writer)
        self.met.put_nowait((reader, writer))

    def close(self) -> None:
        """Hang up."""
        for writer in self._writers:
            writer.transport.abort()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, int]]:
    echo = Server()
    listening = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    yield echo, listening.sockets[0].getsockname()[1]
    echo.close()
    listening.close()


@asynccontextmanager
async def way_to(port: int, hints: Hints | None = None) -> AsyncIterator[Way]:
    way = Way(("127.0.0.1", port), hints)
    await way.open()
    try:
        yield way
    finally:
        await way.close()


@asynccontextmanager
async def across(echo: Server, way: Way) -> AsyncIterator[tuple[Streams, Streams]]:
    """Give a client's streams, and the server's of the same connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
    try:
        async with asyncio.timeout(5):
            yield (reader, writer), await echo.met.get()
    finally:
        writer.transport.abort()


async def silent(reader: asyncio.StreamReader) -> bool:
    """Tell whether nothing comes for a while."""
    try:
        async with asyncio.timeout(0.1):
            await reader.readexactly(1)
    except TimeoutError:
        return True
    return False


async def test_everything_passes_both_ways(server: tuple[Server, int]) -> None:
    echo, port = server
    big = bytes(range(256)) * 40_000
    async with way_to(port) as way, across(echo, way) as ((reader, writer), (far_reader, far_writer)):
        writer.write(big)
        far_writer.write(b"answer")
        assert await far_reader.readexactly(len(big)) == big
        assert await reader.readexactly(6) == b"answer"
        writer.close()
        assert await far_reader.read() == b""


async def test_what_is_said_at_once_arrives(server: tuple[Server, int]) -> None:
    echo, port = server
    async with way_to(port) as way:
        # What a blocking client says before the loop looks comes in with the connection itself.
        with socket.create_connection(("127.0.0.1", way.port)) as client:
            client.sendall(b"hello")
            async with asyncio.timeout(5):
                reader, _ = await echo.met.get()
                assert await reader.readexactly(5) == b"hello"


async def test_what_is_frozen_comes_later(server: tuple[Server, int]) -> None:
    echo, port = server
    async with way_to(port) as way, across(echo, way) as ((_, writer), (far_reader, _far_writer)):
        way.freeze()
        writer.write(b"x")
        assert await silent(far_reader)
        way.mend()
        assert await far_reader.readexactly(1) == b"x"


async def test_what_is_cut_is_over_and_refused_until_mended(server: tuple[Server, int]) -> None:
    echo, port = server
    async with way_to(port) as way:
        async with across(echo, way) as ((reader, _), (far_reader, _far_writer)):
            way.cut()
            with pytest.raises(GONE):
                await reader.readexactly(1)
            with pytest.raises(GONE):
                await far_reader.readexactly(1)
        refused, writer = await asyncio.open_connection("127.0.0.1", way.port)
        with pytest.raises(GONE):
            await refused.readexactly(1)
        writer.transport.abort()
        way.mend()
        async with across(echo, way) as ((_, writer), (far_reader, _far_writer)):
            writer.write(b"x")
            assert await far_reader.readexactly(1) == b"x"


@pytest.mark.parametrize("near", [True, False])
async def test_half_of_a_connection_can_go(server: tuple[Server, int], near: bool) -> None:
    echo, port = server
    async with way_to(port) as way, across(echo, way) as (ours, theirs):
        gone, stays = (ours, theirs) if near else (theirs, ours)
        way.strand(near=near)
        with pytest.raises(GONE):
            await gone[0].readexactly(1)
        assert await silent(stays[0])
        way.mend()
        with pytest.raises(GONE):
            await stays[0].readexactly(1)


async def test_a_slow_way_keeps_the_order(server: tuple[Server, int]) -> None:
    echo, port = server
    async with way_to(port) as way, across(echo, way) as ((_, writer), (far_reader, _far_writer)):
        way.slow = 0.15
        for number in range(3):
            writer.write(str(number).encode())
            await writer.drain()
        assert await silent(far_reader)
        way.mend()
        writer.write(b"3")
        assert await far_reader.readexactly(4) == b"0123"


async def test_hints_are_lost_and_late_and_nothing_else(server: tuple[Server, int]) -> None:
    echo, port = server
    hints = Hints(Random(1))
    async with way_to(port, hints) as way, across(echo, way) as ((reader, _), (_far_reader, far_writer)):
        hints.lost = 1.0
        far_writer.write(HINT + b"+PONG\r\n" + HINT[:10])
        assert await reader.readexactly(7) == b"+PONG\r\n"
        far_writer.write(HINT[10:] + b":1\r\n")
        assert await reader.readexactly(4) == b":1\r\n"
        way.mend()
        hints.late = 0.05
        far_writer.write(HINT)
        assert await reader.readexactly(len(HINT)) == HINT
        assert (hints.dropped, hints.delayed) == (2, 1)
