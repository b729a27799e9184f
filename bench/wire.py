"""The client's side of the wire, as little of it as a load client needs. Pure: bytes in, bytes out.

Frames are RFC 6455's. After the handshake and the two replies that let it in, a cheap client parses
nothing any more: it counts a marker in whatever arrives.
"""

import re
from typing import Any, Final

import msgspec
from msgspec import Struct
from websockets.frames import Frame, Opcode

from bench import prose

PATH: Final = "/v1/ws"
# What every event carries, and nothing else can: inside a JSON string its quotes would be escaped.
EVENT: Final = b'"type":"event"'

_SWITCHED: Final = b"HTTP/1.1 101 "
_END_OF_HEAD: Final = b"\r\n\r\n"
_RETRY_AFTER: Final = re.compile(rb"(?i)\r\nRetry-After: *(\d+)")
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
# The digits' end is part of the match, or a number cut in two would be taken for another.
_ANSWER: Final = re.compile(rb'"type":"(ack|error)","re":(\d+)[,}]')
# A masking key of zeros changes nothing, and costs nothing: whoever reads it works as much as for any other.
_NO_MASK: Final = bytes(4)
_MASKED: Final = 0x80
_TEXT: Final = 0x81
# Longer than the longest match of `_ANSWER`.
_CARRIED: Final = 48


class Unexpected(Exception):
    """The server said what this client cannot go on after. The message is one line for the operator.

    `retry_after` is in how many seconds to come again, where it said so.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def upgrade(host: str, port: int, path: str = PATH) -> bytes:
    """Give the request of the opening handshake."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: c3RhZ2V3aXJlIGJlbmNoIQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def frame(message: dict[str, Any]) -> bytes:
    """Encode a command and wrap it in a masked text frame."""
    return Frame(Opcode.TEXT, msgspec.json.encode(message)).serialize(mask=True)


def chat(number: int, session: str, key: str, text: str) -> bytes:
    """Give the frame of a message, at a tenth of what `frame` takes. The text needs no escapes, and is ASCII."""
    return masked(f'{{"id":{number},"type":"chat.send","session":"{session}","key":"{key}","text":"{text}"}}'.encode())


def masked(payload: bytes) -> bytes:
    """Wrap a message of up to 65,535 bytes in a text frame, masked with zeros."""
    size = len(payload)
    if size < _LENGTH_16:
        return b"%c%c%b%b" % (_TEXT, _MASKED | size, _NO_MASK, payload)
    return b"%c%c%b%b%b" % (_TEXT, _MASKED | _LENGTH_16, size.to_bytes(2), _NO_MASK, payload)


def after_head(data: bytes) -> bytes | None:
    """Give what follows the response's head, or nothing while the head is incomplete.

    Raises:
        Unexpected: the handshake was refused.
    """
    head, end, rest = data.partition(_END_OF_HEAD)
    if not end:
        return None
    if not head.startswith(_SWITCHED):
        again = _RETRY_AFTER.search(head)
        status = head.splitlines()[0].decode(errors="replace")
        raise Unexpected(f"the handshake was refused: {status}", float(again[1]) if again else None)
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
    """How far a log goes, or a reader has got in it."""

    epoch: str
    seq: int


class Reply(Struct, frozen=True):
    """What matters of any message before a client is let in."""

    type: str
    position: Position | None = None
    complete: bool = True
    code: str = ""
    message: str = ""


_decode_reply: Final = msgspec.json.Decoder(Reply).decode


class Admission:
    """The way in: say hello, join if there is a session, and then know where one starts from.

    With `since` it is the way back: `complete` tells whether what was missed came with the `joined`.
    """

    def __init__(self, token: str, session: str | None, since: Position | None = None) -> None:
        self.token = token
        self.session = session
        self.since = since
        self.position: Position | None = None
        self.complete = True

    def hello(self) -> bytes:
        """Give the first frame to send."""
        return frame({"id": 0, "type": "hello", "token": self.token, "client": "stagewire-bench"})

    def take(self, payload: bytes) -> bytes:
        """Take a message, and give the frames to send next, which may be none. `position` is set at the end.

        Raises:
            Unexpected: the server refused.
        """
        reply = _decode_reply(payload)
        if reply.type == "error":
            raise Unexpected(f"the server refused: {reply.code}, {reply.message}")
        if reply.type == "welcome" and self.session is not None:
            return frame(self._join(self.session))
        if reply.type in ("welcome", "joined"):
            self.position, self.complete = reply.position or Position("", 0), reply.complete
        return b""

    def _join(self, session: str) -> dict[str, Any]:
        join = {"id": 0, "type": "join", "session": session}
        return join if self.since is None else {**join, "since": msgspec.to_builtins(self.since)}


class Counter:
    """Counts a marker in a stream that comes in pieces, at the speed of `bytes.count`."""

    __slots__ = ("_marker", "_tail", "count")

    def __init__(self, marker: bytes = EVENT) -> None:
        self.count = 0
        self._marker = marker
        self._tail = b""

    def feed(self, buffer: bytes | bytearray, size: int) -> None:
        """Take the first `size` bytes of a buffer."""
        marker = self._marker
        keep = len(marker) - 1
        # Both sides of the seam are shorter than the marker: what is found in it lies across.
        seam = self._tail + buffer[: min(size, keep)]
        self.count += buffer.count(marker, 0, size) + seam.count(marker)
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
    """What a sample reads of a body: the text of a message, the state that the session has now."""

    text: str = ""
    state: str = ""


class Entry(Struct, frozen=True):
    """What a host reads of an entry of its inbox."""

    id: int
    kind: str = ""
    body: Body = Body()


class Push(Struct, frozen=True):
    """What a sample reads of a push, or of the answer to the command numbered `re`; a page of history has `events`."""

    type: str
    re: int | None = None
    seq: int = 0
    kind: str = ""
    body: Body = Body()
    upto: int = 0
    entries: list[Entry] = []
    events: list["Push"] = []


class Snapshot(Struct, frozen=True):
    """What a sample reads of a session's snapshot."""

    state: str


class Joined(Struct, frozen=True):
    """What a sample reads of a `joined`."""

    session: Snapshot
    events: list[Push]


push: Final = msgspec.json.Decoder(Push).decode
joined: Final = msgspec.json.Decoder(Joined).decode


def stamp(due_ns: int, size: int) -> str:
    """Write a text of at least `size` characters, up to 1,000, that says when its message was due."""
    due = f"{due_ns} "
    room = size - len(due)
    return due + prose.text(due_ns, room) if room > 0 else due


def due_of(text: str) -> int:
    """Read what `stamp` wrote."""
    return int(text.partition(" ")[0])
