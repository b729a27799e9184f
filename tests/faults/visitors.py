"""Visitors: users of the client for Python, who write and read, go away, and come back with what they had kept."""

import asyncio
from array import array
from random import Random
from time import monotonic, time
from typing import Final

from msgspec import Struct

from stagewire_client import (
    Delivery,
    Edges,
    Event,
    Failed,
    Gap,
    Lost,
    MemoryStorage,
    Position,
    Refused,
    Session,
    Settings,
    Stagewire,
)
from tests.faults.checker import Fate, Send
from tests.faults.clients import PATIENCE, TOKEN_SECONDS, YEARS_MS, Place
from tests.faults.ledger import Leg
from tests.faults.readers import REPLAY_LIMIT
from tests.support.nodes import token

# Messages that a visitor has on its way, at most, and those it writes a second.
WINDOW: Final = 20
RATE: Final = 8.0
# Seconds until it goes, at least and at most.
STAYS: Final = (4.0, 16.0)
# More impatient than in production, so that a run sees many attempts. Its reader is never too slow.
SETTINGS: Final = Settings(
    first_delay=0.1, longest_delay=1.0, dialling=PATIENCE, welcome=PATIENCE, reply=PATIENCE, stream=1_000_000
)


class _Open(Struct, frozen=True):
    text: str
    invoked: float
    number: int


def client(place: Place, name: str, random: Random, storage: MemoryStorage | None = None) -> Stagewire:
    """Give a client that goes to any node, anew for each attempt. Its clock is wrong."""
    wrong = random.randrange(-YEARS_MS, YEARS_MS)
    return Stagewire(
        lambda: f"ws://127.0.0.1:{random.choice(place.ports)}/v1/ws",
        token=token(name, lifetime=TOKEN_SECONDS),
        client="faults",
        storage=storage,
        settings=SETTINGS,
        edges=Edges(random=random.random, clock=lambda: int(time() * 1000) + wrong),
    )


class Visitor:
    """One of them. `pending` is what it has written, and doesn't know to be stored or refused."""

    def __init__(self, index: int, place: Place, random: Random) -> None:
        self.name = f"visitor-{index}"
        self.place = place
        self.position: Position | None = None
        self.pending: dict[str, _Open] = {}
        self._random = random
        self._storage = MemoryStorage()
        self._quiet = False
        self._number = 0
        self._following: set[asyncio.Task[None]] = set()
        # What was written before, and came into the log before anybody could follow it again: its event is the answer.
        self._told: set[str] = set()

    @property
    def session(self) -> str:
        """Give the session."""
        return self.place.ledger.session

    async def run(self) -> None:
        """Come again and again, until it is cancelled."""
        while True:
            async with client(self.place, self.name, self._random, self._storage) as live:
                show = await live.join(self.session, since=self.position)
                self.place.book.lines += 1
                reading = asyncio.create_task(self._read(show))
                try:
                    await self._stay(show)
                finally:
                    await live.close()
                    await asyncio.gather(reading, *self._following)

    def hush(self) -> None:
        """Begin nothing new."""
        self._quiet = True

    def give_up(self) -> None:
        """Write down what is still open."""
        for key in list(self.pending):
            self._settle(key, Fate.UNKNOWN)

    async def _stay(self, show: Session) -> None:
        # What was written before it went, as far as that is not in the log.
        for sent in show.pending:
            self._follow(sent)
        self._told = self.pending.keys() - {sent.key for sent in show.pending}
        until = monotonic() + self._random.uniform(*STAYS)
        while monotonic() < until:
            await asyncio.sleep(self._random.uniform(0.5, 1.5) / RATE)
            if not self._quiet and len(self.pending) < WINDOW:
                self._write(show)

    def _write(self, show: Session) -> None:
        self._number += 1
        sent = show.send(f"{self.name} {self._number}")
        self.pending[sent.key] = _Open(sent.draft.text, monotonic(), self._number)
        self._follow(sent)

    def _follow(self, sent: Delivery) -> None:
        task = asyncio.create_task(self._until_settled(sent))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _until_settled(self, sent: Delivery) -> None:
        try:
            ack = await sent
        except Refused as exc:
            self.place.book.refusals[exc.code] += 1
            # There is no point in going on after the end.
            self._quiet = self._quiet or exc.state == "ended"
            self._settle(sent.key, Fate.REFUSED)
            sent.drop()
        except Lost:
            # It goes, and takes this along.
            return
        except Failed as exc:
            self.place.book.complain(f"turned away: {self.name} was told {exc.status.reason}")
        else:
            assert ack.seq is not None
            self._settle(sent.key, Fate.ACKED, ack.seq)

    def _settle(self, key: str, fate: Fate, seq: int = 0) -> None:
        known = self.pending.pop(key, None)
        if known is None:
            return
        # One at a time and in order is what the client promises, over all of its connections: as if there were but one.
        send = Send(self.name, key, known.text, known.invoked, monotonic(), fate, seq, number=known.number)
        self.place.ledger.sends.append(send)
        if fate is Fate.ACKED:
            self.place.book.acks.append(send.answered)
            self.place.ledger.note_ack(send)

    async def _read(self, show: Session) -> None:
        assert show.position is not None
        # Where it began is below the first event that it holds.
        start = self.position or Position(show.position.epoch, show.timeline.oldest - 1)
        leg = self._leg(start.seq, anew=False)
        async for one in show:
            if isinstance(one, Gap):
                leg = self._leg(one.last, anew=True)
                self._note_reset(one)
            else:
                self._take(leg, one)
            self.position = Position(start.epoch, one.last if isinstance(one, Gap) else one.seq)

    def _leg(self, after: int, *, anew: bool) -> Leg:
        # On which node that is, only the client knows: how soon things come is not judged.
        leg = Leg(-1, monotonic(), after, anew, [], array("d"))
        self.place.ledger.readers.setdefault(self.name, []).append(leg)
        return leg

    def _take(self, leg: Leg, event: Event) -> None:
        leg.entries.append(self.place.ledger.pushed(event.seq, event.by, event.key, event.body.get("text")))
        leg.times.append(0.0)
        if event.key is not None and event.key in self._told:
            self._settle(event.key, Fate.ACKED, event.seq)

    def _note_reset(self, gap: Gap) -> None:
        self.place.ledger.resets += 1
        for key in self._told:
            self._settle(key, Fate.UNKNOWN)
        self.place.ledger.needless += gap.first > 0 and gap.last - gap.first < REPLAY_LIMIT
