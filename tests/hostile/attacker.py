"""A client that keeps to no rule: bytes out, and what comes back for them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, Final, Self

import msgspec

from realtime.protocol.codec import Format
from tests.support.frames import BINARY, CLOSE, TEXT, frame, request
from tests.support.nodes import Message, token
from tokens.access import AccessRole

WITHIN: Final = 15.0
# The last command of an exchange: its answer says that all before it was answered, and that the connection lives.
LAST: Final = 2**53 - 1
CUT: Final = 1006


class Attacker:
    """One socket. The server's frames are never masked or fragmented, so reading them is simple."""

    def __init__(self, port: int, fmt: Format = Format.JSON) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WITHIN)
        self._input = self.socket.makefile("rb")
        self._binary = fmt is Format.MSGPACK
        self._codec: Any = msgspec.msgpack if self._binary else msgspec.json

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._input.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes, as far as the server still takes them."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def say(self, **command: Any) -> None:
        """Send a proper command."""
        self.send(self.wrap(self._codec.encode(command)))

    def wrap(self, message: bytes) -> bytes:
        """Give a message in a frame of the kind that was agreed."""
        return frame(BINARY if self._binary else TEXT, message)

    def head(self) -> tuple[int, dict[str, str]]:
        """Give the status and the headers of a response; 0 where the server says nothing and closes."""
        line = self._input.readline()
        if not line:
            return 0, {}
        headers = {}
        while (field := self._input.readline().strip()) != b"":
            name, _, value = field.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return int(line.split()[1]), headers

    def body(self) -> tuple[int, bytes]:
        """Give the status of a response, and its body."""
        status, headers = self.head()
        return status, self._input.read(int(headers.get("content-length", "0")))

    def response(self) -> tuple[int, str | None]:
        """Give the status of a response, and the code that its body tells, if it is a refusal of ours."""
        status, body = self.body()
        refusal = body.startswith(b'{"error":')
        return status, str(msgspec.json.decode(body)["error"]["code"]) if refusal else None

    def shake_hands(self, fmt: Format = Format.JSON) -> None:
        """Open the WebSocket."""
        self.send(request(extra=f"Sec-WebSocket-Protocol: {fmt}\r\n"))
        status, _ = self.head()
        assert status == HTTPStatus.SWITCHING_PROTOCOLS

    def messages(self) -> Iterator[Message | int]:
        """Give what comes, message by message, and the close code last."""
        try:
            while True:
                opcode, payload = self._frame()
                if opcode == CLOSE:
                    yield int.from_bytes(payload[:2], "big")
                    return
                if opcode in (TEXT, BINARY):
                    yield self._codec.decode(payload)
        except (EOFError, ConnectionResetError):
            yield CUT

    def rest(self) -> bytes:
        """Read until the server closes."""
        try:
            return self._input.read()
        except ConnectionResetError:
            return b""

    def _frame(self) -> tuple[int, bytes]:
        first, size = self._exactly(2)
        if size >= 126:
            size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
        return first & 0x0F, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = self._input.read(size)
        if len(data) < size:
            raise EOFError
        return data


@contextmanager
def identified(
    port: int, user: str = "mallory", role: AccessRole = AccessRole.VIEWER, fmt: Format = Format.JSON
) -> Iterator[Attacker]:
    """Give an attacker who has a good token, and has said hello."""
    with Attacker(port, fmt) as attacker:
        attacker.shake_hands(fmt)
        attacker.say(type="hello", id=0, token=token(user, role))
        welcome = next(attacker.messages())
        assert isinstance(welcome, dict), welcome
        assert welcome["type"] == "welcome", welcome
        yield attacker


def answers(attacker: Attacker, *frames: bytes) -> list[str | int]:
    """Send frames; give what each was answered: a reply's type, an error's code, or the code of the close."""
    attacker.send(b"".join(frames))
    attacker.say(type="pong", id=LAST)
    found: list[str | int] = []
    for message in attacker.messages():
        if isinstance(message, int):
            return [*found, message]
        if message.get("re") == LAST:
            return found
        if message["type"] == "error" or "re" in message:
            found.append(str(message.get("code", message["type"])))
    return found
