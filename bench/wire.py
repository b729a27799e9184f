"""The client's side of the wire, as little of it as a load client needs. Pure: bytes in, bytes out.

Frames are RFC 6455's. After the handshake and the two replies that let it in, a cheap client parses
nothing any more: it counts a marker in whatever arrives.
"""

import re
from typing import Any, Final

import msgspec
from msgspec import Struct
from websockets.frames import Frame, Opcode

PATH: Final = "/v1/ws"
# What every event carries, and nothing else can: inside a JSON string its quotes would be escaped.
EVENT: Final = b'"type":"event"'

_SWITCHED: Final = b"HTTP/1.1 101 "
_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
# The digits' end is part of the match, or a number cut in two would be taken for another.
_ANSWER: Final = re.compile(rb'"type":"(ack|error)","re":(\d+)[,}]')
# Longer than the longest match of `_ANSWER`.
_CARRIED: Final = 48


class Unexpected(Exception):
    """The server said what this client cannot go on after. The message is one line for the operator."""


def upgrade(host: str, port: int) -> bytes:
    """Give the request of the opening handshake."""
    return (
        f"GET {PATH} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: c3RhZ2V3aXJlIGJlbmNoIQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def frame(message: dict[str, Any]) -> bytes:
    """Encode a command and wrap it in a masked text frame."""
    return Frame(Opcode.TEXT, msgspec.json.encode(message)).serialize(mask=True)


def after_head(data: bytes) -> bytes | None:
    """Give what follows the response's head, or nothing while the head is incomplete.

    Raises:
        Unexpected: the handshake was refused.
    """
    head, end, rest = data.partition(_END_OF_HEAD)
    if not end:
        return None
    if not head.startswith(_SWITCHED):
        raise Unexpected(f"the handshake was refused: {head.splitlines()[0].decode(errors='replace')}")
    return rest


def next_frame(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Give the first frame's opcode and payload, and the rest; nothing while it is incomplete."""
    if len(data) < 2:  # noqa: PLR2004 - a header's shortest form
        return None
    length, start = data[1], 2
    if length == _LENGTH_16:
        length, start = int.from_bytes(data[2:4]), 4
    elif length == _LENGTH_64:
        length, start = int.from_bytes(data[2:10]), 10
    if len(data) < start + length:
        return None
    return data[0] & 0x0F, data[start : start + length], data[start + length :]


class Position(Struct, frozen=True):
    """How far a log goes."""

    seq: int


class Reply(Struct, frozen=True):
    """What matters of any message before a client is let in."""

    type: str
    position: Position | None = None
    code: str = ""
    message: str = ""


_decode_reply: Final = msgspec.json.Decoder(Reply).decode


class Admission:
    """The way in: say hello, join if there is a session, and then know the position one starts from."""

    def __init__(self, token: str, session: str | None) -> None:
        self.position: int | None = None
        self._token = token
        self._session = session

    def hello(self) -> bytes:
        """Give the first frame to send."""
        return frame({"id": 0, "type": "hello", "token": self._token, "client": "stagewire-bench"})

    def take(self, payload: bytes) -> bytes:
        """Take a message, and give the frames to send next, which may be none. `position` is set at the end.

        Raises:
            Unexpected: the server refused.
        """
        reply = _decode_reply(payload)
        if reply.type == "error":
            raise Unexpected(f"the server refused: {reply.code}, {reply.message}")
        if reply.type == "welcome" and self._session is not None:
            return frame({"id": 0, "type": "join", "session": self._session})
        if reply.type in ("welcome", "joined"):
            self.position = reply.position.seq if reply.position else 0
        return b""


class Counter:
    """Counts a marker in a stream that comes in pieces, at the speed of `bytes.count`."""

    __slots__ = ("_tail", "count")

    def __init__(self) -> None:
        self.count = 0
        self._tail = b""

    def feed(self, buffer: bytes | bytearray, size: int) -> None:
        """Take the first `size` bytes of a buffer."""
        keep = len(EVENT) - 1
        # Both sides of the seam are shorter than the marker: what is found in it lies across.
        seam = self._tail + buffer[: min(size, keep)]
        self.count += buffer.count(EVENT, 0, size) + seam.count(EVENT)
        self._tail = bytes(seam[-keep:] if size < keep else buffer[size - keep : size])


class Answers:
    """Finds the answers to commands in a stream that comes in pieces."""

    __slots__ = ("_carried",)

    def __init__(self) -> None:
        self._carried = b""

    def feed(self, data: bytes) -> list[tuple[bool, int]]:
        """Give (whether it was an ack, the command's id) for each. One near a seam may be given twice."""
        seen = self._carried + data
        self._carried = seen[-_CARRIED:]
        return [(kind == b"ack", int(number)) for kind, number in _ANSWER.findall(seen)]


class Body(Struct, frozen=True):
    """The body of a chat event; of others, nothing of it."""

    text: str = ""


class Push(Struct, frozen=True):
    """What a sample reads of a push."""

    type: str
    seq: int = 0
    kind: str = ""
    body: Body | None = None


_decode_push: Final = msgspec.json.Decoder(Push).decode


def event(payload: bytes) -> Push | None:
    """Give the event that a message carries, if it is one."""
    push = _decode_push(payload)
    return push if push.type == "event" else None


def stamp(due_ns: int, size: int) -> str:
    """Write a text of at least `size` characters that says when its message was due."""
    return f"{due_ns} ".ljust(size, "x")


def due_of(text: str) -> int:
    """Read what `stamp` wrote."""
    return int(text.partition(" ")[0])
