"""Requests as uvicorn's protocol takes them here: who sends much leaves the others their turns."""

import asyncio
import contextlib
import socket
from functools import partial

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from realtime.http.exchange import Exchange
from tests.support.nodes import serving
from tests.support.waiting import until

CHUNK = b"40\r\n" + b"x" * 64 + b"\r\n"


class App:
    """Reads bodies, and notes which of them end."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        while (await receive()).get("more_body"):
            pass
        self.ended.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


async def connected(app: App, config: uvicorn.Config, state: ServerState) -> socket.socket:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    made = partial(Exchange, config, state, {}, asyncio.get_running_loop())
    await asyncio.get_running_loop().create_connection(made, sock=ours)
    return theirs


async def test_a_body_in_many_chunks_leaves_the_others_their_turns() -> None:
    app, state = App(), ServerState()
    config = uvicorn.Config(app, log_config=None, lifespan="off")
    config.load()
    loop = asyncio.get_running_loop()
    loud, quiet = [await connected(app, config, state) for _ in range(2)]
    try:
        head = b"POST /loud HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        await loop.sock_sendall(loud, head + CHUNK * 900 + b"0\r\n\r\n")
        await loop.sock_sendall(quiet, b"GET /quiet HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(5):
            assert await loop.sock_recv(quiet, 12) == b"HTTP/1.1 204"
            assert await loop.sock_recv(loud, 12) == b"HTTP/1.1 204"
        assert app.ended == ["/quiet", "/loud"]
    finally:
        loud.close()
        quiet.close()
        await until(lambda: not state.connections)


async def test_who_comes_too_late_is_cut_and_all_others_are_served(migrated: str, redis_url: str) -> None:
    async with serving(migrated, redis_url, http_connections=2) as node, asyncio.timeout(10):
        port = int(node.http.rpartition(":")[2])
        here = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        late, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionResetError):
            assert await late.read() == b""
        for reader, mine in here:
            mine.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        for each in (writer, *(mine for _, mine in here)):
            each.close()
