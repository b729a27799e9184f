"""Handshakes that come in any pieces, with what is said before the answer: always the same answer, and nothing lost."""

import asyncio
import socket
from functools import partial
from http import HTTPStatus

import pytest

from realtime.hub import Hub
from realtime.protocol.meanings import HANDSHAKES
from realtime.settings import Settings
from realtime.transport import Connection
from tests.realtime.links import Guests
from tests.support.frames import TEXT, frame, request

SAID = b'{"type":"pong"}'


class Listening(Guests):
    """Guests whose messages are kept."""

    def __init__(self) -> None:
        super().__init__(Hub(Settings()))
        self.heard: list[bytes] = []

    def receive(self, connection: Connection, data: bytes) -> None:  # noqa: ARG002 - there is but one
        """Keep a message."""
        self.heard.append(data)


async def answer(*pieces: bytes) -> tuple[bytes, list[bytes]]:
    """Give the first line of the answer to what comes in these pieces, and the messages that were heard."""
    ours, theirs = socket.socketpair()
    service = Listening()
    connection = Connection(service, Settings(), [None])
    loop = asyncio.get_running_loop()
    with theirs:
        theirs.setblocking(False)
        transport, _ = await loop.create_connection(partial(_same, connection), sock=ours)
        for piece in pieces:
            connection.data_received(piece)
        async with asyncio.timeout(5):
            response = await loop.sock_recv(theirs, 65_536)
        transport.abort()
        # The loop tells of a cut in its next turn.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return response.partition(b"\r\n")[0], service.heard


def _same(connection: Connection) -> Connection:
    return connection


async def test_cut_anywhere_it_is_the_same_handshake() -> None:
    data = request() + frame(TEXT, SAID)
    expected = (b"HTTP/1.1 101 Switching Protocols", [SAID])
    assert await answer(data) == expected
    for cut in range(1, len(data)):
        assert await answer(data[:cut], data[cut:]) == expected, cut
    assert await answer(*(bytes([byte]) for byte in data)) == expected


async def test_longer_than_what_is_parsed_at_a_time() -> None:
    data = request(extra="".join(f"X-{n}: {'x' * 1000}\r\n" for n in range(8))) + frame(TEXT, SAID)
    expected = (b"HTTP/1.1 101 Switching Protocols", [SAID])
    assert await answer(data) == expected
    assert await answer(data[:5000], data[5000:]) == expected


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"\r\n" + request(), b"400", id="an empty line before it"),
        pytest.param(request().replace(b"\r\n", b"\n"), b"400", id="lines without a carriage return"),
        pytest.param(request("/elsewhere"), b"404", id="another path"),
        pytest.param(request(extra="".join(f"X-{n}: {'x' * 1000}\r\n" for n in range(20))), b"431", id="too long"),
    ],
)
async def test_of_what_follows_a_bad_one_nothing_is_heard(head: bytes, status: bytes) -> None:
    for pieces in ([head + frame(TEXT, SAID)], [head[:9], head[9:] + frame(TEXT, SAID)]):
        line, heard = await answer(*pieces)
        assert line.split()[1] == status
        assert heard == []


LONG = "x" * 9000
REFUSED = {
    HTTPStatus.BAD_REQUEST: [
        request().replace(b"Version: 13", b"Version: 8"),
        request().replace(b"Host: ", b"Ghost: "),
        request().replace(b"HTTP/1.1", b"HTTP/2"),
    ],
    HTTPStatus.FORBIDDEN: [request(extra="Origin: https://elsewhere.example\r\n")],
    HTTPStatus.NOT_FOUND: [request("/v1/ws/")],
    HTTPStatus.METHOD_NOT_ALLOWED: [request().replace(b"GET", b"POST")],
    HTTPStatus.REQUEST_URI_TOO_LONG: [request(f"/v1/ws?{LONG}")],
    HTTPStatus.UPGRADE_REQUIRED: [request().replace(b"Upgrade: websocket", b"Upgrade: h2c")],
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: [
        request(extra=f"X-Long: {LONG}\r\n"),
        request(extra="X-Many: 1\r\n" * 129),
    ],
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED: [request().replace(b"HTTP/1.1", b"HTTP/1.0")],
}
# Of a server that has too many: see test_gate.
CROWDED = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


@pytest.mark.parametrize("status", HANDSHAKES)
async def test_each_status_that_is_told_is_given(status: HTTPStatus) -> None:
    assert status in REFUSED.keys() ^ CROWDED
    for head in REFUSED.get(status, []):
        line, _ = await answer(head)
        assert line.split()[1] == str(int(status)).encode()
