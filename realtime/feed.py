"""A session's log as this node follows it: snapshot, head, the newest events, and what came too early."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec
from msgspec import Raw, Struct, structs

from persistence.log import Record
from persistence.sessions import Session
from realtime.domain import session as lifecycle
from realtime.domain import timeline
from realtime.domain.replay import Window
from realtime.protocol.events import Event, Kind, SessionBody
from realtime.protocol.replies import SessionView
from realtime.protocol.types import Position

_CHANGES: Final = frozenset([Kind.CHAT_EDITED, Kind.CHAT_DELETED])
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(Event).decode


class Document(Struct, frozen=True, gc=False):
    """An event of the log, encoded once, as JSON. `message` is the seq of the message that it is about, or 0."""

    seq: int
    json: bytes
    message: int = 0


class Feed:
    """Follows one log. It takes events in any order and any number, and gives each out once, in order.

    At most `capacity` events are kept for those who join, and as many that came too early. What became of a
    message is merged into what is kept: nobody who joins is told a text that was changed or deleted.
    """

    def __init__(self, session: Session, capacity: int) -> None:
        self.id = session.id
        self.view = view_of(session)
        self.epoch = session.head.epoch
        self.head = session.head.seq
        # On the clock of whoever sets them: when the open hole was noticed, when the last reader left.
        self.hole_since: float | None = None
        self.idle_since: float | None = None
        self._ring: deque[Document] = deque(maxlen=capacity)
        self._early: dict[int, Record] = {}
        self._known = self.head
        self._capacity = capacity

    def warm(self, records: Iterable[Record]) -> None:
        """Fill the memory with the newest events up to the head."""
        self._ring.extend(self._encode(record) for record in records if record.seq <= self.head)

    def find(self, seq: int) -> Event | None:
        """Give an event that is in memory."""
        found = [document for document in self._ring if document.seq == seq]
        return _from_json(found[0].json) if found else None

    def offer(self, records: Iterable[Record]) -> list[Document]:
        """Take in events; give those that are now next in line."""
        ready = []
        for record in records:
            self.expect(record.seq)
            if record.seq == self.head + 1:
                ready.append(self._advance(record))
                ready.extend(self._release())
            elif record.seq > self.head and len(self._early) < self._capacity:
                self._early[record.seq] = record
        return ready

    def expect(self, seq: int) -> None:
        """Take note that the log has reached `seq`."""
        self._known = max(self._known, seq)

    @property
    def hole(self) -> bool:
        """Tell whether something is missing of what the log is known to have."""
        return self._known > self.head

    @property
    def window(self) -> Window:
        """Give what a join can be served from."""
        return Window(self.epoch, self.head, self.head - len(self._ring) + 1)

    @property
    def position(self) -> Position:
        """Give the head as a position."""
        return Position(self.epoch, self.head)

    def between(self, after: int, before: int) -> list[bytes]:
        """Give the events in memory that lie between, ascending."""
        first = self.window.oldest
        start = max(after + 1 - first, 0)
        return [document.json for document in islice(self._ring, start, max(before - first, start))]

    def _release(self) -> Iterator[Document]:
        while record := self._early.pop(self.head + 1, None):
            yield self._advance(record)

    def _advance(self, record: Record) -> Document:
        self.head = record.seq
        if record.kind.startswith("session."):
            body = msgspec.json.decode(record.body, type=SessionBody)
            self.view = lifecycle.apply(self.view, record.kind, record.at, body)
        document = self._encode(record)
        if record.kind in _CHANGES:
            document = self._amend(document)
        self._ring.append(document)
        return document

    def _encode(self, record: Record) -> Document:
        document = encode(self.id, record)
        if record.kind == Kind.CHAT_POSTED:
            return Document(record.seq, document, record.seq)
        fact = timeline.read(_from_json(document)) if record.kind in _CHANGES else None
        return Document(record.seq, document, fact.seq if fact else 0)

    def _amend(self, change: Document) -> Document:
        """Merge a change with all that memory has of its message, and give it so."""
        about = [at for at, document in enumerate(self._ring) if document.message == change.message]
        events = {at: _from_json(self._ring[at].json) for at in about}
        facts = [fact for event in (*events.values(), _from_json(change.json)) if (fact := timeline.read(event))]
        known = timeline.absorb({}, facts)[change.message]
        for at, event in events.items():
            self._ring[at] = structs.replace(self._ring[at], json=_to_json(timeline.retell(event, known)))
        return structs.replace(change, json=_to_json(timeline.retell(_from_json(change.json), known)))


def encode(session: str, record: Record) -> bytes:
    """Encode an event of the log as its push, in JSON."""
    return _to_json(event_of(session, record))


def event_of(session: str, record: Record) -> Event:
    """Give a stored event as clients see it."""
    return Event(
        session=session,
        seq=record.seq,
        at=record.at,
        kind=record.kind,
        by=record.sender,
        key=record.key,
        body=Raw(record.body),
    )


def view_of(session: Session) -> SessionView:
    """Give a stored session as clients see it."""
    return SessionView(
        id=session.id,
        host=session.host,
        title=session.title,
        state=session.state,
        version=session.version,
        created_at=session.created_at,
        started_at=session.started_at,
        ended_at=session.ended_at,
    )
