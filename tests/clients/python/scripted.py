"""A server in memory, and a network before it that does what a test says: for clients in virtual time."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from stagewire_client import Edges, Settings, Stagewire, Storage, Unreachable
from stagewire_client.errors import Closed

SESSION = "01932c07-3a6e-7cc0-8000-000000000001"
URL = "ws://scripted/v1/ws"
HEARTBEAT = 20.0
# What a server gives at most with a join: few, so that short outages are too long ones, too.
REPLAY = 8
_SECOND_MS = 1000
Message = dict[str, Any]


class Socket:
    """A client's end of one connection."""

    def __init__(self, server: "Server", flows: bool) -> None:
        self._server = server
        self._incoming: asyncio.Queue[bytes | int] = asyncio.Queue()
        self._code: int | None = None
        self.flows = flows
        self.joined = False
        self.greeted = False

    async def send(self, text: bytes) -> None:
        """Send to the server, if the network lets it through."""
        if self._code is not None:
            raise Closed(self._code)
        if self.flows:
            self._server.take(self, msgspec.json.decode(text))

    async def receive(self) -> bytes:
        """Give what the server has sent."""
        if self._code is not None and self._incoming.empty():
            raise Closed(self._code)
        said = await self._incoming.get()
        if isinstance(said, int):
            raise Closed(said)
        return said

    async def close(self, code: int) -> None:
        """End it."""
        self.cut(code)

    def abandon(self) -> None:
        """End it."""
        self.cut(1006)

    def cut(self, code: int) -> None:
        """End it, after what was sent before."""
        if self._code is None:
            self._code = code
            self._incoming.put_nowait(code)
            self._server.sockets.discard(self)

    def say(self, **message: Any) -> None:
        """Have the server say something, if the network lets it through."""
        if self._code is None and self.flows:
            self._incoming.put_nowait(msgspec.json.encode(message))


