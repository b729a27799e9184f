"""A crowd on a server: connections with many commands on their way, and how each was answered, and how soon."""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

import httpx
import msgspec
from msgspec import Struct
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidState, InvalidStatus

from tests.support.nodes import Message, Target, token
from tokens.access import AccessRole

# What a test waits for anything that must come, whatever its bound.
LONGEST = 15.0


class Answer(Struct, frozen=True):
    """What came back: `code` is empty for what was done, else the error's; `retry_after_ms` is 0 where none is told.

    A connection that was closed without an answer answers with the close code, as a text.
    """

    seconds: float
    code: str = ""
    retry_after_ms: int = 0
    message: Message = {}


def middle(answers: Sequence[Answer]) -> float:
    """Give the median of the seconds."""
    return sorted(answer.seconds for answer in answers)[len(answers) // 2]


def slowest(answers: Sequence[Answer]) -> float:
    """Give the most of the seconds."""
    return max(answer.seconds for answer in answers)


class Refused(Exception):
    """A handshake was refused: its status, and after how many seconds it is to be tried again."""

    def __init__(self, status: int, retry_after: int) -> None:
        super().__init__(f"{status}, again after {retry_after} s")
        self.status = status
        self.retry_after = retry_after


class Caller:
    """One connection, from an address of its own. It checks that what it hears of a session is consecutive."""

    def __init__(self, socket: ClientConnection, user: str) -> None:
        self.user = user
        self.positions: dict[str, int] = {}
        self.heard: defaultdict[str, set[str]] = defaultdict(set)
        self.skipped = 0
        self.close_code: int | None = None
        self._socket = socket
        self._ids = itertools.count(1)
        self._open: dict[int, tuple[float, asyncio.Future[Answer]]] = {}
        self._reading = asyncio.create_task(self._read())
        self._moved = asyncio.Event()

    @classmethod
    async def connect(cls, target: Target, user: str, address: str) -> Self:
        """Shake hands.

        Raises:
            Refused: the server doesn't want to.
        """
        try:
            # The library's own pings take random numbers, which would be Hypothesis's.
            socket = await connect(
                target.websocket,
                local_addr=(address, 0),
                ping_interval=None,
                max_queue=None,
                max_size=None,
                compression=None,
                open_timeout=LONGEST,
            )
        except InvalidStatus as exc:
            raise Refused(exc.response.status_code, int(exc.response.headers["Retry-After"])) from None
        return cls(socket, user)

    async def hello(self, role: AccessRole = AccessRole.VIEWER) -> Answer:
        """Say hello."""
        return await self.call("hello", token=token(self.user, role))

    def call(self, kind: str, /, **fields: Any) -> "asyncio.Future[Answer]":
        """Send a command, and give what its answer will be."""
        number, answer = next(self._ids), asyncio.get_running_loop().create_future()
        self._open[number] = time.monotonic(), answer
        if self.close_code is not None:
            self._end()
        else:
            # Written at once, so that many are on their way before the first is answered.
            self._write({"type": kind, "id": number, **fields})
        return answer

    def say(self, session: str, key: str, text: str = "Is there another one in blue?") -> "asyncio.Future[Answer]":
        """Say something in a session."""
        return self.call("chat.send", session=session, key=key, text=text)

    async def join(self, session: str) -> Answer:
        """Join a session."""
        return await self.call("join", session=session)

    def stall(self) -> None:
        """Read nothing more."""
        self._socket.transport.pause_reading()

    def go_on(self) -> None:
        """Read again."""
        self._socket.transport.resume_reading()

    async def reach(self, session: str, seq: int) -> None:
        """Wait until an event has been heard, or the server has closed."""
        async with asyncio.timeout(LONGEST):
            while self.close_code is None and self.positions[session] < seq:
                self._moved.clear()
                await self._moved.wait()

    async def closed(self) -> int | None:
        """Wait until the server closes, and give its code."""
        async with asyncio.timeout(LONGEST):
            await self._reading
        return self.close_code

    async def close(self) -> None:
        """Go."""
        with suppress(RuntimeError):
            self.go_on()
        await self._socket.close()
        await self._reading

    def _write(self, command: Message) -> None:
        self._socket.protocol.send_text(msgspec.json.encode(command))
        self._socket.send_data()

    async def _read(self) -> None:
        try:
            while True:
                self._take(msgspec.json.decode(await self._socket.recv()))
        except ConnectionClosed:
            self.close_code = self._socket.close_code
        finally:
            self._end()
            self._moved.set()

    def _take(self, message: Message) -> None:
        if message["type"] == "joined":
            self.positions[message["session"]["id"]] = message["position"]["seq"]
        if "re" in message:
            began, answer = self._open.pop(message["re"])
            code, again = message.get("code", ""), message.get("retry_after_ms", 0)
            answer.set_result(Answer(time.monotonic() - began, code, again, message))
        elif message["type"] == "ping":
            # What comes while the connection closes is answered no more.
            with suppress(InvalidState):
                self._write({"type": "pong"})
        elif message["type"] == "event":
            self._move(message["session"], message["seq"], message["seq"])
            self.heard[message["session"]].add(message.get("key", ""))
        elif message["type"] == "skipped":
            self.skipped += message["skipped"]
            self._move(message["session"], message["first"], message["last"])

    def _move(self, session: str, first: int, last: int) -> None:
        assert first == self.positions[session] + 1, (self.user, first, self.positions[session])
        self.positions[session] = last
        self._moved.set()

    def _end(self) -> None:
        while self._open:
            _, (began, answer) = self._open.popitem()
            answer.set_result(Answer(time.monotonic() - began, str(self.close_code)))


async def asked(target: Target, path: str, who: str, address: str = "127.0.0.1") -> Answer:
    """Ask the side API for something, from an address."""
    transport = httpx.AsyncHTTPTransport(local_address=address, verify=False)
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=target.http, transport=transport, timeout=LONGEST) as http:
        response = await http.get(path, headers={"Authorization": f"Bearer {who}"})
    seconds = time.monotonic() - began
    if response.is_success:
        return Answer(seconds)
    error = response.json()["error"]
    # Both say the same.
    assert int(response.headers["Retry-After"]) == -(-error["retry_after_ms"] // 1000)
    return Answer(seconds, f"{response.status_code} {error['code']}", error["retry_after_ms"])
