"""What the kernel may hold for a connection: on real sockets."""

import socket
from typing import Final

import pytest

from realtime.settings import Settings
from realtime.sockets import listen

CHUNK: Final = b"." * 65_536


def taken(size: int) -> int:
    """Count what the kernel takes for a peer that reads nothing, and has little room itself."""
    sockets = listen(Settings(port=0, http_port=0, send_buffer=size))
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(("127.0.0.1", sockets.websocket_port))
        accepted, _ = sockets.websocket.accept()
        sockets.close()
        with accepted:
            accepted.setblocking(False)
            sent = 0
            while True:
                try:
                    sent += accepted.send(CHUNK)
                except BlockingIOError:
                    return sent


@pytest.mark.parametrize("size", [16_384, 131_072])
def test_the_kernel_holds_no_more_for_a_connection_than_it_may(size: int) -> None:
    # Twice the size, of which its bookkeeping takes a part, and what is in the peer's own buffer.
    assert size // 2 < taken(size) <= 2 * size + 65_536


def test_the_side_api_is_left_alone() -> None:
    sockets = listen(Settings(port=0, http_port=0, send_buffer=16_384))
    sizes = [one.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) for one in (sockets.websocket, sockets.http)]
    sockets.close()
    assert sizes[0] == 2 * 16_384
    assert sizes[1] != sizes[0]
