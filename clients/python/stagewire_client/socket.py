"""A WebSocket as this client needs it; the errors of the library become ours here."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from stagewire_client.errors import Closed, Unreachable
from stagewire_client.policy import ABNORMAL

_JSON: Final = Subprotocol("stagewire.v1.json")
# Above what a `joined` with a thousand long events takes.
_MAX_MESSAGE: Final = 32 * 1024 * 1024
_CLOSE_WITHIN: Final = 2.0


class Socket(Protocol):
    """One connection. After its end, `send` and `receive` raise Closed."""

    async def send(self, text: bytes) -> None:
        """Send a text message, as UTF-8."""

    async def receive(self) -> str | bytes:
        """Give the next message."""

    async def close(self, code: int) -> None:
        """End it, and wait a moment for the other side to agree."""

    def abandon(self) -> None:
        """Let go at once, without a word."""


Dial = Callable[[str], Awaitable[Socket]]


class WebSocket:
    """A connection of the `websockets` library."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: bytes) -> None:
        """Send a text message, as UTF-8."""
        try:
            await self._connection.send(text, text=True)
        except ConnectionClosed:
            raise Closed(self._code()) from None

    async def receive(self) -> str | bytes:
        """Give the next message."""
        try:
            # Decoded but once, by what reads the JSON.
            return await self._connection.recv(decode=False)
        except ConnectionClosed:
            raise Closed(self._code()) from None

    async def close(self, code: int) -> None:
        """End it, and wait a moment for the other side to agree."""
        await self._connection.close(code)

    def abandon(self) -> None:
        """Let go at once, without a word."""
        self._connection.transport.abort()

    def _code(self) -> int:
        return self._connection.close_code or ABNORMAL


async def dial(url: str) -> Socket:
    """Connect to `url`.

    Raises:
        Unreachable: nobody answers, or the handshake was refused.
    """
    try:
        # The server's own heartbeats are watched. How long connecting takes is limited by who asks for it.
        connection = await connect(
            url,
            subprotocols=[_JSON],
            max_size=_MAX_MESSAGE,
            ping_interval=None,
            open_timeout=None,
            close_timeout=_CLOSE_WITHIN,
        )
    except InvalidStatus as exc:
        raise Unreachable(_seconds(exc.response.headers.get("Retry-After", ""))) from None
    except (OSError, WebSocketException):
        raise Unreachable from None
    return WebSocket(connection)


def _seconds(header: str) -> float:
    with suppress(ValueError):
        return max(0.0, float(int(header)))
    return 0.0
