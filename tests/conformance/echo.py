"""Our transport with the plainest service there is: what comes is sent back, text as text and bytes as bytes."""

from collections.abc import Sequence
from http import HTTPStatus

from websockets.frames import Frame, Opcode

from realtime.frames import to_frame
from realtime.protocol.codec import JSON, MSGPACK, NotText
from realtime.settings import Settings
from realtime.transport import Connection

# The suite sends messages of 16 MiB, as one frame, and in a hundred thousand.
SETTINGS = Settings(max_frame=32 << 20, small_frames=10_000_000)


class Echo:
    """A service that says what it hears."""

    def meet(self, connection: Connection) -> None:
        """Take anyone."""

    def admit(self, connection: Connection, forwarded: Sequence[str]) -> HTTPStatus:  # noqa: ARG002 - the service's interface
        """Welcome anyone."""
        return HTTPStatus.SWITCHING_PROTOCOLS

    def receive(self, connection: Connection, data: bytes) -> None:
        """Say it back; what is called text must be."""
        if not connection.codec.binary:
            try:
                data.decode()
            except UnicodeDecodeError as exc:
                raise NotText from exc
        connection.write(to_frame(data, binary=connection.codec.binary))

    def lose(self, connection: Connection) -> None:
        """Forget it."""

    def part(self, connection: Connection) -> None:
        """Forget it."""

    def fall_behind(self, connection: Connection) -> None:
        """Wait for it: the connection reads no more meanwhile."""

    def catch_up(self, connection: Connection) -> None:
        """Go on."""


class Echoing(Connection):
    """A connection that has no format of its own: each message has that of its frame."""

    def _on_frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self.codec = MSGPACK if frame.opcode is Opcode.BINARY else JSON
        super()._on_frame(frame)


def connection() -> Echoing:
    """Give the other end of a new socket."""
    return Echoing(Echo(), SETTINGS, None)
