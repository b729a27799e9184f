"""What a reader holds of a session's log, and the messages that it makes. Pure.

The events held are a window without holes; both ends grow as neighbours come. `seq` orders the log and finds
holes, `(at, seq)` orders what is shown. A message is what all events about it say together: the edit with the
greatest `(at, seq)` counts, and a deletion beats any edit. So merging the same events in any order, any number of
times, gives the same timeline: a join-semilattice. Servers and clients agree on `tests/vectors/timeline.json`.
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from stagewire_client.messages import Event, Position


class Stamp(Struct, frozen=True, order=True):
    """By what edits are compared."""

    at: int
    seq: int


class Message(Struct, frozen=True, kw_only=True):
    """A message as it is now. One that was deleted has no text."""

    seq: int
    at: int
    by: str
    text: str = ""
    key: str | None = None
    reply_to: int | None = None
    edited: Stamp | None = None
    deleted: bool = False


class Said(Struct, frozen=True):
    """What an event says of the message `seq`: its text by a stamp, or that it is deleted."""

    seq: int
    edited: Stamp | None = None
    text: str = ""
    deleted: bool = False


def read(event: Event) -> Said | None:
    """Give what an event says of a message beside who wrote it; nothing where it is not about one."""
    body = event.body
    seq = event.seq if event.kind == "chat.posted" else body.get("seq", 0)
    if event.kind == "chat.deleted" or (event.kind.startswith("chat.") and body.get("deleted")):
        return Said(seq, deleted=True)
    stamp = Stamp(**body["edited"]) if "edited" in body else None
    if event.kind == "chat.posted":
        return Said(seq, stamp, body.get("text", ""))
    if event.kind == "chat.edited":
        return Said(seq, stamp or Stamp(event.at, event.seq), body.get("text", ""))
    return None


def merge(one: Said, other: Said) -> Said:
    """Give all that is known from both."""
    return max(one, other, key=_weight)


def _weight(said: Said) -> tuple[bool, Stamp, str]:
    return said.deleted, said.edited or Stamp(-1, -1), said.text


def display(events: Iterable[Event]) -> list[Message]:
    """Give the messages that events make, in the order of display."""
    posts: dict[int, Event] = {}
    known: dict[int, Said] = {}
    for event in events:
        said = read(event)
        if said is not None:
            known[said.seq] = merge(known.get(said.seq, said), said)
        if event.kind == "chat.posted":
            posts[event.seq] = event
    messages = [_message(post, known[seq]) for seq, post in posts.items()]
    return sorted(messages, key=lambda message: (message.at, message.seq))


def _message(post: Event, said: Said) -> Message:
    return Message(
        seq=post.seq,
        at=post.at,
        by=post.by,
        text=said.text,
        key=post.key,
        reply_to=post.body.get("reply_to"),
        edited=said.edited,
        deleted=said.deleted,
    )


class Compared(StrEnum):
    """What a head says of a timeline: it is complete up to there, something is missing, or the log has begun anew."""

    COMPLETE = "complete"
    BEHIND = "behind"
    ANEW = "anew"


class Timeline:
    """A window of up to `capacity` events, from `oldest` to `head`."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._events: dict[int, Event] = {}
        self._known = 0
        self.epoch: str | None = None
        self.head = 0
        self.oldest = 1

    @property
    def position(self) -> Position | None:
        """Give where to go on after an interruption; nothing before the first position is known."""
        return None if self.epoch is None else Position(self.epoch, self.head)

    @property
    def missing(self) -> bool:
        """Tell whether the log is known to have more."""
        return self._known > self.head

    @property
    def more(self) -> bool:
        """Tell whether the log goes on below what is held."""
        return self.oldest > 1

    @property
    def room(self) -> int:
        """Give how many older events can be held."""
        return self._capacity - (self.head - self.oldest + 1)

    def reset(self, position: Position) -> None:
        """Drop everything, to go on from a position."""
        self._events.clear()
        self.epoch = position.epoch
        self.head = self._known = position.seq
        self.oldest = position.seq + 1

    def expect(self, seq: int) -> None:
        """Take note that the log has reached `seq`."""
        self._known = max(self._known, seq)

    def compare(self, head: Position) -> Compared:
        """Hold against this what a heartbeat says: everything up to that head has been written to us."""
        if head.epoch != self.epoch:
            return Compared.ANEW
        self.expect(head.seq)
        return Compared.BEHIND if self.missing else Compared.COMPLETE

    def merge(self, events: Iterable[Event]) -> list[Event]:
        """Take events in, and give those that are next in line now, ascending."""
        in_line: list[Event] = []
        for event in events:
            self._take(event)
            while (follower := self._events.get(self.head + 1)) is not None:
                self._advance()
                in_line.append(follower)
        while self.room > 0 and self.oldest - 1 in self._events:
            self.oldest -= 1
        return in_line

    def events(self) -> list[Event]:
        """Give the window, ascending."""
        return [self._events[seq] for seq in range(self.oldest, self.head + 1)]

    def messages(self) -> list[Message]:
        """Give what the window shows, in the order of display."""
        return display(self.events())

    def _take(self, event: Event) -> None:
        self.expect(event.seq)
        # What is further ahead is fetched again rather than kept, and what is further behind finds no room.
        if self.head - self._capacity < event.seq <= self.head + self._capacity:
            known = self._events.get(event.seq)
            self._events[event.seq] = event if known is None else fuller(known, event)

    def _advance(self) -> None:
        self.head += 1
        self._events.pop(self.head - self._capacity, None)
        self.oldest = max(self.oldest, self.head - self._capacity + 1)


def fuller(one: Event, other: Event) -> Event:
    """Of two tellings of one event, give the one that knows more of what became of its message."""
    ours, theirs = read(one), read(other)
    if ours is None or theirs is None:
        return one
    return one if _weight(ours) >= _weight(theirs) else other
