"""A relay before a server's socket: a network that a test can freeze and cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from ssl import SSLContext
from urllib.parse import parse_qs, urlsplit

from tests.support.processes import free_port


class Relay:
    """Passes bytes on, both ways, while it flows: to a Unix socket, by its path, or to a port of this machine."""

    def __init__(self, beyond: str | int, url: str, port: int, tls: SSLContext | None = None) -> None:
        self.url = url
        self._tls = tls
        self._beyond = beyond
        self.port = port
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()

    def freeze(self) -> None:
        """Hold everything back, as a network does that has gone away without a word."""
        self._flows.clear()

    def thaw(self) -> None:
        """Let everything flow again."""
        self._flows.set()

    async def listen(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)

    async def cut(self) -> None:
        """End all connections, and refuse new ones."""
        if self._server is not None:
            self._server.close()
        await self.drop()

    async def drop(self) -> None:
        """End all connections."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        with suppress(OSError, asyncio.CancelledError):
            async with AsyncExitStack() as stack:
                stack.enter_context(closing(writer))
                await self._flows.wait()
                up_reader, up_writer = await self._dial()
                stack.enter_context(closing(up_writer))
                await self._pass_on(reader, up_writer, up_reader, writer)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._beyond, int):
            return await asyncio.open_connection("127.0.0.1", self._beyond)
        return await asyncio.open_unix_connection(self._beyond)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        pumps = [asyncio.create_task(self._pump(reader, up_writer)), asyncio.create_task(self._pump(up_reader, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def relayed(url: str, tls: SSLContext | None = None) -> AsyncIterator[Relay]:
    """Put a relay before the Postgres or Redis at `url`, which listens on a Unix socket. `tls` is for Redis alone."""
    parts, port = urlsplit(url), free_port()
    if parts.scheme == "unix":
        relay = Relay(parts.path, f"{'rediss' if tls else 'redis'}://127.0.0.1:{port}", port, tls)
    else:
        options = parse_qs(parts.query)
        path = f"{options['host'][0]}/.s.PGSQL.{options['port'][0]}"
        relay = Relay(path, f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}", port)
    await relay.listen()
    try:
        yield relay
    finally:
        await relay.cut()


@asynccontextmanager
async def relayed_websocket(url: str) -> AsyncIterator[Relay]:
    """Put a relay before the node at `url`, which listens on a port."""
    parts, port = urlsplit(url), free_port()
    assert parts.port is not None
    relay = Relay(parts.port, f"{parts.scheme}://127.0.0.1:{port}{parts.path}", port)
    await relay.listen()
    try:
        yield relay
    finally:
        await relay.cut()
