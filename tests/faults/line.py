"""A client's connection, as cheap as one can be that reads everything: a million messages have to pass."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, cast

import msgspec
from msgspec import Struct
from websockets.frames import Frame, Opcode

from realtime.protocol.codec import Format

_SWITCHED: Final = b"HTTP/1.1 101 "
_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_CLOSED_WITHOUT: Final = 1006


class Gone(Exception):
    """The connection is over, or as good as that."""


class Position(Struct, frozen=True):
    """How far a reader has got."""

    epoch: str
    seq: int


class Body(Struct, frozen=True, gc=False):
    """What an event says."""

    text: str | None = None


class Event(Struct, frozen=True, gc=False):
    """An entry of the log, on the wire."""

    seq: int
    by: str
    body: Body
    key: str | None = None
    session: str = ""


class Message(Struct, frozen=True):
    """Whatever the server says, as far as anyone here wants to know. What is left out is not of its type."""

    type: str
    re: int | None = None
    session: Any = None
    seq: int = 0
    by: str = ""
    key: str | None = None
    body: Body | None = None
    code: str = ""
    message: str = ""
    state: str = ""
    retry_after_ms: int = 0
    complete: bool = True
    more: bool = False
    position: Position | None = None
    events: list[Event] = []
    heads: dict[str, Position] = {}


_DECODERS: Final[dict[Format, Callable[[bytes], Message]]] = {
    Format.JSON: msgspec.json.Decoder(Message).decode,
    Format.MSGPACK: msgspec.msgpack.Decoder(Message).decode,
}
_ENCODERS: Final[dict[Format, Callable[[Any], bytes]]] = {
    Format.JSON: msgspec.json.encode,
    Format.MSGPACK: msgspec.msgpack.encode,
}


class Line(asyncio.Protocol):
    """One WebSocket. `take` gets every message, in order; `heard` is when anything last came."""

    def __init__(self, fmt: Format, take: Callable[[Message], None]) -> None:
        self.heard = monotonic()
        self.close_code = 0
        self._opcode = Opcode.BINARY if fmt is Format.MSGPACK else Opcode.TEXT
        self._encode = _ENCODERS[fmt]
        self._decode = _DECODERS[fmt]
        self._take = take
        self._format = fmt
        self._unread = b""
        self._upgraded = False
        self._transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def open(self) -> bool:
        """Tell whether something can be said."""
        return not self.lost.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(
            "GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: c3RhZ2V3aXJlIGZhdWx0cw==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {self._format}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take the frames that are whole."""
        self.heard = monotonic()
        data = self._unread + data if self._unread else data
        if not self._upgraded:
            head, end, data = data.partition(_END_OF_HEAD)
            if not end:
                self._unread = head
                return
            self._upgrade(head)
        start = 0
        while self.open and (frame := _frame(data, start)) is not None:
            opcode, begin, start = frame
            self._serve(opcode, data[begin:start])
        self._unread = data[start:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that it is over."""
        if not self.opened.done():
            self.opened.set_exception(Gone(str(exc)))
            self.opened.exception()
        if not self.lost.done():
            self.close_code = self.close_code or _CLOSED_WITHOUT
            self.lost.set_result(None)

    def say(self, *commands: dict[str, Any]) -> None:
        """Say something, in one write."""
        if self.open and self._transport is not None:
            encode, opcode = self._encode, self._opcode
            frames = [Frame(opcode, encode(command)).serialize(mask=True) for command in commands]
            self._transport.write(b"".join(frames))

    def drop(self) -> None:
        """Hang up without a word."""
        if self._transport is not None:
            self._transport.abort()
        if not self.lost.done():
            self.lost.set_result(None)

    def _upgrade(self, head: bytes) -> None:
        self._upgraded = True
        if head.startswith(_SWITCHED):
            self.opened.set_result(None)
        else:
            self.drop()

    def _serve(self, opcode: int, payload: bytes) -> None:
        if opcode == self._opcode:
            self._take(self._decode(payload))
        elif opcode == Opcode.CLOSE:
            self.close_code = int.from_bytes(payload[:2])
            self.drop()
        else:
            raise AssertionError(f"the server sent a frame of the kind {opcode}")


def _frame(data: bytes, start: int) -> tuple[int, int, int] | None:
    """Give a frame's opcode and where its payload begins and ends; nothing while it is incomplete (RFC 6455, 5.2)."""
    if len(data) < start + 2:
        return None
    length, begin = data[start + 1], start + 2
    if length == _LENGTH_16:
        begin = start + 4
        length = int.from_bytes(data[start + 2 : begin])
    elif length == _LENGTH_64:
        begin = start + 10
        length = int.from_bytes(data[start + 2 : begin])
    if len(data) < begin + length:
        return None
    return data[start] & 0x0F, begin, begin + length
