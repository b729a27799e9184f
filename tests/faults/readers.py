"""Readers: each follows its session, wherever it finds a node, and goes on from where it was."""

import asyncio
from array import array
from time import monotonic
from typing import Any, Final

from tests.faults.checker import Run
from tests.faults.clients import Client
from tests.faults.ledger import Leg
from tests.faults.line import Gone, Message, Position

LOOK: Final = 0.1
# Seconds, on average, until a reader does something of its own accord.
RESTLESS: Final = 6.0
# What a server gives at most, unless it is set up otherwise.
REPLAY_LIMIT: Final = 1000
PAGE: Final = 60


class Reader(Client):
    """Reads, and keeps everything."""

    position: Position | None = None
    _leg: Leg | None = None
    _asked_since: Position | None = None
    # The furthest that it ever was, and whether it has lost its position since.
    _furthest = 0
    _forgot = False

    def _since(self) -> dict[str, Any]:
        self._asked_since = self.position
        if self._forgot:
            return {"since": "last"}
        if self.position is None:
            return {}
        return {"since": {"epoch": self.position.epoch, "seq": self.position.seq}}

    async def _work(self) -> None:
        while not self.stopping:
            await asyncio.sleep(LOOK)
            self._check_alive()
            if self.random.random() < LOOK / RESTLESS:
                await self.random.choice([self._move, self._rejoin, self._page, self._forget])()

    async def _move(self) -> None:
        """Go to another node, perhaps."""
        raise Gone

    async def _forget(self) -> None:
        """Lose its position, as a client does that was closed. The server has kept one."""
        self.position, self._forgot = None, True
        raise Gone

    async def _rejoin(self) -> None:
        """Leave, and join again over the same connection."""
        await self._ask(type="leave", session=self.session)
        await asyncio.sleep(self.random.uniform(0.0, 0.5))
        await self._join()

    async def _page(self) -> None:
        """Read a page of what was long ago, or just now."""
        head = self.position.seq if self.position else 0
        after = max(0, head - self.random.randrange(1, 2 * REPLAY_LIMIT))
        page = await self._ask(type="history", session=self.session, after=after, limit=PAGE)
        if page.type == "history":
            self.place.ledger.pages.append(Run(after, [self.place.ledger.entry(event) for event in page.events]))

    def _take(self, message: Message) -> None:
        if message.type == "event":
            self._on_event(message)
        elif message.type == "joined":
            self._on_joined(message)
        elif message.type == "left":
            self._leg = None
        elif message.type == "ping":
            self._on_ping(message)

    def _on_joined(self, message: Message) -> None:
        assert message.position is not None
        ledger, head = self.place.ledger, message.position.seq
        since = self._asked_since if message.complete else None
        after = since.seq if since else head - len(message.events)
        entries = [ledger.entry(event) for event in message.events]
        times = array("d", [0.0]) * len(entries)
        anew = self._forgot or not message.complete
        self._leg = Leg(self.node, monotonic(), after, anew, entries, times)
        ledger.readers.setdefault(self.name, []).append(self._leg)
        if after + len(entries) != head:
            self._complain(f"silent hole: {self.name} was given {len(entries)} after {after}, up to {head}")
        if not message.complete:
            self._on_reset(message.position)
        elif self._forgot and after > self._furthest:
            self._complain(
                f"silent hole: {self.name} had {self._furthest} at most, and was given what is after {after}"
            )
        self._forgot = False
        self._reach(message.position)

    def _on_reset(self, position: Position) -> None:
        self.place.ledger.resets += 1
        since = self._asked_since
        if since is not None and since.epoch == position.epoch and position.seq - since.seq <= REPLAY_LIMIT:
            self.place.ledger.needless += 1

    def _reach(self, position: Position) -> None:
        self.position = position
        self._furthest = max(self._furthest, position.seq)

    def _on_event(self, message: Message) -> None:
        if self._leg is None or self.position is None or message.session != self.session:
            self._complain(f"strayed: {self.name} received {message.seq} of {message.session}, which it had not joined")
            return
        assert message.body is not None
        self._leg.entries.append(self.place.ledger.pushed(message.seq, message.by, message.key, message.body.text))
        self._leg.times.append(monotonic())
        self._reach(Position(self.position.epoch, message.seq))

    def _on_ping(self, message: Message) -> None:
        head = message.heads.get(self.session)
        if head is not None and self.position is not None and self._leg is not None and head.seq > self.position.seq:
            self._complain(f"silent hole: {self.name} has {self.position.seq}, and a heartbeat told of {head.seq}")

    def _complain(self, about: str) -> None:
        self.place.book.complain(about)
