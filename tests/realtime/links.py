"""Real connections over pairs of sockets, for tests of what is written to whom: no port, no server, no database."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from realtime.hub import Hub
from realtime.protocol.codec import Format
from realtime.settings import Settings
from realtime.transport import Connection, Service

FOREVER = 10.0


class Guests:
    """The least that a connection can serve: it lets the hub know of slow and lost ones."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def meet(self, connection: Connection) -> None:
        """Take anyone."""

    def admit(self, connection: Connection, forwarded: Sequence[str]) -> HTTPStatus:  # noqa: ARG002 - the service's interface
        """Welcome anyone."""
        return HTTPStatus.SWITCHING_PROTOCOLS

    def receive(self, connection: Connection, data: bytes) -> None:
        """Listen to nobody."""

    def lose(self, connection: Connection) -> None:
        """Take a connection out of all sessions, which its `peer` lists."""
        self.hub.catch_up(connection)
        for session in connection.peer or ():
            self.hub.detach(session, connection)

    def part(self, connection: Connection) -> None:
        """Forget it."""

    def fall_behind(self, connection: Connection) -> None:
        """Have the hub watch it."""
        self.hub.fall_behind(connection)

    def catch_up(self, connection: Connection) -> None:
        """Have the hub watch it no more."""
        self.hub.catch_up(connection)


class Link:
    """A connection, and the client at its other end, which reads only when asked to."""

    def __init__(self, connection: Connection, peer: socket.socket, fmt: Format) -> None:
        self.connection = connection
        self.format = fmt
        self._peer = peer
        self._core = ClientProtocol(parse_uri("ws://localhost/v1/ws"), subprotocols=[Subprotocol(fmt)], max_size=None)
        self._frames: list[Frame] = []

    async def shake_hands(self) -> None:
        """Open the WebSocket."""
        self._core.send_request(self._core.connect())
        await asyncio.get_running_loop().sock_sendall(self._peer, b"".join(self._core.data_to_send()))
        while not self.connection.open:
            await self._feed()

    def join(self, hub: Hub, *sessions: str) -> None:
        """Follow sessions, until the connection is lost."""
        self.connection.peer = sessions
        for session in sessions:
            hub.attach(session, self.connection)

    async def send(self, *messages: Any) -> None:
        """Send messages in one go."""
        for message in messages:
            if self.format is Format.MSGPACK:
                self._core.send_binary(msgspec.msgpack.encode(message))
            else:
                self._core.send_text(msgspec.json.encode(message))
        await asyncio.get_running_loop().sock_sendall(self._peer, b"".join(self._core.data_to_send()))

    async def receive(self) -> Any:
        """Give the next message."""
        frame = await self._frame()
        assert frame.opcode is (Opcode.BINARY if self.format is Format.MSGPACK else Opcode.TEXT), frame
        return (msgspec.msgpack if self.format is Format.MSGPACK else msgspec.json).decode(frame.data)

    async def until(self, last: Any) -> list[Any]:
        """Give all messages that come before `last`."""
        found = []
        while (message := await self.receive()) != last:
            found.append(message)
        return found

    async def rest(self) -> tuple[list[Any], int]:
        """Read to the end; give the messages and the close code."""
        found = []
        while (frame := await self._frame()).opcode is not Opcode.CLOSE:
            found.append(msgspec.json.decode(frame.data))
        return found, int.from_bytes(frame.data[:2], "big")

    async def read_along(self, count: int) -> list[Any]:
        """Give the next so many messages."""
        return [await self.receive() for _ in range(count)]

    def idle(self) -> bool:
        """Tell whether nothing at all has arrived."""
        try:
            return not self._frames and not self._peer.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True

    async def _frame(self) -> Frame:
        async with asyncio.timeout(FOREVER):
            while not self._frames:
                await self._feed()
        return self._frames.pop(0)

    async def _feed(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self._peer, 65_536)
        assert data, "the connection was cut"
        self._core.receive_data(data)
        self._frames += [event for event in self._core.events_received() if isinstance(event, Frame)]


def _same(connection: Connection) -> Connection:
    return connection


@asynccontextmanager
async def linked(
    hub: Hub, settings: Settings, *formats: Format, service: Service | None = None
) -> AsyncIterator[list[Link]]:
    """Give open links, one of each format named."""
    links, peers = [], []
    try:
        for fmt in formats:
            ours, theirs = socket.socketpair()
            theirs.setblocking(False)
            peers.append(theirs)
            connection = Connection(service or Guests(hub), settings, None)
            await asyncio.get_running_loop().create_connection(partial(_same, connection), sock=ours)
            link = Link(connection, theirs, fmt)
            await link.shake_hands()
            links.append(link)
        yield links
    finally:
        for link in links:
            link.connection._transport.abort()
        for peer in peers:
            peer.close()
        # The loop tells of a cut in its next turn.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
