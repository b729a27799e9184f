"""What the peers speak, as little of it as a load client needs. Pure: messages in, messages out.

A dialect says how a client gets into the one room of the run, how it says something, and how an event looks.
Sources: Engine.IO protocol 4 and Socket.IO protocol 5 (github.com/socketio/engine.io-protocol, socket.io-protocol),
and Centrifugo's client protocol (centrifugal.dev/docs/transports/client_protocol).
"""

from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from bench.wire import Unexpected, due_of

ROOM: Final = "bench"
_encode: Final = msgspec.json.encode


class Said(Struct, frozen=True):
    """What a sample reads of an event: its place in the room's order, and when it was due, in nanoseconds."""

    seq: int
    due: int


class Dialect(Protocol):
    """How to talk to one kind of server. Messages are the payloads of text frames."""

    @property
    def path(self) -> str:
        """Give where the WebSocket is."""

    @property
    def marker(self) -> bytes:
        """Give what every event contains once, and nothing else can."""

    def greet(self) -> bytes:
        """Give the first message of a client, or nothing where the server speaks first."""

    def enter(self, message: bytes) -> bytes | None:
        """Take a message on the way in; give the answer, which may be nothing, or None when one is in.

        Raises:
            Unexpected: the server refused.
        """

    def say(self, number: int, user: str, text: str) -> bytes:
        """Give a message that says something. Numbers differ between those of a client."""

    def events(self, message: bytes) -> list[Said]:
        """Read the events that a message carries."""


class _Event(Struct, frozen=True):
    type: str = ""
    seq: int = 0
    text: str = ""
    body: "_Event | None" = None

    def said(self) -> Said:
        return Said(self.seq, due_of(self.body.text if self.body else self.text))


class _Room:
    """JSON objects with a type: what the programs of `bench.peers` speak on a bare WebSocket library."""

    path = "/"
    marker = b'"type":"event"'

    def greet(self) -> bytes:
        return _encode({"type": "join", "room": ROOM})

    def enter(self, message: bytes) -> bytes | None:
        if _type(message) == "joined":
            return None
        raise Unexpected(f"the room was not entered: {message[:100]!r}")

    def say(self, number: int, user: str, text: str) -> bytes:  # noqa: ARG002 - nobody answers
        return _encode({"type": "chat", "user": user, "text": text})

    def events(self, message: bytes) -> list[Said]:
        event = msgspec.json.decode(message, type=_Event)
        return [event.said()] if event.type == "event" else []


def _type(message: bytes) -> Any:
    return msgspec.json.decode(message).get("type")


class _SocketIO:
    """Engine.IO packets (`0` open, `4` message) that hold Socket.IO packets (`0` connect, `2` event, `3` ack)."""

    path = "/socket.io/?EIO=4&transport=websocket"
    marker = b'42["event",'

    def greet(self) -> bytes:
        return b""

    def enter(self, message: bytes) -> bytes | None:
        if message.startswith(b"0{"):
            return b"40"
        if message.startswith(b"40{"):
            return b'420["join"]'
        if message.startswith(b"430["):
            return None
        raise Unexpected(f"the room was not entered: {message[:100]!r}")

    def say(self, number: int, user: str, text: str) -> bytes:  # noqa: ARG002 - nobody answers
        return b"42" + _encode(["chat", {"user": user, "text": text}])

    def events(self, message: bytes) -> list[Said]:
        if not message.startswith(self.marker):
            return []
        return [msgspec.json.decode(message[2:], type=tuple[str, _Event])[1].said()]


class _Publication(Struct, frozen=True):
    data: _Event
    offset: int = 0


class _Push(Struct, frozen=True):
    pub: _Publication | None = None


class _Reply(Struct, frozen=True):
    id: int = 0
    push: _Push | None = None
    error: dict[str, Any] | None = None


class _Centrifugo:
    """Commands and replies of Centrifugo, one JSON object to a line, several lines to a frame.

    A publication's `offset` counts within its channel, which keeps a short history for that alone.
    """

    path = "/connection/websocket"
    marker = b'"pub":{'
    _CONNECT: Final = 1
    _SUBSCRIBE: Final = 2

    def greet(self) -> bytes:
        return _encode({"id": self._CONNECT, "connect": {}})

    def enter(self, message: bytes) -> bytes | None:
        (reply, *_) = _replies(message)
        if reply.error or reply.id not in (self._CONNECT, self._SUBSCRIBE):
            raise Unexpected(f"the room was not entered: {message[:100]!r}")
        if reply.id == self._SUBSCRIBE:
            return None
        return _encode({"id": self._SUBSCRIBE, "subscribe": {"channel": ROOM}})

    def say(self, number: int, user: str, text: str) -> bytes:
        command = {"channel": ROOM, "data": {"type": "event", "user": user, "text": text}}
        return _encode({"id": self._SUBSCRIBE + 1 + number, "publish": command})

    def events(self, message: bytes) -> list[Said]:
        found = [reply.push.pub for reply in _replies(message) if reply.push and reply.push.pub]
        return [Said(publication.offset, publication.data.said().due) for publication in found]


def _replies(message: bytes) -> list[_Reply]:
    return [msgspec.json.decode(line, type=_Reply) for line in message.split(b"\n") if line]


DIALECTS: Final[dict[str, Dialect]] = {"room": _Room(), "socketio": _SocketIO(), "centrifugo": _Centrifugo()}
