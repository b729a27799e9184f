import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from stagewire_client.errors import Closed, Unreachable
from stagewire_client.socket import dial
from tests.support.processes import free_port


class Other:
    """A server of WebSockets that does as it is told."""

    def __init__(self) -> None:
        self.refusal: Response | None = None
        self.protocols: list[str | None] = []
        self.heard: list[str | bytes] = []

    async def talk(self, connection: ServerConnection) -> None:
        self.protocols.append(connection.subprotocol)
        async for said in connection:
            self.heard.append(said)
            if said == "bye":
                await connection.close(4001, "too slow")
            else:
                await connection.send(said)

    def look(self, _connection: ServerConnection, _request: Request) -> Response | None:
        return self.refusal


@pytest.fixture
async def other() -> Other:
    return Other()


@pytest.fixture
async def url(other: Other) -> AsyncIterator[str]:
    server: Server
    async with serve(
        other.talk,
        "127.0.0.1",
        0,
        process_request=other.look,
        subprotocols=["stagewire.v1.json"],  # type: ignore[list-item] # a text will do
    ) as server:
        [socket] = server.sockets
        yield f"ws://127.0.0.1:{socket.getsockname()[1]}/v1/ws"


async def test_text_goes_both_ways_until_the_close_whose_code_is_told(other: Other, url: str) -> None:
    socket = await dial(url)
    await socket.send("ü".encode())
    assert await socket.receive() == "ü".encode()
    await socket.send(b"bye")
    with pytest.raises(Closed) as closed:
        await socket.receive()
    assert closed.value.code == 4001
    with pytest.raises(Closed) as closed:
        await socket.send(b"more")
    assert closed.value.code == 4001
    assert other.heard == ["ü", "bye"]
    assert other.protocols == ["stagewire.v1.json"]


async def test_a_socket_that_is_abandoned_is_closed_without_a_code(url: str) -> None:
    socket = await dial(url)
    socket.abandon()
    with pytest.raises(Closed) as closed:
        await socket.receive()
    assert closed.value.code == 1006


async def test_a_socket_that_is_closed_says_so(url: str) -> None:
    socket = await dial(url)
    await socket.close(1000)
    with pytest.raises(Closed) as closed:
        await socket.receive()
    assert closed.value.code == 1000


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("-1", 0.0), ("tomorrow", 0.0), (None, 0.0)])
async def test_a_refused_handshake_says_when_to_come_back(
    other: Other, url: str, header: str | None, seconds: float
) -> None:
    headers = Headers({"Retry-After": header} if header else {})
    other.refusal = Response(HTTPStatus.SERVICE_UNAVAILABLE, "Full", headers, b"")
    with pytest.raises(Unreachable) as unreachable:
        await dial(url)
    assert unreachable.value.retry_after == seconds


@pytest.mark.parametrize("where", ["ws://127.0.0.1:{port}/", "http://127.0.0.1:{port}/", "nonsense"])
async def test_where_nobody_is_nobody_can_be_reached(where: str) -> None:
    with pytest.raises(Unreachable):
        await dial(where.format(port=free_port()))


async def test_what_speaks_otherwise_cannot_be_reached() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 mail.example.com\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        with pytest.raises(Unreachable):
            await dial(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
