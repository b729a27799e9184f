"""What writers and readers have in common: they come to some node, and when that is over, to another."""

import asyncio
from abc import ABC, abstractmethod
from random import Random
from time import monotonic, time
from typing import Any, Final

import msgspec
from msgspec import Struct

from realtime.protocol.codec import Format
from tests.faults.ledger import Book, Ledger
from tests.faults.line import Gone, Line, Message
from tests.support.nodes import token

# Two of the server's heartbeats, and a little more.
SILENCE: Final = 5.0
# For a connection, for a reply.
PATIENCE: Final = 4.0
TICK: Final = 0.02
# As long as the clocks of nodes may be wrong, and the run.
TOKEN_SECONDS: Final = 30 * 86_400
YEARS_MS: Final = 10 * 365 * 86_400_000
PONG: Final = {"type": "pong"}


class Place(Struct, frozen=True):
    """Where a client is at work: in which session, for which ledger, and by which ports it reaches the nodes."""

    book: Book
    ledger: Ledger
    ports: list[int]


class Client(ABC):
    """One user. `run` lasts until `stop`."""

    def __init__(self, name: str, place: Place, random: Random, fmt: Format) -> None:
        self.name = name
        self.place = place
        self.random = random
        self.node = 0
        self.stopping = False
        self._format = fmt
        self._token = token(name, lifetime=TOKEN_SECONDS)
        self._awaited: dict[int, asyncio.Future[Message]] = {}
        self._asked = 0
        self._wrong_ms = random.randrange(-YEARS_MS, YEARS_MS)

    @property
    def session(self) -> str:
        """Give the session."""
        return self.place.ledger.session

    @property
    def clock_ms(self) -> int:
        """Give what its own clock says, which is wrong."""
        return int(time() * 1000) + self._wrong_ms

    def stop(self) -> None:
        """Come back no more."""
        self.stopping = True

    async def run(self) -> None:
        """Come, work, and come again."""
        while not self.stopping:
            self.node = self.random.randrange(len(self.place.ports))
            try:
                await self._visit()
            except (Gone, OSError, TimeoutError):
                pass
            except msgspec.DecodeError as exc:
                self.place.book.complain(f"unreadable: {self.name} was told something that is {exc}")
            if not self.stopping:
                await asyncio.sleep(self.random.uniform(0.05, 0.5))

    async def _visit(self) -> None:
        line = Line(self._format, self._hear)
        self._awaited.clear()
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().create_connection(
                    lambda: line, "127.0.0.1", self.place.ports[self.node]
                )
                await line.opened
            self.line = line
            self.place.book.lines += 1
            await self._enter()
            await self._work()
        finally:
            line.drop()
            self.place.book.closes[line.close_code] += 1

    async def _enter(self) -> None:
        welcome = await self._ask(type="hello", token=self._token, now=self.clock_ms, client="faults")
        if welcome.type != "welcome":
            self.place.book.complain(f"turned away: {self.name} was told {welcome.code}, {welcome.message}")
            raise Gone
        await self._join()

    async def _join(self) -> None:
        joined = await self._ask(type="join", session=self.session, **self._since())
        if joined.type != "joined":
            raise Gone

    def _since(self) -> dict[str, Any]:
        return {}

    @abstractmethod
    async def _work(self) -> None:
        """Do what there is to do while the connection lasts."""

    @abstractmethod
    def _take(self, message: Message) -> None:
        """Take what is neither a heartbeat nor the reply to something that was asked."""

    async def _ask(self, **command: Any) -> Message:
        """Say something, and wait for the reply."""
        self._asked += 1
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._awaited[self._asked] = reply
        self.line.say({"id": self._asked, **command})
        either: list[asyncio.Future[Any]] = [reply, self.line.lost]
        await asyncio.wait(either, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if not reply.done():
            raise Gone
        return reply.result()

    def _hear(self, message: Message) -> None:
        if message.type == "ping":
            self.line.say(PONG)
        self._take(message)
        if message.re is not None and (reply := self._awaited.pop(message.re, None)):
            reply.set_result(message)

    def _check_alive(self) -> None:
        if not self.line.open or monotonic() - self.line.heard > SILENCE:
            raise Gone