class Server:
    """One session. `refusals` are given to the next messages in place of acks: a code, and whether it is stored."""

    def __init__(self) -> None:
        self.sockets: set[Socket] = set()
        self.epoch = "a"
        self.log: list[Message] = []
        self.reachable = True
        self.flows = True
        # Whether what is appended is pushed: a node may not have heard of it.
        self.tells = True
        self.refusals: list[tuple[str, bool]] = []
        self.lost_acks = 0
        self.answers_hello: Callable[[Socket, Message], bool] = lambda _socket, _command: True
        self.dialled: list[str] = []
        self.takes_calls = asyncio.Event()
        self.takes_calls.set()
        # What a full server asks for, in seconds.
        self.retry_after = 0.0
        self.heard: list[Message] = []
        self.tokens: list[str] = []

    @property
    def now(self) -> int:
        """Give the wall clock, which begins with the loop."""
        return int(asyncio.get_running_loop().time() * _SECOND_MS)

    async def dial(self, url: str) -> Socket:
        """Let a client in."""
        self.dialled.append(url)
        await asyncio.sleep(0.05)
        await self.takes_calls.wait()
        if not self.reachable:
            raise Unreachable(self.retry_after)
        socket = Socket(self, self.flows)
        self.sockets.add(socket)
        return socket

    def drop(self, code: int) -> None:
        """End all connections."""
        for socket in list(self.sockets):
            socket.cut(code)

    def stall(self) -> None:
        """Let nothing through the connections that there are."""
        for socket in self.sockets:
            socket.flows = False

    def begin_anew(self) -> None:
        """Restore the log to what it was before anything was said."""
        self.epoch += "a"
        self.log.clear()
        self.drop(4003)

    async def beat(self) -> None:
        """Send heartbeats."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            for socket in list(self.sockets):
                heads = {SESSION: {"epoch": self.epoch, "seq": len(self.log)}} if socket.joined else {}
                socket.say(type="ping", now=self.now, heads=heads)

    def append(self, by: str, text: str, key: str | None = None, kind: str = "chat.posted") -> Message:
        """Append an event, and push it."""
        event = {"type": "event", "session": SESSION, "seq": len(self.log) + 1, "at": self.now, "media_ms": 0}
        event |= {"kind": kind, "by": by, "key": key, "body": {"text": text}}
        self.log.append(event)
        for socket in self.sockets if self.tells else ():
            if socket.joined:
                socket.say(**event)
        return event

    def skip(self, count: int) -> None:
        """Leave some of what is said out, as for a slow reader."""
        first, tells = len(self.log) + 1, self.tells
        self.tells = False
        for number in range(count):
            self.append("eve", f"unread {number}")
        self.tells = tells
        for socket in self.sockets:
            if socket.joined:
                socket.say(type="skipped", session=SESSION, skipped=count, first=first, last=len(self.log))

    def take(self, socket: Socket, command: Message) -> None:
        """Take a command."""
        self.heard.append(command)
        if command["type"] == "hello":
            self.tokens.append(command["token"])
            if self.answers_hello(socket, command):
                socket.greeted = True
                socket.say(
                    type="welcome", re=command["id"], connection="c", user="alice", now=self.now,
                    heartbeat_ms=int(HEARTBEAT * _SECOND_MS), expires_at=10**12,
                )  # fmt: skip
            return
        getattr(self, f"_on_{command['type'].replace('.', '_')}", self._on_other)(socket, command)

    def _on_other(self, socket: Socket, command: Message) -> None:
        if "id" in command:
            socket.say(type="ack", re=command["id"], key=command.get("key"))

    def _on_leave(self, socket: Socket, command: Message) -> None:
        socket.joined = False
        if "id" in command:
            socket.say(type="left", re=command["id"], session=SESSION)

    def _on_join(self, socket: Socket, command: Message) -> None:
        socket.joined = True
        since, head = command.get("since"), len(self.log)
        if since is None:
            since = {"epoch": self.epoch, "seq": head}
        complete = since["epoch"] == self.epoch and head - REPLAY <= since["seq"] <= head
        socket.say(
            type="joined", re=command["id"], session=self._snapshot(), role="viewer", complete=complete,
            position={"epoch": self.epoch, "seq": head}, events=self.log[since["seq"] :] if complete else [],
            audience={"connections": 1, "users": 1, "watching": 0, "chatters": 0},
        )  # fmt: skip

    def _snapshot(self) -> Message:
        return {
            "id": SESSION, "host": "host", "title": "Coats", "state": "live", "version": 1, "created_at": 0,
            "since": 0, "media": {"ms": 0, "at": 0, "running": True}, "settings": {},
        }  # fmt: skip

    def _on_history(self, socket: Socket, command: Message) -> None:
        if "after" in command:
            events = self.log[command["after"] :][: command["limit"]]
        else:
            below = self.log[: command.get("before", len(self.log) + 1) - 1]
            events = below[-command["limit"] :]
        socket.say(type="history", re=command["id"], session=SESSION, events=events, more=False)

    def _on_chat_send(self, socket: Socket, command: Message) -> None:
        known = next((event for event in self.log if event["key"] == command["key"]), None)
        code, stores = self.refusals.pop(0) if self.refusals else ("", True)
        if known is None and stores:
            known = self.append("alice", command["text"], command["key"])
        if code:
            socket.say(type="error", re=command["id"], code=code, message="no", retry_after_ms=500)
        elif self.lost_acks:
            self.lost_acks -= 1
            socket.cut(1006)
        elif known is not None:
            socket.say(type="ack", re=command["id"], key=command["key"], seq=known["seq"], at=known["at"])


def client(server: Server, random: Random, storage: Storage | None = None, **options: Any) -> Stagewire:
    """Give a client of that server."""
    keys = iter(range(10**9))
    edges = Edges(
        dial=server.dial,
        clock=lambda: server.now,
        random=random.random,
        key=lambda: f"{random.getrandbits(32):08x}-0000-4000-8000-{next(keys):012x}",
    )
    return Stagewire(
        **{"url": URL, "token": "a token", "settings": Settings(), **options}, storage=storage, edges=edges
    )
