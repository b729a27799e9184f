"""The listening sockets of a process, one for each of its two ports."""

import socket
from typing import Final

from msgspec import Struct

from realtime.settings import Settings

# Connections that the kernel may hold for us while the loop is busy; no more than `net.core.somaxconn`, come what may.
LISTEN_BACKLOG: Final = 65_535


class ListenError(Exception):
    """An address cannot be listened on. The message is one line for the operator."""


class Sockets(Struct, frozen=True):
    """The sockets of a process for its two ports."""

    websocket: socket.socket
    http: socket.socket

    @property
    def websocket_port(self) -> int:
        """Give the WebSocket port, which the system chose where the setting is 0."""
        return int(self.websocket.getsockname()[1])

    @property
    def http_port(self) -> int:
        """Give the side API's port."""
        return int(self.http.getsockname()[1])

    def listen(self) -> "Sockets":
        """Take connections from now on."""
        self.websocket.listen(LISTEN_BACKLOG)
        self.http.listen(LISTEN_BACKLOG)
        return self

    def close(self) -> None:
        """Let go of them. What others have inherited is theirs."""
        self.websocket.close()
        self.http.close()


def reserve(settings: Settings) -> Sockets:
    """Take both ports without listening on them.

    Raises:
        ListenError
    """
    return Sockets(
        _bounded(_bind(settings.host, settings.port, settings.share_ports), settings.send_buffer),
        _bind(settings.host, settings.http_port, settings.share_ports),
    )


def listen(settings: Settings) -> Sockets:
    """Take both ports and listen.

    Raises:
        ListenError
    """
    return reserve(settings).listen()


def take_over(websocket: int, http: int) -> Sockets:
    """Listen on sockets that were inherited, by their file descriptors."""
    return Sockets(socket.socket(fileno=websocket), socket.socket(fileno=http)).listen()


def _bounded(listener: socket.socket, size: int) -> socket.socket:
    """Bound what the kernel takes for each connection that is accepted here.

    Left to itself it takes up to 4 MiB for a peer that reads nothing, and only what comes on top is seen by us. It
    doubles the size, since it counts its own bookkeeping, too (socket(7)).
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
    return listener


def _bind(host: str, port: int, shared: bool) -> socket.socket:
    taken = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if shared:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind((host, port))
    except OSError as exc:
        taken.close()
        raise ListenError(f"cannot listen on {host}:{port}: {exc.strerror}") from None
    return taken
