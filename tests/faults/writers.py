"""Writers: each sends its messages, several at a time, and each again until it knows what became of it."""

import asyncio
from random import Random
from time import monotonic
from typing import Any, Final

from msgspec import Struct

from realtime.protocol.codec import Format
from tests.faults.checker import Fate, Send
from tests.faults.clients import PATIENCE, TICK, Client, Place
from tests.faults.line import Gone, Message

WINDOW: Final = 32
# Ids of messages begin here; those of other commands stay below.
FIRST: Final = 1_000_000
# One in so many messages is sent twice at once, is lost with its connection, takes a key that was used
# for another text, is too long.
TWICE: Final = 40
FORGOTTEN: Final = 50
STOLEN: Final = 200
TOO_LONG: Final = 400
# Seconds before an `unavailable` is tried again where the server names none, and at most.
RETRY: Final = 1.0
MINUTE_MS: Final = 60_000
_TEXTS: Final = ("", " äöü", " 👋🏽", " שלום", ' "quoted" \\ <b>', f" {'long ' * 60}")
# Nobody knows whether such a message was stored.
_OPEN: Final = frozenset(["unavailable", "internal", "rate_limited"])
_NEVER: Final = float("inf")


class Pending(Struct):
    """A message on its way. `number` is its id; `due` is when to send it again."""

    number: int
    key: str
    text: str
    sent_at: int | None
    forgets: bool
    connection: int
    invoked: float
    sent: float = 0.0
    due: float = 0.0
    attempts: int = 0


class Writer(Client):
    """Sends `rate` messages a second. `index` makes its keys its own."""

    def __init__(self, index: int, place: Place, random: Random, fmt: Format, rate: float) -> None:
        super().__init__(f"writer-{index}", place, random, fmt)
        self.pending: dict[int, Pending] = {}
        self.quiet = False
        self._index = index
        self._rate = rate
        self._credit = 0.0
        self._number = FIRST
        self._connection = 0
        self._reached: int | None = None
        self._fresh = False
        self._old: Pending | None = None

    def hush(self) -> None:
        """Begin nothing new."""
        self.quiet = True

    def give_up(self) -> None:
        """Write down what is still open."""
        for pending in self.pending.values():
            self._settle(pending, Fate.UNKNOWN)

    async def _work(self) -> None:
        self._connection += 1
        self._fresh = True
        for pending in [pending for pending in self.pending.values() if pending.forgets]:
            # As with a client that was closed: nobody asks for this answer any more.
            self._settle(self.pending.pop(pending.number), Fate.UNKNOWN)
        for pending in self.pending.values():
            pending.due = 0.0
        at = monotonic()
        while not self.stopping:
            now = monotonic()
            self._credit = min(self._credit + (now - at) * self._rate, WINDOW)
            at = now
            self._send(now)
            await asyncio.sleep(TICK)
            self._check_alive()

    def _send(self, now: float) -> None:
        """Send what is due, again or new, in the order in which it was begun."""
        due = [pending for pending in self.pending.values() if pending.due <= now]
        if any(pending.due == _NEVER and now - pending.sent > PATIENCE for pending in self.pending.values()):
            raise Gone
        due.extend(self._new(now))
        for pending in due:
            pending.attempts += 1
            pending.sent, pending.due = now, _NEVER
            self.place.book.resent += pending.attempts > 1
        if due:
            self.line.say(*map(self._command, due))

    def _command(self, pending: Pending) -> dict[str, Any]:
        command = {
            "type": "chat.send",
            "id": pending.number,
            "session": self.session,
            "key": pending.key,
            "text": pending.text,
        }
        return command if pending.sent_at is None else {**command, "sent_at": pending.sent_at}

    def _new(self, now: float) -> list[Pending]:
        made: list[Pending] = []
        while not self.quiet and self._credit >= 1 and len(self.pending) < WINDOW:
            self._credit -= 1
            first = self._begin(now, *self._content())
            made.append(first)
            if self._one_in(TWICE):
                made.append(self._begin(now, first.key, first.text, first.sent_at))
        return made

    def _content(self) -> tuple[str, str, int | None]:
        """Give a key, a text, and when its writer believes to write it."""
        if self._old is not None and self._one_in(STOLEN):
            return self._old.key, f"{self._old.text}, or something else", None
        key = f"{self._index:08x}-0000-4000-8000-{self._number:012x}"
        text = "x" * 1001 if self._one_in(TOO_LONG) else f"{self._index} {self._number}{self.random.choice(_TEXTS)}"
        return key, text.rstrip(), self._written_at()

    def _written_at(self) -> int | None:
        """Give nothing, or the time; what comes first after a disconnect was written before."""
        fresh, self._fresh = self._fresh, False
        if fresh:
            return self.clock_ms - self.random.randrange(MINUTE_MS)
        return self.random.choice([None, self.clock_ms])

    def _begin(self, now: float, key: str, text: str, sent_at: int | None) -> Pending:
        pending = Pending(self._number, key, text, sent_at, self._one_in(FORGOTTEN), self._connection, now)
        self._number += 1
        self.pending[pending.number] = pending
        return pending

    def _one_in(self, many: int) -> bool:
        return self.random.randrange(many) == 0

    def _take(self, message: Message) -> None:
        if message.type == "event":
            self._follow(message)
        elif message.type == "joined" and message.position is not None:
            self._reached = message.position.seq
        elif message.re is not None and (pending := self.pending.get(message.re)):
            self._answered(pending, message)

    def _answered(self, pending: Pending, message: Message) -> None:
        if message.type == "ack":
            self._old = pending
            self._settle(self.pending.pop(pending.number), Fate.ACKED, message.seq)
        elif message.code in _OPEN:
            self.place.book.refusals[message.code] += 1
            wait = min(message.retry_after_ms / 1000 or RETRY, RETRY)
            pending.due = monotonic() + wait * self.random.uniform(0.5, 1.0)
        else:
            self.place.book.refusals[message.code] += 1
            # There is no point in going on after the end.
            self.quiet = self.quiet or message.state == "ended"
            self._settle(self.pending.pop(pending.number), Fate.REFUSED)

    def _settle(self, pending: Pending, fate: Fate, seq: int = 0) -> None:
        send = Send(
            sender=self.name,
            key=pending.key,
            text=pending.text,
            invoked=pending.invoked,
            answered=monotonic(),
            fate=fate,
            seq=seq,
            connection=pending.connection,
            number=pending.number,
            attempts=pending.attempts,
        )
        self.place.ledger.sends.append(send)
        if fate is Fate.ACKED:
            self.place.book.acks.append(send.answered)
            self.place.ledger.note_ack(send)

    def _follow(self, message: Message) -> None:
        if self._reached is not None and message.seq != self._reached + 1:
            self.place.book.complain(f"silent hole: {self.name} received {message.seq} after {self._reached}")
        self._reached = message.seq
