"""Requests as uvicorn's protocol takes them here: who sends much leaves the others their turns."""

import asyncio
import socket
from functools import partial

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from realtime.http.exchange import Exchange

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
        while state.connections:  # noqa: ASYNC110 - the loop tells nobody
            await asyncio.sleep(0)
