"""Nodes in the test's own event loop, on real Postgres and Valkey, and a plain client to talk to them."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from realtime.app import running
from realtime.node import Node
from realtime.protocol.codec import Format
from realtime.settings import Settings
from realtime.sockets import listen
from tokens.access import AccessRole, SharedSecret, mint

SECRET = "a secret that only the tests know, and that is long enough"
Message = dict[str, Any]


def token(user: str, role: AccessRole = AccessRole.VIEWER, *, lifetime: int = 3600, synthetic: bool = False) -> str:
    """Mint an access token that the nodes of the tests accept, for longer than all of the tests take."""
    return mint(user, role, SharedSecret(SECRET), int(time.time()), lifetime, synthetic=synthetic)


def audience(connections: int, users: int, watching: int = 0, chatters: int = 0) -> dict[str, int]:
    """Give what is told of an audience."""
    return {"connections": connections, "users": users, "watching": watching, "chatters": chatters}


class Target:
    """A server that knows the tests' secret, by its ports."""

    def __init__(self, websocket_port: int, http_port: int) -> None:
        self.websocket = f"ws://127.0.0.1:{websocket_port}/v1/ws"
        self.http = f"http://127.0.0.1:{http_port}"

    @asynccontextmanager
    async def client(
        self,
        user: str,
        role: AccessRole = AccessRole.VIEWER,
        *,
        fmt: Format = Format.JSON,
        synthetic: bool = False,
        **hello: Any,
    ) -> AsyncIterator["Client"]:
        """Connect and say hello, with more fields if they are given."""
        async with self.stranger(user, fmt=fmt) as client:
            welcome = await client.ask("hello", token=token(user, role, synthetic=synthetic), **hello)
            assert welcome["type"] == "welcome", welcome
            yield client

    @asynccontextmanager
    async def stranger(
        self, user: str = "", *, fmt: Format = Format.JSON, forwarded: str | None = None
    ) -> AsyncIterator["Client"]:
        """Connect, as if a proxy had `forwarded` somebody, and say nothing yet."""
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        protocols = [Subprotocol(fmt)]
        async with connect(
            self.websocket, subprotocols=protocols, max_size=None, max_queue=None, additional_headers=headers
        ) as socket:
            yield Client(socket, user, binary=fmt is Format.MSGPACK)

    async def request(self, method: str, path: str, who: str | None = None, **options: Any) -> httpx.Response:
        """Ask the side API, with the access token `who`."""
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        # Plain HTTP: reading the certificates of the world for each request would take longer than it.
        async with httpx.AsyncClient(base_url=self.http, verify=False) as http:
            return await http.request(method, path, headers={**headers, **options.pop("headers", {})}, **options)

    async def session(self, host: str = "host", *, live: bool = True) -> str:
        """Create a session, and start it."""
        seller = token(host, AccessRole.SELLER)
        created = await self.request("POST", "/v1/sessions", seller, json={"title": "A show"})
        assert created.status_code == 201, created.text
        session = str(created.json()["id"])
        if live:
            started = await self.request("POST", f"/v1/sessions/{session}/start", seller)
            assert started.json()["state"] == "live", started.text
        return session


class RunningNode(Target):
    """A node in this process."""

    def __init__(self, node: Node, websocket_port: int, http_port: int) -> None:
        super().__init__(websocket_port, http_port)
        self.node = node


class Client:
    """Speaks the wire plainly; keeps every push in order of arrival."""

    def __init__(self, socket: ClientConnection, user: str, *, binary: bool) -> None:
        self.socket = socket
        self.user = user
        self.pushes: list[Message] = []
        # Is told every message, in order of arrival.
        self.listener: Callable[[Message], None] = lambda _: None
        self._binary = binary
        self._ids = itertools.count(1)

    async def send(self, kind: str, /, **fields: Any) -> None:
        """Send a command."""
        codec = msgspec.msgpack if self._binary else msgspec.json
        encoded = codec.encode({"type": kind, **fields})
        await self.socket.send(encoded if self._binary else encoded.decode())

    async def receive(self, within: float = 5.0) -> Message:
        """Give the next message."""
        # Not wait_for, which may swallow a cancellation on Python 3.11 (cpython#86296).
        async with asyncio.timeout(within):
            data = await self.socket.recv()
        message: Message = msgspec.msgpack.decode(data) if isinstance(data, bytes) else msgspec.json.decode(data)
        self.listener(message)
        if "re" not in message:
            self.pushes.append(message)
        return message

    async def hear(self, within: float = 5.0) -> Message:
        """Give the next message, and answer it if it is a ping."""
        message = await self.receive(within)
        if message["type"] == "ping":
            await self.send("pong")
        return message

    async def ask(self, kind: str, /, **fields: Any) -> Message:
        """Send a command and give its reply; pushes that come before are kept."""
        wanted = next(self._ids)
        await self.send(kind, id=wanted, **fields)
        while (message := await self.receive()).get("re") != wanted:
            pass
        return message

    async def join(self, session: str, **fields: Any) -> Message:
        """Join a session."""
        return await self.ask("join", session=session, **fields)

    async def say(self, session: str, text: str, key: str | None = None) -> Message:
        """Send a chat message, and give the answer."""
        return await self.ask("chat.send", session=session, key=key or str(uuid4()), text=text)

    def events(self) -> list[Message]:
        """Give the events that were pushed so far."""
        return [push for push in self.pushes if push["type"] == "event"]

    async def until_event(self, **like: Any) -> Message:
        """Wait for an event with these fields, among those pushed already or still to come."""
        return await self.until(type="event", **like)

    async def until(self, within: float = 5.0, **like: Any) -> Message:
        """Wait for a push with these fields, among those received already or still to come."""
        deadline = time.monotonic() + within
        seen = 0
        while True:
            for push in self.pushes[seen:]:
                if like.items() <= push.items():
                    return push
            seen = len(self.pushes)
            await self.receive(max(0.01, deadline - time.monotonic()))

    async def until_closed(self) -> tuple[int, str]:
        """Wait until the server closes the connection, and give its code and reason."""
        with suppress(ConnectionClosed):
            while True:
                await self.receive()
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


async def answered(node: Target, said: str) -> Message:
    """Give the answer to a hello with this token."""
    async with node.stranger() as client:
        return await client.ask("hello", token=said)


async def barred(node: Target, said: str) -> tuple[Message, int]:
    """Give the error for this token, and the code of the close."""
    async with node.stranger() as client:
        error = await client.ask("hello", token=said)
        return error, (await client.until_closed())[0]


@asynccontextmanager
async def serving(database_url: str, redis_url: str, **overrides: Any) -> AsyncIterator[RunningNode]:
    """Run a node on free ports."""
    settings = Settings(
        **{
            "database_url": database_url,
            "redis_url": redis_url,
            "jwt_secret": SECRET,
            "port": 0,
            "http_port": 0,
            "drain_timeout": 2.0,
            "shutdown_timeout": 2.0,
            "dev": True,
            # Tests talk faster than people.
            "rate_limits": False,
            **overrides,
        }
    )
    sockets = listen(settings)
    async with running(settings, sockets) as node:
        yield RunningNode(node, sockets.websocket_port, sockets.http_port)
